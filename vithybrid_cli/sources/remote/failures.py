"""What goes wrong on the way to an address, in words, and whether it may pass."""

import asyncio
import errno
import os
import re
import socket
import ssl
from dataclasses import dataclass
from http import HTTPStatus

from vithybrid_cli.errors import FetchFailed, FileTooLarge
from vithybrid_cli.sources.remote.addresses import without_credentials

_PASSING_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_LATER = "Try again later."
_CHECK = "Check the address."
_PUBLIC = dict.fromkeys(("s3", "s3a"), ", or set FSSPEC_S3_ANON=true if it is public")
_WORDS = re.compile(r"[\w ,.:/'()\-]{3,120}")


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt failed, whether another one may succeed, and the pause that the server asks for.

    ``silent``: it took long to find out, so that it is tried less often.
    """

    error: FetchFailed
    passing: bool = False
    pause: float | None = None
    silent: bool = False


class Failed(Exception):
    """An attempt failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.error)
        self.failure = failure


def too_large(max_bytes: int) -> FileTooLarge:
    """The error for a picture of more than ``max_bytes``."""
    return FileTooLarge(
        f"The picture has more than {max_bytes} bytes.", f"If you trust it, set {{max_bytes}} above {max_bytes}."
    )


def of_status(status: int, retry_after: str | None) -> Failure:
    """What an HTTP status other than success means."""
    try:
        text = f"HTTP {status} {HTTPStatus(status).phrase}."
    except ValueError:
        text = f"HTTP {status}."
    passing = status in _PASSING_STATUS
    return Failure(FetchFailed(text, _remedy(status, passing)), passing, _pause(retry_after) if passing else None)


def _remedy(status: int, passing: bool) -> str:
    if status in (401, 403):
        return "Look whether it may be read, and whether the address is still valid."
    if status == 407:
        return "Put the user and password of the proxy into HTTP_PROXY and HTTPS_PROXY."
    return _LATER if passing or status >= 500 else _CHECK


def _pause(retry_after: str | None) -> float | None:
    """In seconds; a date is not read, since clocks differ."""
    if retry_after is None or not re.fullmatch(r"\s*\d{1,9}\s*", retry_after):
        return None
    return float(retry_after)


def of_web(error: BaseException) -> Failure:
    """What an exception of aiohttp means. Its own text is not shown: it may have the password of the URL in it."""
    import aiohttp

    match error:
        case aiohttp.TooManyRedirects():
            return _final("It redirects in circles, or too many times.", _CHECK)
        case aiohttp.NonHttpUrlRedirectClientError():
            return _final("It redirects to what is no address of the web.", _CHECK)
        case aiohttp.RedirectClientError():
            return _final("It redirects to what is no address.", _CHECK)
        case aiohttp.ClientHttpProxyError():
            return of_status(error.status, None)
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return not_an_address()
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            return _final(
                "The certificate of its server is not trusted.",
                "If you trust it, set SSL_CERT_FILE to a file that has the certificate of its authority.",
            )
        case aiohttp.ClientSSLError() | ssl.SSLError():
            return _final("Its server speaks no TLS that is understood here.", "Check the address and its port.")
        case aiohttp.ClientProxyConnectionError():
            return _passing("The proxy cannot be reached.", "Check HTTP_PROXY and HTTPS_PROXY.")
        case aiohttp.ClientConnectorDNSError():
            return _unknown_host(error.os_error)
    return _broken(error)


def _broken(error: BaseException) -> Failure:
    """What may happen on any connection, and may pass."""
    import aiohttp

    match error:
        case aiohttp.ConnectionTimeoutError():
            return _passing("No connection was made in time.", "Check the address and the network.")
        case TimeoutError() | asyncio.TimeoutError():
            return Failure(FetchFailed("Its server sent nothing for too long.", _LATER), passing=True, silent=True)
        case aiohttp.ClientPayloadError():
            return _passing("The connection ended before the picture did.", _LATER)
        case aiohttp.ClientConnectorError() if error.os_error.errno:
            return _passing(f"No connection could be made ({os.strerror(error.os_error.errno)}).", _CHECK)
        case OSError() if error.errno:
            return _passing(f"The connection broke ({os.strerror(error.errno)}).", _LATER)
        case aiohttp.ServerDisconnectedError():
            return _passing("The server closed the connection without an answer.", _LATER)
        case aiohttp.ClientResponseError():
            return _passing("The answer of the server is no HTTP.", _CHECK)
    return _passing("The connection broke.", _LATER)


def _unknown_host(error: OSError) -> Failure:
    failure = _final("Its host is not known.", "Check the address and the network.")
    return Failure(failure.error, passing=error.errno == socket.EAI_AGAIN)


def not_an_address() -> Failure:
    """The failure for what looks like a URL and can be none."""
    return _final("This is no address that can be asked for.", _CHECK)


def too_slow() -> Failure:
    """The failure for a server that sends, but too little."""
    return _final("Its server is too slow.", _LATER)


def _final(cause: str, remedy: str) -> Failure:
    return Failure(FetchFailed(cause, remedy))


def _passing(cause: str, remedy: str) -> Failure:
    return Failure(FetchFailed(cause, remedy), passing=True)


def of_filesystem(error: BaseException, scheme: str) -> FetchFailed:
    """What an exception of a file system of fsspec means."""
    name = type(error).__name__
    if isinstance(error, FileNotFoundError) or name in ("RepositoryNotFoundError", "EntryNotFoundError"):
        return FetchFailed("There is nothing at this address, or it is private.", _CHECK)
    if "Credential" in name or "DefaultCredentials" in name:
        return FetchFailed(
            f"No credentials for {scheme}:// were found.",
            f"Give them where the tools of the store look for them{_PUBLIC.get(scheme, '')}.",
        )
    if isinstance(error, PermissionError):
        return FetchFailed("It may not be read with these credentials.", "Ask whoever owns it, or give others.")
    if isinstance(error, IsADirectoryError):
        return FetchFailed("This is a folder of a store.", "Give it as an argument, with a slash at its end.")
    if name == "OfflineModeIsEnabled":
        return FetchFailed(
            "The hub may not be asked, since HF_HUB_OFFLINE is set.", "Unset it, or leave the input out."
        )
    if (status := _status(error)) is not None:
        return of_status(status, None).error
    if "Connect" in name and not isinstance(error, ConnectionResetError):
        return FetchFailed(f"The server of {scheme}:// cannot be reached.", "Check the network, and try again.")
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return FetchFailed(f"The server of {scheme}:// did not answer in time.", _LATER)
    return FetchFailed(f"It could not be fetched from {scheme}://{_detail(error)}.", _LATER)


def _status(error: BaseException) -> int | None:
    """The HTTP status that the client of a store was answered with, if it tells: of the hub, of Google, of Amazon."""
    response = getattr(error, "response", None)
    told = getattr(response, "status_code", None) or getattr(error, "code", None)
    if isinstance(response, dict):
        told = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return told if isinstance(told, int) and 400 <= told < 600 else None


def _detail(error: BaseException) -> str:
    """What an exception says, in brackets, if it is one line of words."""
    if isinstance(error, OSError) and error.errno is not None and error.errno in errno.errorcode:
        return f" ({os.strerror(error.errno)})"
    text = without_credentials(" ".join(str(error).split()).rstrip("."))
    return f" ({text})" if _WORDS.fullmatch(text) else ""
