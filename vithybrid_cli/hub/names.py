"""What a name of a model means that is neither a path nor an alias: a hub id, however it is written."""

import difflib
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from vithybrid_cli.errors import ModelError
from vithybrid_cli.hub import catalog, timm_names
from vithybrid_cli.hub.files import CONFIG, PREPROCESSOR_CONFIG, WEIGHTS, WEIGHTS_INDEX

_HUBS = ("huggingface.co", "www.huggingface.co", "hf.co")
# As in timm ("hf-hub:timm/…"), in fsspec ("hf://…"), and in git.
_PREFIX = re.compile(r"(hf[-_]hub:(//)?|timm:|hf://|git@(huggingface|hf)\.co:)", re.IGNORECASE)
_WITHOUT_SCHEME = re.compile(rf"({'|'.join(map(re.escape, _HUBS))})/", re.IGNORECASE)
_AT_REVISION = re.compile(r"([^/@:]+(?:/[^/@]+)?)@([^/]+|refs/.+)")
_OTHER_KINDS = {"datasets": "a dataset", "spaces": "a space"}
_NO_OWNERS = ("blog", "chat", "collections", "docs", "learn", "models", "organizations", "papers", "posts", "tasks")
# What stands in an address between the model and a revision of it.
_VIEWS = ("tree", "blob", "resolve", "raw", "commit", "commits", "blame", "edit")
_LIKE = 0.7  # how like a name must be to be meant; the owner of two hub ids is a small part of them
_OF_A_MODEL = (CONFIG, PREPROCESSOR_CONFIG, WEIGHTS, WEIGHTS_INDEX, "README.md")
_SHARD = re.compile(r"model-\d+-of-\d+\.safetensors")


@dataclass(frozen=True)
class Named:
    """A model of the hub, and the revision that its name says.

    ``written`` is the name as it can be shown, or None where it is no other than the hub id.
    """

    repo_id: str
    revision: str | None = None
    written: str | None = None

    @property
    def meaning(self) -> str:
        """In words."""
        return self.repo_id if self.revision in (None, catalog.MAIN) else f"{self.repo_id} at revision {self.revision}"


def is_of_the_hub(name: str) -> bool:
    """Whether its form says that it is no path, though it may have slashes like one."""
    forms = (_PREFIX.match(name), _WITHOUT_SCHEME.match(name), _AT_REVISION.fullmatch(name))
    return "://" in name or any(form is not None for form in forms)


def understood(name: str) -> Named:
    """The model that ``name`` means. Raises ModelError for what can be none, with what may be meant."""
    text = name.strip()
    if prefix := _PREFIX.match(text):
        named = _of_path(name, text[prefix.end() :])
    elif "://" in text or _WITHOUT_SCHEME.match(text):
        named = _of_address(text)
    else:
        named = _of_id(name, text)
    _require_possible(name, named.repo_id)
    return named


def unknown(name: str) -> ModelError:
    """The error for a name that no model has."""
    return ModelError(f"{name!r} is no folder, no known model and no hub id.", f"{_hint(name)} See `vithybrid models`.")


def _of_id(name: str, text: str) -> Named:
    """A hub id or alias, perhaps with ``@revision``, or timm's name of a network."""
    repo_id, revision = text, None
    if match := _AT_REVISION.fullmatch(text):
        repo_id, revision = match.groups()
        entry = catalog.resolve(repo_id)
        repo_id = repo_id if entry is None or entry.hub_id is None else entry.hub_id
    meant = _meant(repo_id)
    return Named(meant, revision, None if (meant, revision) == (name, None) else name)


def _meant(repo_id: str) -> str:
    """timm's repository for a name without owner or tag, and the catalog's spelling of what differs in case alone."""
    network = repo_id.removeprefix(timm_names.OWNER)
    if found := timm_names.hub_id(network):
        return found
    known = (entry.hub_id for entry in catalog.ENTRIES if entry.hub_id is not None)
    return next((hub_id for hub_id in known if hub_id.casefold() == repo_id.casefold()), repo_id)


def _of_path(name: str, text: str) -> Named:
    """What follows a prefix: ``owner/name``, perhaps with a revision, and in fsspec's form with a file."""
    text = text.removesuffix("/").removesuffix(".git")
    owner = text.partition("/")[0]
    if owner in _OTHER_KINDS:
        raise _of_another_kind(name, owner)
    named = _of_id(name, text)
    if named.repo_id.count("/") > 1:
        model, _, file = text.rpartition("/")
        _require_a_models(name, file)
        named = _of_id(name, model)
    return Named(named.repo_id, named.revision, name)


def _of_address(text: str) -> Named:
    """The model of a page or file of the hub."""
    parts = _split(text)
    shown = f"{parts.scheme}://{_host(parts)}{parts.path}"  # no password, no query
    if not _is_the_hub(parts):
        raise ModelError(
            f"{shown} is no address of the hub.",
            "Name a model as owner/name (and a mirror of the hub with HF_ENDPOINT), or fetch a file and name that.",
        )
    steps = [unquote(step) for step in _path_on_the_hub(parts).split("/") if step]
    if steps[:2] == ["api", "models"]:
        steps = steps[2:]
    if steps and steps[0] in _OTHER_KINDS:
        raise _of_another_kind(shown, steps[0])
    if len(steps) < 2 or steps[0] in _NO_OWNERS:
        raise ModelError(f"{shown} is no model's page.", f"Name one as owner/name: {catalog.DEFAULT_MODEL}.")
    named = _of_id(shown, f"{steps[0]}/{steps[1].removesuffix('.git')}")
    return Named(named.repo_id, _revision_of(shown, named.repo_id, steps[2:]), shown)


def _revision_of(shown: str, repo_id: str, steps: list[str]) -> str | None:
    """The revision that an address names after the model. Raises ModelError where it is of something else."""
    if not steps:
        return None
    if steps[0] == "discussions" and len(steps) > 1:
        raise ModelError(
            f"{shown} is a discussion, or a pull request.",
            f"For the files of a pull request name {repo_id} and give {{revision=refs/pr/{_digits(steps[1])}}}.",
        )
    if steps[0] not in _VIEWS or len(steps) < 2:
        return None
    rest = steps[1:]
    count = 3 if rest[0] == "refs" and len(rest) > 2 else 1  # of a pull request, and not encoded as it should be
    if file := "/".join(rest[count:]):
        _require_a_models(shown, file)
    return "/".join(rest[:count])


def _digits(text: str) -> str:
    return "".join(filter(str.isdigit, text)) or "N"


def _require_a_models(shown: str, file: str) -> None:
    """Raise ModelError for a file or folder that is not simply a part of the model."""
    if file not in _OF_A_MODEL and not _SHARD.fullmatch(file):
        raise ModelError(
            f"{shown} names {file}, and only a whole model is fetched.",
            "Name the model as owner/name, or fetch that file and name it as the model.",
        )


def _of_another_kind(shown: str, kind: str) -> ModelError:
    return ModelError(f"{shown} is {_OTHER_KINDS[kind]}, not a model.", "Name a model, see `vithybrid models`.")


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        parts.port  # noqa: B018 - a bad one is an error once it is read
    except ValueError as error:
        raise ModelError(f"{text} is no address ({error}).", "Name a model as owner/name.") from error
    return parts


def _host(parts: SplitResult) -> str:
    return parts.netloc.rpartition("@")[2].lower()


def _is_the_hub(parts: SplitResult) -> bool:
    """Whether it is an address of Hugging Face, or of the endpoint that is used in its place."""
    from huggingface_hub import constants

    hosts = (*_HUBS, urlsplit(constants.ENDPOINT).netloc.lower())
    return parts.scheme in ("http", "https") and _host(parts) in hosts


def _path_on_the_hub(parts: SplitResult) -> str:
    """The path without that of the endpoint: a mirror may lie below one."""
    from huggingface_hub import constants

    endpoint = urlsplit(constants.ENDPOINT)
    return parts.path.removeprefix(endpoint.path) if _host(parts) == endpoint.netloc.lower() else parts.path


def _require_possible(name: str, repo_id: str) -> None:
    """Raise ModelError for what the hub could call no model; a bare word is taken for a mistyped alias."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # documented, exported lazily

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise unknown(name) from error
    if "/" not in repo_id:
        raise unknown(name)


def _hint(name: str) -> str:
    if guess := guessed(name):
        return guess
    return f"A hub id looks like {catalog.DEFAULT_MODEL}."


def guessed(name: str) -> str:
    """What may be meant, as a sentence: names of the catalog that are like it, but for case, underscores and owner.

    Empty where nothing is like it.
    """
    known = [known for entry in catalog.ENTRIES for known in (entry.alias, entry.hub_id) if known and known != name]
    plain = {_plain(name): name for name in reversed(known)}
    wanted = _plain(name)
    inside = [name for name in known if wanted in _plain(name)] if len(wanted) > 3 else []
    near = [plain[found] for found in difflib.get_close_matches(wanted, plain, 1, _LIKE)]
    guesses = [plain[wanted]] if wanted in plain else (inside or near)[:3]
    if guesses:
        *others, last = guesses
        return f"Did you mean {', '.join(others)} or {last}?" if others else f"Did you mean {last}?"
    network = name.removeprefix(timm_names.OWNER)
    if timm_names.is_of_timm(network) and "." not in network:
        return f"One of timm's has a tag, as in {catalog.ENTRIES[1].name}."
    return ""


def or_a_path(repo_id: str) -> str:
    """What to check where a folder was meant, as a sentence after others; nothing for what the catalog knows."""
    return "" if catalog.resolve(repo_id) is not None else f" If a folder is meant, check its path: {repo_id} is none."


def _plain(name: str) -> str:
    return name.casefold().replace("_", "-")
