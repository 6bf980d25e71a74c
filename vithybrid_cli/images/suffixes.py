"""Which files of a folder are pictures, by their suffixes."""

import functools

# Identified by Pillow but never decoded (MPEG), or decoded by running a program (EPS).
_NO_PICTURES = {"MPEG", "EPS"}
# Pillow opens these as another format, so they have no entry of their own in its table of readers.
_READ_AS_ANOTHER = {"MPO"}
# Pictures of phones: Pillow needs a plugin for them, but they must not be left out of a folder silently.
_PHONE_SUFFIXES = frozenset({".heic", ".heif", ".hif"})

# Files of cameras' sensors. Pillow opens some of them as TIFF, and finds the thumbnail: they are no pictures as they
# are. From the lists of LibRaw 0.21 and of ExifTool.
RAW_SUFFIXES = frozenset(
    {
        *(".3fr", ".ari", ".arw", ".bay", ".cap", ".cr2", ".cr3", ".crw", ".dcr", ".dcs", ".dng", ".drf", ".eip"),
        *(".erf", ".fff", ".gpr", ".iiq", ".k25", ".kdc", ".mdc", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf"),
        *(".ori", ".pef", ".ptx", ".pxn", ".r3d", ".raf", ".raw", ".rw2", ".rwl", ".rwz", ".sr2", ".srf", ".srw"),
        *(".sti", ".x3f"),
    }
)


@functools.cache
def picture_suffixes() -> frozenset[str]:
    """The suffixes, in lower case with their dot, of the files of a folder that are read."""
    from PIL import Image  # imported where it is used, here and below: ``vithybrid --help`` must not pay for Pillow

    readable = {name for name, (factory, _) in _readers().items() if not _is_stub(factory)}
    readable = (readable | _READ_AS_ANOTHER) - _NO_PICTURES
    suffixes = {suffix.lower() for suffix, name in Image.registered_extensions().items() if name in readable}
    return (frozenset(suffixes) | _PHONE_SUFFIXES) - RAW_SUFFIXES


def _readers() -> dict[str, tuple[object, object]]:
    from PIL import Image

    Image.init()
    return dict(Image.OPEN)


def _is_stub(factory: object) -> bool:
    """Whether Pillow only identifies the format (HDF5, GRIB, …) and does not decode it."""
    from PIL import ImageFile

    return isinstance(factory, type) and issubclass(factory, ImageFile.StubImageFile)
