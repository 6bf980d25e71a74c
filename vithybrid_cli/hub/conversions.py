"""The pull request in which the hub's conversion bot offers the safetensors of a model.

Anybody may open a pull request, and give it any title. So one is taken only under the conditions of transformers
(``safetensors_conversion.py`` of 4.57.6): it is open, the bot is its author, and its commit lies upon that of main. A
conversion is never asked for here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vithybrid_cli.hub.api import ask, of_revision
from vithybrid_cli.hub.catalog import MAIN
from vithybrid_cli.hub.listing import COMMIT

BOT = "SFconvertbot"
TITLE = "Adding `safetensors` variant of this model"
_MOST_PAGES = 20  # of some dozens each; a server that counts wrongly is not asked for ever


@dataclass(frozen=True)
class Conversion:
    """A pull request that can be taken, and its commit."""

    number: int
    commit: str


@dataclass(frozen=True)
class NoConversion:
    """Why there is none to take, as a part of a sentence."""

    reason: str


def find_conversion(repo_id: str, main: str) -> Conversion | NoConversion:
    """The bot's pull request upon the commit ``main`` of the main branch. Raises HubUnreachable and ModelError."""
    others, outdated = False, None
    for pull in _pull_requests(repo_id):
        if not _is_open_conversion(pull):
            continue
        if not _is_by_the_bot(pull):
            others = True
            continue
        head, parent = _newest_commits(repo_id, pull["num"])
        if head is not None and parent == main:
            return Conversion(pull["num"], head)
        outdated = pull["num"]
    if outdated is not None:
        return NoConversion(f"pull request {outdated} of {BOT} converts an older state of its main branch")
    if others:
        return NoConversion(f"a pull request that says to convert it is not by {BOT}")
    return NoConversion(f"no open pull request of {BOT} converts it")


def _pull_requests(repo_id: str) -> Iterator[dict[str, Any]]:
    """The bot's, newest first, and from a server that does not heed the question all; none from one without any."""
    seen = 0
    for page in range(_MOST_PAGES):
        parameters = {"author": BOT, "type": "pull_request", "status": "open", "p": str(page)}
        match ask(repo_id, MAIN, "discussions", parameters, may_be_missing=True):
            case {"discussions": [*found], **answer}:
                yield from (pull for pull in found if isinstance(pull, dict))
            case _:
                return
        seen += len(found)
        if not found or not isinstance(count := answer.get("count"), int) or seen >= count:
            return


def _is_open_conversion(pull: dict[str, Any]) -> bool:
    match pull:
        case {"isPullRequest": True, "status": "open", "title": str(title), "num": int()}:
            return title == TITLE
    return False


def _is_by_the_bot(pull: dict[str, Any]) -> bool:
    match pull:
        case {"author": {"name": str(name)}}:
            return name == BOT
    return False


def _newest_commits(repo_id: str, number: int) -> tuple[str | None, str | None]:
    """The commit of the pull request, and the one below it."""
    revision = f"refs/pr/{number}"
    match ask(repo_id, revision, of_revision("commits", revision), {}, may_be_missing=True):
        case [{"id": str(head)}, {"id": str(parent)}, *_] if COMMIT.fullmatch(head) and COMMIT.fullmatch(parent):
            return head, parent
    return None, None
