"""Everything huggingface_hub can raise, put into one line with its cause and the next step."""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager

from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.catalog import BUILT_IN


class HubUnreachable(ModelError):
    """There is no way to the hub right now: no network, an outage, or offline mode."""


@contextmanager
def explained(repo_id: str, revision: str) -> Iterator[None]:
    """Turn what the hub's client raises inside the block into a :class:`ModelError` that names the next step.

    Raises:
        HubUnreachable: the hub could not be asked at all.
        ModelError: the hub answered, and the answer was no; or the disk refused.
    """
    # Imported here: the client takes a tenth of a second, and a cached model does without these classes.
    # Transport failures (refused, reset, timed out) have no class of the client's own; it re-uses its HTTP library's
    # base class, httpx's in version 1 and httpx2's in version 2, so the name is taken from where both versions hold it.
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.errors import HTTPError as TransportError  # type: ignore[attr-defined]

    try:
        yield
    except HfHubHTTPError as error:
        raise _refused(error, repo_id, revision) from error
    except (TransportError, json.JSONDecodeError) as error:
        raise _unreachable(repo_id, _reason(error)) from error
    except RuntimeError as error:  # what hf_xet raises when a transfer fails
        raise _unreachable(repo_id, _reason(error)) from error
    except OSError as error:
        if isinstance(error.__cause__, HfHubHTTPError):  # the client's "not in the cache either", and why
            raise _refused(error.__cause__, repo_id, revision) from error
        raise _refused_by_the_system(error, repo_id, revision) from error


def not_cached(repo_id: str, revision: str) -> HubUnreachable:
    """Return the error for a model that is wanted offline and was never fetched."""
    return HubUnreachable(
        f"{_versioned(repo_id, revision)} is not in the cache, and offline mode forbids to fetch it: "
        f"run `vithybrid download {repo_id}` while online, or use the built-in model with `-m {BUILT_IN}`"
    )


def _refused(error: Exception, repo_id: str, revision: str) -> ModelError:
    """Return the error for an HTTP status other than success; 401 and 404 of the hub's interface mean the same."""
    from huggingface_hub import constants, errors

    match error:
        case errors.GatedRepoError():
            return ModelError(
                f"{repo_id} is gated: ask for access at {constants.ENDPOINT}/{repo_id}, then set HF_TOKEN "
                "or run `hf auth login`"
            )
        case errors.RepositoryNotFoundError():
            return _no_such_repository(repo_id)
        case errors.RevisionNotFoundError():
            return ModelError(
                f"{repo_id} has no revision {revision!r}: see its branches, tags and commits at "
                f"{constants.ENDPOINT}/{repo_id}/commits/main"
            )
        case errors.RemoteEntryNotFoundError():
            return ModelError(f"{repo_id} lists a file that the hub cannot deliver: {_reason(error)}")
        case errors.HfHubHTTPError():
            return _refused_by_status(error.response.status_code, repo_id, _reason(error))
    return _unreachable(repo_id, _reason(error))


def _refused_by_status(status: int, repo_id: str, reason: str) -> ModelError:
    if status == 401 and "credentials" in reason:  # without credentials, 401 is the hub's word for private or absent
        return ModelError(f"the hub does not accept the access token: renew HF_TOKEN or run `hf auth login` ({reason})")
    if status == 403:
        return ModelError(
            f"the hub does not allow access to {repo_id}: set HF_TOKEN to a token that may read it, "
            f"or run `hf auth login` ({reason})"
        )
    if status in (401, 404):
        return _no_such_repository(repo_id)
    return _unreachable(repo_id, reason)


def _no_such_repository(repo_id: str) -> ModelError:
    return ModelError(
        f"there is no model {repo_id!r} on the hub, or it is private: check the name (`vithybrid models` lists known "
        "ones); for a private model set HF_TOKEN or run `hf auth login`"
    )


def _unreachable(repo_id: str, reason: str) -> HubUnreachable:
    from huggingface_hub import constants

    return HubUnreachable(
        f"{repo_id} is not complete in the cache and cannot be fetched from {constants.ENDPOINT} ({reason}): "
        f"check the network and run again, or use the built-in model with `-m {BUILT_IN}`"
    )


def _refused_by_the_system(error: OSError, repo_id: str, revision: str) -> ModelError:
    """Return the error for what the client reports as an OSError: no way out, a full disk, a cache it may not write."""
    from huggingface_hub import constants, errors

    if isinstance(error, errors.OfflineModeIsEnabled):
        return HubUnreachable(str(not_cached(repo_id, revision)) + " (HF_HUB_OFFLINE is set)")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(repo_id)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ModelError(
            f"the cache {constants.HF_HUB_CACHE} cannot be written ({error.strerror}): set HF_HOME to a folder that can"
        )
    return _unreachable(repo_id, _reason(error))


def disk_full(repo_id: str, needed: int | None = None) -> ModelError:
    """Return the error for a disk that cannot hold the model; ``needed`` is in bytes."""
    from huggingface_hub import constants

    size = "" if needed is None else f" ({needed / 1e6:,.0f} MB)"
    return ModelError(
        f"no room for {repo_id}{size} on the disk of {constants.HF_HUB_CACHE}: "
        "free some, or set HF_HOME to a folder on another disk"
    )


def _versioned(repo_id: str, revision: str) -> str:
    return repo_id if revision == "main" else f"{repo_id} at revision {revision!r}"


def _reason(error: Exception) -> str:
    """Return the first line of the error that says something; the client's texts span paragraphs."""
    cause = error.__cause__ if isinstance(error, FileNotFoundError) and error.__cause__ else error
    lines = [line.strip().rstrip(".:") for line in str(cause).splitlines() if line.strip()]
    return lines[0] if lines else type(cause).__name__
