"""Folders that systems, NAS boxes and photo programs make for themselves: thumbnails, waste baskets, caches.

The list is short on purpose. A folder is on it only if nobody would keep photographs of their own in a folder of that
name. Folders whose names begin with a dot (`.thumbnails`, `.Trashes`, `.@__thumb`, …) are hidden, and not of concern
here.
"""

import os

_NAMES = frozenset(
    {
        *("@eadir", "@tmp", "@sharebin", "#recycle", "#snapshot"),  # Synology
        *("@recycle", "@recently-snapshot", "@__thumb", "@transcode"),  # QNAP
        *("$recycle.bin", "recycler", "system volume information", "$windows.~bt"),  # Windows
        *("__macosx", "network trash folder", "temporary items"),  # macOS: zip files, AFP shares
        *("lost+found", "~snapshot"),  # Linux, NetApp
        *("files_trashbin", "files_versions"),  # Nextcloud
    }
)
_PREFIXES = ("appdata_oc",)  # Nextcloud's previews
_SUFFIXES = (".lrdata", ".html.files", ".htm.files")  # Lightroom's previews; the thumbnails of a page of ours

# Within a library of Apple's Photos, iPhoto or Aperture. What was imported lies in `originals` or `Masters`.
_LIBRARIES = (".photoslibrary", ".photolibrary", ".aplibrary", ".migratedphotolibrary")
_WITHIN_LIBRARIES = frozenset(
    {"resources", "thumbnails", "previews", "private", "database", "scopes", "data", "data.noindex", "internal"}
)


def is_system_folder(path: str) -> bool:
    """Whether the folder ``path``, found below another, is by its name one that holds no pictures of the user's."""
    above, name = os.path.split(path.casefold())
    if name in _NAMES or name.startswith(_PREFIXES) or name.endswith(_SUFFIXES):
        return True
    return name in _WITHIN_LIBRARIES and above.endswith(_LIBRARIES)
