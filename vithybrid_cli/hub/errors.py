"""Everything that huggingface_hub and the libraries below it can raise becomes a cause and the next step."""

import errno
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from vithybrid_cli.errors import ModelError, VitHybridError
from vithybrid_cli.hub import environment
from vithybrid_cli.hub.catalog import BUILT_IN
from vithybrid_cli.hub.names import guessed, or_a_path

# The packages that bring the exceptions of huggingface_hub's HTTP library, which differs between its versions.
_HTTP_LIBRARIES = {"requests", "urllib3", "httpx", "httpcore", "httpx2", "httpcore2"}

_REFUSALS = (errno.EACCES, errno.EPERM, errno.EROFS)


class HubUnreachable(ModelError):
    """There is no way to the hub right now, for a ``reason``: no network, an outage, or offline mode."""

    def __init__(self, cause: str, remedy: str = "", *, reason: str = "") -> None:
        super().__init__(cause, remedy)
        self.reason = reason


@contextmanager
def hub_errors_as_model_errors(repo_id: str, revision: str) -> Iterator[None]:
    """Turn what the hub's client raises inside the block into a ModelError; mistakes in a program pass unchanged.

    Raises:
        HubUnreachable: the hub could not be asked, or failed to answer.
        ModelError: the hub refused, the disk did, or an environment variable is wrong.
    """
    try:
        yield
    except Exception as error:
        known = _model_error(error, repo_id, revision)
        if known is None:
            raise
        raise known from error


@contextmanager
def client_calls(repo_id: str, revision: str) -> Iterator[None]:
    """For a block that calls the hub's client: `hub_errors_as_model_errors`, and no warnings of its on stderr.

    HF_HUB_VERBOSITY asks for them.
    """
    logger = logging.getLogger("huggingface_hub")
    before = logger.level
    if "HF_HUB_VERBOSITY" not in os.environ:
        logger.setLevel(logging.ERROR)
    try:
        with hub_errors_as_model_errors(repo_id, revision):
            yield
    finally:
        logger.setLevel(before)


def not_cached(repo_id: str, revision: str, variable: str = "") -> HubUnreachable:
    """The error for a model that is wanted offline, by a ``variable`` if one says so, and was never fetched."""
    because = f" ({variable} is set)" if variable else ""
    return HubUnreachable(
        f"{_versioned(repo_id, revision)} is not in the cache and cannot be fetched offline{because}.",
        f"Run `vithybrid download {repo_id}` while online, or use the built-in model, {BUILT_IN}.",
        reason=f"{variable} is set" if variable else "offline",
    )


def not_there(repo_id: str, why: HubUnreachable) -> HubUnreachable:
    """The error for a model of which nothing is in the cache, when ``why`` the hub cannot be asked for it."""
    return HubUnreachable(why.cause, why.remedy + or_a_path(repo_id), reason=why.reason)


def incomplete(repo_id: str, gap: str, why: HubUnreachable) -> HubUnreachable:
    """The error for a model that is in the cache but for a part, when ``why`` the hub cannot be asked for that.

    Without that part it may be another model, so it is not used as it is.
    """
    return HubUnreachable(
        f"{repo_id} is not complete in the cache: {gap}; the hub cannot be asked now ({why.reason}).",
        why.remedy,
        reason=why.reason,
    )


def not_a_hub(repo_id: str) -> HubUnreachable:
    """The error for an answer that no hub gives, as from the login page of a hotel's network."""
    return _unreachable(repo_id, "its answer is not that of a hub")


def disk_full(repo_id: str, needed: int | None = None) -> ModelError:
    """The error for a disk that cannot hold the model; ``needed`` is in bytes."""
    from huggingface_hub import constants

    size = "" if needed is None else f" ({needed / 1e6:,.0f} MB)"
    return ModelError(
        f"There is no room for {repo_id}{size} on the disk of {constants.HF_HUB_CACHE}.",
        f"Free some, or set {environment.cache_variable()} to a folder on another disk.",
    )


@contextmanager
def cache_errors_as_model_errors() -> Iterator[None]:
    """Turn what fails inside the block, which reads or writes the client's cache, into a ModelError."""
    from huggingface_hub import constants

    try:
        yield
    except OSError as error:
        raise ModelError(
            f"The cache {constants.HF_HUB_CACHE} cannot be read or written ({error.strerror}).",
            f"Make it so, or set {environment.cache_variable()} to another folder.",
        ) from error
    except UnicodeDecodeError as error:  # of a file that names a commit
        raise ModelError(
            f"A file of the cache {constants.HF_HUB_CACHE} is damaged: it is no text where a commit should be named.",
            "Remove the model's folder there, and fetch it again.",
        ) from error


def _model_error(error: Exception, repo_id: str, revision: str) -> ModelError | None:
    """The error to show; None for one of this program's own, and for what is no failure of hub, network or machine."""
    from huggingface_hub import errors

    if isinstance(error, VitHybridError):
        return None
    # The client says "not in the cache either" with the reason as its cause.
    wrapped = isinstance(error, errors.LocalEntryNotFoundError)
    first = error.__cause__ if wrapped and isinstance(error.__cause__, Exception) else error
    if isinstance(first, errors.OfflineModeIsEnabled):
        return not_cached(repo_id, revision, "HF_HUB_OFFLINE")
    if isinstance(first, errors.HfHubHTTPError) and getattr(first, "response", None) is not None:
        return _refused(first, repo_id, revision)
    if isinstance(first, OSError) and first.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(repo_id)
    if type(first).__name__ == "OIDCError":  # which huggingface_hub has from 2 on
        reason = _reason(first).partition(". ")[0]
        return ModelError(f"There is no access token ({reason}).", "Set HF_OIDC_ID_TOKEN, or unset HF_OIDC_RESOURCE.")
    if fault := environment.fault():
        return ModelError(*fault)
    if isinstance(first, OSError) and (first.filename is not None or first.errno in _REFUSALS):
        return _refused_by_the_system(first)
    return _unreachable(repo_id, _reason(first)) if _is_of_the_network(first) else None


def _is_of_the_network(error: Exception) -> bool:
    """Whether it says that something between here and the hub, or the hub itself, did not do its part."""
    if isinstance(error, (OSError, json.JSONDecodeError)) or type(error).__module__.split(".")[0] in _HTTP_LIBRARIES:
        return True
    # hf_xet has no class of its own for a transfer that failed; and the client believes whatever the hub says of the
    # programs that it knows (`detect_agent`), were it a hotel's login page.
    where = _function_that_raised(error)
    return where == "detect_agent" or (isinstance(error, RuntimeError) and "xet" in where)


def _function_that_raised(error: Exception) -> str:
    """The name of the Python function in which it was raised; hf_xet is no Python, and its caller stands for it."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return "" if traceback is None else traceback.tb_frame.f_code.co_name


def _refused(error: Exception, repo_id: str, revision: str) -> ModelError:
    """The error for an HTTP status other than success; of the hub's, 401 and 404 can mean the same."""
    from huggingface_hub import constants, errors

    match error:
        case errors.GatedRepoError():
            return ModelError(
                f"{repo_id} is gated.",
                f"Ask for access at {constants.ENDPOINT}/{repo_id}, then set HF_TOKEN or run `hf auth login`.",
            )
        case errors.RepositoryNotFoundError():
            return _no_such_repository(repo_id)
        case errors.RevisionNotFoundError():
            return ModelError(
                f"{repo_id} has no revision {revision!r}.",
                f"See its branches, tags and commits at {constants.ENDPOINT}/{repo_id}/commits/main.",
            )
        case errors.EntryNotFoundError():
            return ModelError(
                f"{repo_id} lists a file that the hub cannot deliver ({_reason(error)}).",
                "Run the command again later, or ask the owner of the model.",
            )
        case errors.HfHubHTTPError():
            return _refused_by_status(error.response.status_code, repo_id, _reason(error))
    return _unreachable(repo_id, _reason(error))


def _refused_by_status(status: int, repo_id: str, reason: str) -> ModelError:
    if status == 401 and "credentials" in reason:  # without credentials, 401 is the hub's word for private or absent
        return ModelError(
            f"The hub does not accept the access token ({reason}).", "Renew HF_TOKEN, or run `hf auth login`."
        )
    if status == 403:
        return ModelError(
            f"The hub does not allow access to {repo_id} ({reason}).",
            "Set HF_TOKEN to a token that may read it, or run `hf auth login`.",
        )
    if status in (401, 404):
        return _no_such_repository(repo_id)
    if status == 429:
        return HubUnreachable(
            f"The hub allows no more requests for now ({reason}).",
            "Wait some minutes, or set HF_TOKEN: it raises the limit.",
            reason=reason,
        )
    return _unreachable(repo_id, reason)


def _no_such_repository(repo_id: str) -> ModelError:
    guess = guessed(repo_id) or "Check the name (`vithybrid models` lists some)."
    return ModelError(
        f"There is no model {repo_id!r} on the hub, or it is private.",
        f"{guess}{or_a_path(repo_id)} For a private model set HF_TOKEN or run `hf auth login`.",
    )


def _unreachable(repo_id: str, reason: str) -> HubUnreachable:
    from huggingface_hub import constants

    suspects = ["the network", *environment.on_the_way_to(constants.ENDPOINT)]
    if "timed out" in reason.lower():
        suspects += [environment.ETAG_TIMEOUT, environment.DOWNLOAD_TIMEOUT]
    checks = " and ".join(filter(None, (", ".join(suspects[:-1]), suspects[-1])))
    return HubUnreachable(
        f"{repo_id} is not complete in the cache and cannot be fetched from {constants.ENDPOINT} ({reason}).",
        f"Check {checks} and run the command again, or use the built-in model, {BUILT_IN}.",
        reason=reason,
    )


def _refused_by_the_system(error: OSError) -> ModelError:
    """The error for a file, most often of the cache, that cannot be read or written."""
    from huggingface_hub import constants

    return ModelError(
        f"{error.filename or constants.HF_HUB_CACHE} cannot be read or written ({error.strerror}).",
        f"Make it so, or set {environment.cache_variable()} to a folder that can.",
    )


def _versioned(repo_id: str, revision: str) -> str:
    return repo_id if revision == "main" else f"{repo_id} at revision {revision!r}"


def _reason(error: Exception) -> str:
    """The first line of the error that says something; the client's texts span paragraphs."""
    text = re.sub(r"\[Errno -?\d+\] ", "", str(error))
    lines = [line.strip().rstrip(".:") for line in text.splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
