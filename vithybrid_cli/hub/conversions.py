"""The pull request in which the hub's conversion bot offers the safetensors of a model.

Anybody may open a pull request, and give it any title. So one is taken only under the conditions of transformers
(``safetensors_conversion.py`` of 4.57.6): it is open, the bot is its author, and its commit lies upon that of main. A
conversion is never asked for here.
"""

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
    """Why there is none to take, as a part of a sentence; ``outdated`` is the number of one of an older state."""

    reason: str
    outdated: int | None = None


def find_conversion(repo_id: str, main: str) -> Conversion | NoConversion:
    """The bot's pull request upon the commit ``main`` of the main branch. Raises HubUnreachable and ModelError."""
    pulls = _pull_requests(repo_id)
    if pulls is None:
        return NoConversion("this hub lists no pull requests of it")
    offered = list(filter(_is_open_conversion, pulls))
    by_the_bot = list(filter(_is_by_the_bot, offered))
    for pull in by_the_bot:
        head, parent = _newest_commits(repo_id, pull["num"])
        if head is not None and parent == main:
            return Conversion(pull["num"], head)
    if by_the_bot:
        number = by_the_bot[0]["num"]
        return NoConversion(f"pull request {number} of {BOT} is not made of its main branch as it is", number)
    if offered:
        return NoConversion(f"pull request {offered[0]['num']} says to convert it, and is not by {BOT}")
    return NoConversion(f"no open pull request of {BOT} converts it")


def _pull_requests(repo_id: str) -> list[dict[str, Any]] | None:
    """The bot's, newest first, and of a server that does not heed the question all; None where they are not told."""
    pulls: list[Any] = []
    for page in range(_MOST_PAGES):
        parameters = {"author": BOT, "type": "pull_request", "status": "open", "p": str(page)}
        match ask(repo_id, MAIN, "discussions", parameters, may_be_missing=True):
            case {"discussions": [*found], "count": int(count)}:
                pulls += found
            case _:
                return None
        if not found or len(pulls) >= count:
            break
    return [pull for pull in pulls if isinstance(pull, dict)]


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
