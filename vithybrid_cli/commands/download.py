"""``vithybrid download``: fetches models ahead of their first use, or brings them up to date."""

from typing import Annotated

import typer

from vithybrid_cli.commands.options import NoProgress, Offline, Quiet, Revision
from vithybrid_cli.commands.watch import Stderr
from vithybrid_cli.errors import ModelError, VitHybridError
from vithybrid_cli.hub import catalog
from vithybrid_cli.hub.locate import locate
from vithybrid_cli.output.destination import opened

Models = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODEL",
        help="Aliases of `vithybrid models`, hub ids, or addresses of models on the hub.",
        show_default=catalog.DEFAULT_MODEL,
    ),
]


def download(
    models: Models = None,
    revision: Revision = None,
    offline: Offline = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
) -> None:
    """Fetch models, or newer versions of them, check their files, and print the folder of each.

    Only config, preprocessing and safetensors weights are fetched, into the cache that huggingface_hub keeps. What is
    already there is not fetched again. Where a model has a pickle alone, the safetensors are taken that the hub's
    conversion bot offers in a pull request. Set HF_TOKEN for private models, HF_HOME to keep the cache elsewhere.

    Example: vithybrid download google/vit-hybrid-base-bit-384
    """
    names = models or [catalog.DEFAULT_MODEL]
    errors: list[VitHybridError] = []
    for name in names:
        try:
            with Stderr(quiet=quiet, no_progress=no_progress) as watch, watch.fetching() as progress:
                folder = locate(name, revision=revision, offline=offline, update=True, progress=progress)
        except VitHybridError as error:
            errors.append(error)
        else:
            with opened(None, remedy="make room there"):
                typer.echo(folder)
    _raise(errors, len(names))


def _raise(errors: list[VitHybridError], models: int) -> None:
    """Raise the only error there was, or a ModelError that names all of them."""
    if len(errors) == 1:
        raise errors[0]
    if errors:
        reasons = " ".join(map(str, errors))
        raise ModelError(f"{len(errors)} of {models} models could not be fetched. {reasons}")
