"""The environment variables that huggingface_hub and its HTTP library read, and which of them is wrong.

Both fail in many ways on a bad variable, some of them while they are imported, and seldom name it.
"""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from vithybrid_cli.errors import ModelError

Fault = tuple[str, str]  # cause and remedy

ETAG_TIMEOUT, DOWNLOAD_TIMEOUT = "HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"
_ENDPOINT = "HF_ENDPOINT"
_TOKENS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
_CACHES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME")  # the first that is set decides
_LONGEST = 1_000_000  # seconds; sockets refuse much longer time-outs


def check_import() -> None:
    """Raise ModelError for a variable with which the client cannot be imported, or which it misreads then."""
    if fault := _timeout_fault() or _endpoint_syntax_fault():
        raise ModelError(*fault)


def fault() -> Fault | None:
    """The first variable, or file named by one, that keeps the client from working; it must have been imported."""
    checks: tuple[Callable[[], Fault | None], ...] = (
        _folder_fault,
        _endpoint_fault,
        _proxy_fault,
        _header_fault,
        _token_file_fault,
        _certificate_fault,
        _transfer_fault,
    )
    return next((found for check in checks if (found := check())), None)


def cache_variable() -> str:
    """The variable that moves the client's cache elsewhere."""
    return next((name for name in _CACHES if os.environ.get(name)), "HF_HOME")


def on_the_way_to(endpoint: str) -> list[str]:
    """The variables that decide how ``endpoint`` is reached: that of the proxy, and that of the endpoint itself."""
    parts = urlsplit(endpoint)
    schemes = () if _bypasses_proxies(parts.netloc) else (f"{parts.scheme}_proxy", "all_proxy")
    proxies = [name for scheme in schemes for name in _proxies() if name.lower() == scheme]
    return proxies[:1] + [name for name in (_ENDPOINT,) if name in os.environ]


def _timeout_fault() -> Fault | None:
    for name in (ETAG_TIMEOUT, DOWNLOAD_TIMEOUT):
        value = os.environ.get(name)
        if value is not None and not (value.strip().isdecimal() and len(value) < 20 and int(value) <= _LONGEST):
            return f"{name} is {value!r}, which is no number of seconds.", "Give it a whole number, or unset it."
    return None


def _endpoint_syntax_fault() -> Fault | None:
    return None if _split(os.environ.get(_ENDPOINT, "")) else _no_endpoint()


def _endpoint_fault() -> Fault | None:
    value = os.environ.get(_ENDPOINT)
    if value is None:
        return None
    parts = _split(value)
    usable = parts is not None and parts.scheme in ("http", "https") and parts.hostname and _is_plain(value)
    return None if usable else _no_endpoint()


def _no_endpoint() -> Fault:
    value = os.environ[_ENDPOINT]
    return f"{_ENDPOINT} is {value!r}, which is no address of a hub.", "Give one as https://host, or unset it."


def _proxies() -> dict[str, str]:
    """The variables that name a proxy, with their values. As for urllib, one in small letters hides the other."""
    found = {}
    for scheme in ("http", "https", "all"):
        name = f"{scheme}_proxy" if f"{scheme}_proxy" in os.environ else f"{scheme}_proxy".upper()
        if value := os.environ.get(name):
            found[name] = value
    return found


def _bypasses_proxies(host: str) -> bool:
    """Whether the environment says that this host is reached without a proxy."""
    # Imported here, as it brings sockets and mail with it: most runs fetch nothing.
    from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]  # not in the types

    return bool(proxy_bypass_environment(host))


def _proxy_fault() -> Fault | None:
    """What is wrong with a proxy. Its address is not shown: it may hold a password."""
    from huggingface_hub import constants

    requests = _http_library() == "requests"  # it looks at the proxy that it needs alone, httpx at all of them
    if requests and _bypasses_proxies(urlsplit(constants.ENDPOINT).netloc):
        return None
    package, known = ("pysocks", ("socks4", "socks4a")) if requests else ("socksio", ())
    missing = find_spec("socks" if requests else "socksio") is None
    for name, value in _proxies().items():
        address = value if "://" in value else f"http://{value}"
        parts = _split(address)
        if parts is None or not parts.hostname or not _is_plain(address):
            return f"{name} holds no address of a proxy.", "Give one as http://host:port, or unset it."
        if parts.scheme not in ("http", "https", "socks5", "socks5h", *known):
            return f"{name} names a proxy for {parts.scheme}, which is not supported.", "Name another one, or unset it."
        if parts.scheme.startswith("socks") and missing:
            return (
                f"{name} names a SOCKS proxy, for which the package {package} is missing.",
                f"Install it with `pip install {package}`, or unset {name}.",
            )
    return None


def _header_fault() -> Fault | None:
    for name in (*_TOKENS, "HF_HUB_USER_AGENT_ORIGIN"):
        value = os.environ.get(name, "")
        if not _is_header(value.replace("\r", "").replace("\n", "") if name in _TOKENS else value):
            return f"{name} holds characters that cannot be sent to the hub.", "Set it anew, or unset it."
    return None


def _token_file_fault() -> Fault | None:
    from huggingface_hub import constants

    if any(os.environ.get(name) for name in _TOKENS):
        return None
    file = Path(constants.HF_TOKEN_PATH)
    try:
        token = file.read_text(encoding="utf-8").replace("\n", "")
    except FileNotFoundError:
        return None
    except OSError as error:
        return (
            f"The access token in {file} cannot be read ({error.strerror}).",
            "Make it readable, or name another file with HF_TOKEN_PATH.",
        )
    except UnicodeDecodeError:
        token = "\0"
    if _is_header(token):
        return None
    return f"{file} holds no access token.", "Run `hf auth login`, or name another file with HF_TOKEN_PATH."


def _folder_fault() -> Fault | None:
    """What is wrong with the place of the cache, as far as that is told without writing to it."""
    for name in _CACHES:
        value = os.environ.get(name)
        if value and not _may_be_folder(os.path.expandvars(value)):
            return f"{name} is {value!r}, which is no folder.", "Give it another one, or unset it."
    return None


def _may_be_folder(path: str) -> bool:
    try:
        folder = Path(path).expanduser()
        return folder.is_dir() or not folder.exists()
    except (OSError, RuntimeError):  # a name longer than the file system has them; nobody's home folder
        return False


def _certificate_fault() -> Fault | None:
    import ssl  # as late as what else fetches

    names = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if _http_library() == "requests" else ("SSL_CERT_FILE",)
    for name in names:
        if not (value := os.environ.get(name)):
            continue
        try:
            if not Path(value).is_dir():
                ssl.create_default_context(cafile=value)
        except OSError as error:  # ssl's own are, too
            reason = error.strerror or error
            return f"{name} names {value}, which holds no certificates ({reason}).", "Correct it, or unset it."
    return None


def _transfer_fault() -> Fault | None:
    name, package = "HF_HUB_ENABLE_HF_TRANSFER", "hf_transfer"
    if _http_library() != "requests" or name not in os.environ or find_spec(package) is not None:
        return None  # later versions warn of the variable, and do without the package
    return f"{name} asks for the package {package}, which is missing.", f"Run `pip install {package}`, or unset {name}."


def _http_library() -> str:
    """requests for huggingface_hub 0, httpx for version 1, httpx2 from version 2 on."""
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of the library

    return str(HTTPError.__module__.partition(".")[0])


def _split(address: str) -> SplitResult | None:
    """The parts of an address; None for what is none."""
    try:
        parts = urlsplit(address)
        return parts if parts.port is None or parts.port else None  # a bad port is an error once it is read
    except ValueError:
        return None


def _is_plain(address: str) -> bool:
    """Whether it has none of the characters that no address has."""
    return address.isascii() and address.isprintable() and " " not in address


def _is_header(text: str) -> bool:
    return text.isascii() and text.isprintable()
