"""What is still in the folder into which was sorted when a sort has been undone: what others have put there."""

import os
from pathlib import Path

from vithybrid_cli.actions.into import pasts_in
from vithybrid_cli.actions.journal import Past, journals_in
from vithybrid_cli.actions.settle import path_of
from vithybrid_cli.errors import UsageError


def later_journals(past: Past) -> list[Path]:
    """The journals of sorts into the same folder that came after this one, oldest first."""
    journals = journals_in(past.file.absolute().parent)
    names = [journal.name for journal in journals]
    return journals[names.index(past.file.name) + 1 :] if past.file.name in names else []


def strangers(past: Past) -> list[str]:
    """The files in the folders which a sort made that no sort has brought there, by name.

    Nothing where a journal of another sort is damaged, as nobody knows then what that has brought.
    """
    into = Path(past.file.absolute().parent)
    try:
        pasts = [past, *pasts_in(into)]
    except UsageError:
        return []
    brought = {path_of(str(into), step.target) for one in pasts for step in one.steps.values()}
    found: set[str] = set()
    for folder in past.folders:
        for place, _, names in os.walk(path_of(str(into), folder)):
            found.update(path_of(place, name) for name in names)
    return sorted(found - brought)
