"""Which names are addresses, and what is needed to read them."""

import re
from typing import Final
from urllib.parse import urlsplit

from vithybrid_cli.errors import FetchFailed, UsageError

_REMOTE, _GCS = "pip install 'vithybrid-cli[remote]'", "pip install 'vithybrid-cli[gcs]'"
_AZURE, _SSH = "pip install adlfs", "pip install paramiko"
_INSTALL: Final = {
    **dict.fromkeys(("http", "https", "s3", "s3a"), _REMOTE),
    **dict.fromkeys(("gs", "gcs"), _GCS),
    **dict.fromkeys(("az", "abfs", "adl"), _AZURE),
    **dict.fromkeys(("sftp", "ssh"), _SSH),
    "smb": "pip install smbprotocol",
}

WEB: Final = ("http", "https")
# What fsspec takes for a file system and is a file of this machine, a wrapper of another one, or none of pictures.
_NOT_READ: Final = frozenset(
    {
        *("arrow_hdfs", "async_wrapper", "asynclocal", "asyncwrapper", "blockcache", "cached", "dask", "data", "dir"),
        *("file", "filecache", "generic", "jlab", "jupyter", "libarchive", "local", "pyscript", "reference"),
        *("simplecache", "tar", "zip"),
    }
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_CREDENTIALS = re.compile(r"(?<=://)[^/?#@\s]*:[^/?#\s]*@")


def scheme_of(name: str) -> str | None:
    """The scheme of a URL in lower case; None for what is none."""
    found = _SCHEME.match(name)
    return None if found is None else found[1].lower()


def is_web(name: str) -> bool:
    """Whether it is asked for by HTTP."""
    return scheme_of(name) in WEB


def is_address(name: str) -> bool:
    """Whether it is read from another place than this machine's files."""
    scheme = scheme_of(name)
    return scheme is not None and (scheme in WEB or is_of_fsspec(scheme))


def is_of_fsspec(scheme: str) -> bool:
    """Whether fsspec opens what has this scheme, if the package for it is there."""
    if scheme in _NOT_READ:
        return False
    from fsspec import available_protocols

    return scheme in available_protocols()


def path_in(name: str) -> str:
    """The path without what a URL of the web has after it, so that it ends with the suffix of a file."""
    if not is_web(name):
        return name
    try:
        return urlsplit(name).path
    except ValueError:  # brackets that hold no IPv6 address
        return name


def without_credentials(text: str) -> str:
    """A URL, or a text with URLs, in which no password is shown."""
    return _CREDENTIALS.sub("", text)


_OFFLINE: Final = "An address cannot be read offline.", "Leave out {offline}, or fetch it first and give the file."


def offline_error() -> FetchFailed:
    """The error for an address of which nothing may be read."""
    return FetchFailed(*_OFFLINE)


def require(name: str, *, offline: bool) -> None:
    """Raise UsageError if no connection may be opened, or a package is missing, before anything is fetched."""
    if offline:
        raise UsageError(f"{without_credentials(name)} cannot be read offline.", _OFFLINE[1])
    if is_web(name):
        require_aiohttp()
    else:
        from vithybrid_cli.sources.remote.filesystems import class_for

        class_for(name)


def require_aiohttp() -> None:
    """Raise UsageError if the package for the web is missing."""
    try:
        import aiohttp  # noqa: F401
    except ImportError as error:
        raise missing("http") from error


def missing(scheme: str) -> UsageError:
    """The error for a package that is not installed."""
    command = _INSTALL.get(scheme, "pip install 'fsspec[full]'")
    return UsageError(f"Addresses of {scheme}:// need one more library.", f"Install it with `{command}`.")
