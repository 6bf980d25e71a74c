"""HEIC and HEIF, the format of phones' cameras, through the optional library pillow-heif."""

import functools
from importlib.util import find_spec

# ISO/IEC 23008-12: the brands of HEIF files, at byte 8, after `ftyp`.
BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevm", b"hevs", b"hevx", b"mif1", b"msf1"}
HEAD = 12  # bytes that identify a HEIF file

INSTALL = "pip install 'vithybrid-cli[heif]'"


def is_heif(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (`HEAD` bytes) is HEIC or HEIF."""
    return head[4:8] == b"ftyp" and head[8:HEAD] in BRANDS


@functools.cache
def register() -> bool:
    """Teach Pillow to open HEIC and HEIF; False where pillow-heif is not installed."""
    if find_spec("pillow_heif") is None:
        return False
    import pillow_heif

    pillow_heif.options.DECODE_THREADS = 1  # pictures are decoded in parallel already
    pillow_heif.register_heif_opener()
    return True
