"""The folder of the user's for what this program can make again at any time."""

import os
from pathlib import Path

_OWN, _XDG = "VITHYBRID_CACHE", "XDG_CACHE_HOME"


def cache_folder() -> Path:
    """What ``VITHYBRID_CACHE`` names, else ``vithybrid`` in the user's cache folder; it need not exist.

    That folder is ``XDG_CACHE_HOME`` or ``~/.cache`` (https://specifications.freedesktop.org/basedir-spec). Raises
    OSError when neither is set and there is no home folder.
    """
    if own := os.environ.get(_OWN):
        return Path(own).absolute()
    caches = Path(os.environ.get(_XDG, ""))
    if not caches.is_absolute():  # the specification has relative paths ignored
        try:
            caches = Path.home() / ".cache"
        except RuntimeError as error:
            raise FileNotFoundError(f"there is no home folder, and {_OWN} is not set") from error
    return caches / "vithybrid"
