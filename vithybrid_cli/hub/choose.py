"""Which commit of a model is fetched, and which of its files: safetensors if there are any, wherever they wait."""

import logging
from dataclasses import dataclass

from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub.catalog import MAIN
from vithybrid_cli.hub.conversions import BOT, Conversion, NoConversion, find_conversion
from vithybrid_cli.hub.errors import HubUnreachable
from vithybrid_cli.hub.files import CONFIG, WEIGHTS
from vithybrid_cli.hub.listing import HubModel, Listing, changed, list_files
from vithybrid_cli.hub.pickles import pickle_of, pickles_in
from vithybrid_cli.hub.unfit import no_config, no_safetensors

_log = logging.getLogger(__name__)

STAND_IN = "vithybrid/main~safetensors"
"""What the cache calls the commit that was taken for main, or for what is pinned. No branch of a hub can be called so.

That a revision like ``refs/pr/1`` is in the cache says nothing: anybody may have fetched it, of any author.
"""
PINNED = "vithybrid/main~pinned"
"""What the cache calls a commit that the catalog pins. It is found without; but what no name points to, is pruned."""


@dataclass(frozen=True)
class Choice:
    """One commit of a model, its files, and the name of the weights (or their index) that are taken.

    ``revision`` is what the cache is to call that commit.
    """

    revision: str
    listing: Listing
    weights: str


def choose(model: HubModel, *, trust_pickle: bool) -> Choice:
    """Ask the hub for what the catalog pins, else for safetensors of the revision, of the bot, else for a pickle.

    Raises:
        HubUnreachable: the hub could not be asked.
        ModelError: no config, no weights that may be fetched, or others than those of the catalog.
    """
    listing = _pinned(model)
    if listing is not None and model.pin is not None and listing.weights is not None:
        return _checked(model, Choice(model.pin.revision, listing, listing.weights))
    listing = list_files(model.repo_id, model.revision)
    if CONFIG not in listing.files:
        raise no_config(model, listing)
    if listing.weights is not None:
        return _checked(model, Choice(STAND_IN if model.pin else model.revision, listing, listing.weights))
    return _without_safetensors(model, listing, trust_pickle)


def _pinned(model: HubModel) -> Listing | None:
    """The files of what the catalog pins; None if that is no longer there, or no longer what it was."""
    if model.pin is None:
        return None
    short = model.pin.revision[:12]
    try:
        listing = list_files(model.repo_id, model.pin.revision)
    except HubUnreachable:
        raise
    except ModelError:  # a mirror's 404 says no more; where there is no such model, its main branch says so again
        _log.warning(f"This hub has no {short} of {model.repo_id}; its main branch is looked at instead.")
        return None
    if CONFIG in listing.files and listing.weights is not None and model.pin.holds(listing.commit):
        return listing
    _log.warning(f"{short} of {model.repo_id} is not what this version knows; its main branch is looked at instead.")
    return None


def _checked(model: HubModel, choice: Choice) -> Choice:
    """Raises ModelError where the hub says that the weights are others than those of the catalog."""
    sha256 = choice.listing.files[choice.weights].sha256
    if model.sha256 is not None and sha256 is not None and sha256 != model.sha256:
        named = choice.listing.commit if choice.revision == STAND_IN else choice.revision
        raise changed(model, named, sha256)
    return choice


def _without_safetensors(model: HubModel, listing: Listing, trust_pickle: bool) -> Choice:
    why = NoConversion("")
    if model.revision == MAIN and pickles_in(listing.files):
        found = find_conversion(model.repo_id, listing.commit)
        choice = _converted(model, found) if isinstance(found, Conversion) else None
        if choice is not None:
            return choice
        why = found if isinstance(found, NoConversion) else NoConversion(f"{BOT}'s pull request has no {WEIGHTS}")
    if trust_pickle and (weights := pickle_of(model.repo_id, listing.files)):
        return Choice(model.revision, listing, weights)
    raise no_safetensors(model, listing, why)


def _converted(model: HubModel, found: Conversion) -> Choice | None:
    """What the pull request has; None if that is no model. Says that it is taken."""
    listing = list_files(model.repo_id, found.commit)
    if CONFIG not in listing.files or listing.weights is None:
        return None
    choice = _checked(model, Choice(STAND_IN, listing, listing.weights))
    _log.warning(
        f"{model.repo_id} has no safetensors on its main branch; those of {BOT}'s pull request {found.number} are "
        f"taken (commit {found.commit[:7]})."
    )
    return choice
