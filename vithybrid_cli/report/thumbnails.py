"""Pictures become thumbnails: upright, in sRGB, and small enough for a page of ten thousand."""

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

from PIL import Image, ImageCms, features

from vithybrid_cli.errors import ImageError, UnreadableImage
from vithybrid_cli.images.decode import decode
from vithybrid_cli.images.failures import DAMAGE, naming_the_size
from vithybrid_cli.images.memory import decoding_bytes
from vithybrid_cli.items import Item
from vithybrid_cli.report.entries import Thumbnail
from vithybrid_cli.settings import AS_IT_IS, DEFAULT_THUMBNAIL_SIZE, Decoding

# With the default size 200 photographs of 500 × 375 pixels give 3.25 kB each, which with all else are 46 MB for 10,000.
# Of what gives as many bytes (160 pixels of quality 60, 192 of 40) this shows most without blocks that can be seen.
_QUALITY = 50
_GROUND = "#a0a0a0"  # behind what is transparent: both a black and a white drawing show on it

_GAP = 2.0  # as `Image.thumbnail`: boxes first, while the picture is more than so many times as large


@dataclass(frozen=True, slots=True)
class Made:
    """A thumbnail; ``damage`` is what is wrong with a picture of which it shows only a part."""

    thumbnail: Thumbnail
    damage: ImageError | None = None


@dataclass(frozen=True, slots=True)
class ThumbnailMaker:
    """Makes thumbnails that fit into a square of ``size`` pixels; a picture that is smaller keeps its size.

    Of ``decoding`` only the limit of pixels counts: a raw file's preview is what one wants to see of it, and what
    is transparent lies on a neutral grey.
    """

    size: int = DEFAULT_THUMBNAIL_SIZE
    decoding: Decoding = AS_IT_IS

    def made(self, item: Item, reserve: Callable[[int], None] = lambda size: None) -> Made:
        """The thumbnail of a picture; of one that is cut off as much as there is.

        ``reserve`` is told how many bytes that needs, before they are allocated. Raises ImageError as `decode` does.
        """
        try:
            return Made(self._thumbnail(item, reserve, cut_off=False))
        except UnreadableImage as error:
            damage = UnreadableImage(error.cause, error.remedy)  # without the frames that hold the picture
        try:
            return Made(self._thumbnail(item, reserve, cut_off=True), damage)
        except ImageError:
            raise damage from None

    def _thumbnail(self, item: Item, reserve: Callable[[int], None], *, cut_off: bool) -> Thumbnail:
        profiles: list[bytes] = []

        def opened(image: Image.Image) -> None:
            reserve(decoding_bytes(image, blended=True))
            if isinstance(profile := image.info.get("icc_profile"), bytes):
                profiles.append(profile)

        how = replace(self.decoding, background=_GROUND, raw_preview=True, allow_truncated=cut_off)
        image = decode(item, how, self.size, opened)
        with naming_the_size(f"{image.width} × {image.height} pixels"):
            return encoded(in_srgb(self._fitting(image), profiles[-1] if profiles else None))

    def _fitting(self, image: Image.Image) -> Image.Image:
        scale = self.size / max(image.size)
        if scale >= 1:
            return image
        width, height = (max(1, round(side * scale)) for side in image.size)
        return image.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=_GAP)


def encoded(image: Image.Image) -> Thumbnail:
    """An RGB image as a WebP file, or as a JPEG file where Pillow cannot write WebP, with nothing but its pixels."""
    image = image.copy()
    image.info.clear()  # of which a writer may take a profile or a comment
    stream = io.BytesIO()
    if features.check("webp"):
        image.save(stream, "WEBP", quality=_QUALITY, method=4)
        return Thumbnail(stream.getvalue(), "image/webp", *image.size)
    image.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return Thumbnail(stream.getvalue(), "image/jpeg", *image.size)


def in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """An RGB ``image`` whose colours were those of an ICC ``profile``.

    It stays as it is where the profile is of other colours than RGB, as that of a CMYK picture is, or is damaged.
    """
    transform = None if profile is None else _to_srgb(profile)
    if transform is None:
        return image
    converted: Image.Image = transform.apply(image)
    return converted


@lru_cache(maxsize=16)  # the pictures of one camera share a profile; one transform may be used by several threads
def _to_srgb(profile: bytes) -> ImageCms.ImageCmsTransform | None:
    if not features.check("littlecms2"):
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != "RGB":
            return None
        return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), "RGB", "RGB")
    except (ImageCms.PyCMSError, *DAMAGE):
        return None
