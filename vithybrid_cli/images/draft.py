"""A JPEG that is decoded at a part of its size, and which part of these pixels the whole picture covers.

libjpeg rounds a part of a size up: of 375 rows a quarter is 93.75, and 94 are decoded, the last of which reaches beyond
the picture. Whoever resizes them takes 93.75, as Pillow's ``thumbnail`` does, and the size that the whole would become.
"""

from dataclasses import dataclass, replace

from PIL import Image

_KEY = "vithybrid_draft"  # in ``info``, which Pillow hands on to what is made of an image
_DRAFTED = {"JPEG", "MPO"}  # others may have drafts that are thumbnails
_SWAPPED = (5, 6, 7, 8)  # EXIF orientations whose columns are rows of the file
_FROM_RIGHT, _FROM_BOTTOM = (2, 3, 6, 7), (3, 4, 7, 8)  # those that begin with the file's last column or row


@dataclass(frozen=True, slots=True)
class Draft:
    """What is known of a picture of which fewer pixels were decoded."""

    size: tuple[int, int]
    """(width, height) of the whole picture."""
    box: tuple[float, float, float, float]
    """(left, top, right, bottom) of it in the pixels that were decoded."""

    def turned(self, orientation: int, decoded: tuple[int, int]) -> "Draft":
        """The same of the upright picture; ``decoded`` is (width, height) of what was decoded, before it is turned."""
        size, extent = self.size, self.box[2:]
        if orientation in _SWAPPED:
            size, extent, decoded = size[::-1], extent[::-1], decoded[::-1]
        left = decoded[0] - extent[0] if orientation in _FROM_RIGHT else 0.0
        top = decoded[1] - extent[1] if orientation in _FROM_BOTTOM else 0.0
        return replace(self, size=size, box=(left, top, left + extent[0], top + extent[1]))


def take_draft(image: Image.Image, side: int) -> None:
    """Have a JPEG that is not decoded yet decoded at a part of its size, with sides of at least ``side`` pixels."""
    size = image.size
    drafted = image.draft(None, (side, side)) if image.format in _DRAFTED else None
    if drafted is not None and image.size != size:
        image.info[_KEY] = Draft(size, drafted[1])


def turn(image: Image.Image, orientation: int, how: Image.Transpose) -> Image.Image:
    """The image of that EXIF orientation turned upright, which is done by ``how``."""
    upright = image.transpose(how)
    if (draft := draft_of(image)) is not None:
        upright.info[_KEY] = draft.turned(orientation, image.size)
    return upright


def draft_of(image: Image.Image) -> Draft | None:
    """What is known of the whole of an image; None where it is whole. A file cannot say it, as this is no text."""
    draft = image.info.get(_KEY)
    return draft if isinstance(draft, Draft) else None
