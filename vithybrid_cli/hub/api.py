"""Questions to the hub's API that huggingface_hub has no safe function for, and their answers as JSON.

The client's own functions for them fail on an answer that is not a hub's as if they had a mistake of their own, have no
time-out, and fetch all pages.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from vithybrid_cli import __version__
from vithybrid_cli.hub.errors import client_calls, not_a_hub

LIBRARY = "vithybrid"  # how this program is called in the client's requests
_NOT_THERE = (401, 403, 404, 405, 410, 501)


def of_revision(what: str, revision: str) -> str:
    """The part of an address that asks for ``what`` of one revision: in it, a slash of the revision is none."""
    return f"{what}/{quote(revision, safe='')}"


def ask(repo_id: str, revision: str, what: str, parameters: Mapping[str, str], *, may_be_missing: bool = False) -> Any:
    """The answer of ``/api/models/OWNER/NAME/what`` (https://huggingface.co/docs/hub/api), None where it is missing.

    One request, not repeated: with no network this fails at once, where the client's downloads try for half a minute.

    Raises:
        HubUnreachable: the hub could not be asked, or what answered is no hub.
        ModelError: the hub refused.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # documented, exported lazily
        build_hf_headers,
        get_session,
        hf_raise_for_status,
    )

    with client_calls(repo_id, revision):
        headers = build_hf_headers(library_name=LIBRARY, library_version=__version__)
        response = get_session().get(
            f"{constants.ENDPOINT}/api/models/{repo_id}/{what}",
            params=dict(parameters),
            headers=headers,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,
        )
        try:
            hf_raise_for_status(response)
        except GatedRepoError:
            raise
        except HfHubHTTPError:
            if may_be_missing and response.status_code in _NOT_THERE:
                return None
            raise
        try:
            return response.json()
        except (ValueError, RecursionError) as error:
            raise not_a_hub(repo_id) from error
