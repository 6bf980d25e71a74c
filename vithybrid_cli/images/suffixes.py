"""Which files of a folder are pictures, by their suffixes; and which are known to be none."""

import functools
import os

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

# Files that lie among pictures and are none, or none that are read: they are not opened to find that out.
OTHER_SUFFIXES = frozenset(
    {
        # Beside pictures: what programs know of them, and what systems keep.
        *(".xmp", ".aae", ".thm", ".pp3", ".dop", ".cos", ".on1", ".nksc", ".lrcat", ".lrprev", ".lrv", ".ctg"),
        *(".ini", ".db", ".lnk", ".url", ".webloc", ".desktop", ".plist", ".ds_store", ".torrent", ".sha256", ".md5"),
        # Films and sound.
        *(".mp4", ".mov", ".avi", ".mkv", ".m4v", ".mpg", ".mpeg", ".mts", ".m2ts", ".3gp", ".3g2", ".wmv", ".webm"),
        *(".flv", ".insv", ".ogv", ".vob", ".mod", ".mp3", ".wav", ".m4a", ".aac", ".flac", ".ogg", ".opus", ".amr"),
        # Text, tables and documents.
        *(".txt", ".md", ".rst", ".log", ".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".xml", ".yaml", ".yml"),
        *(".toml", ".html", ".htm", ".css", ".js", ".ts", ".py", ".pyc", ".ipynb", ".sh", ".bat", ".ps1", ".c", ".h"),
        *(".cpp", ".java", ".go", ".rs", ".php", ".sql", ".srt", ".vtt", ".pdf", ".ps", ".eps", ".ai", ".indd"),
        *(".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods", ".odp", ".rtf", ".epub", ".key", ".pages"),
        *(".kml", ".kmz", ".gpx", ".geojson", ".ics", ".vcf", ".eml", ".msg"),
        # Pictures that are drawings, projects or of formats that are not read.
        *(".svg", ".svgz", ".wmf", ".emf", ".xcf", ".kra", ".psb", ".sketch", ".fig", ".jxl", ".jxr", ".wdp", ".exr"),
        *(
            ".hdr",
            ".dcm",
            ".svs",
            ".ndpi",
            ".scn",
            ".afphoto",
            ".afdesign",
            ".clip",
            ".blend",
            ".cop",
            ".cot",
            ".webarchive",
        ),
        # Archives, tables of data, models, programs.
        *(".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".iso", ".dmg", ".cbz", ".cbr"),
        *(".parquet", ".arrow", ".feather", ".tfrecord", ".lmdb", ".mdb", ".sqlite", ".h5", ".hdf", ".hdf5", ".mat"),
        *(".npy", ".npz", ".pt", ".pth", ".bin", ".safetensors", ".onnx", ".pkl", ".ckpt", ".grib", ".bufr", ".nc"),
        *(".exe", ".dll", ".so", ".dylib", ".o", ".a", ".msi", ".apk", ".jar", ".lock", ".palm"),
        # What is not all there yet.
        *(".part", ".partial", ".crdownload", ".download", ".!ut", ".filepart"),
    }
)


def suffix_of(name: str) -> str:
    """The suffix of a file's name in lower case with its dot, and nothing if there is none."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122


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
