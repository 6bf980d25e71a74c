"""Tensors under their layout's names: what wrappers put before a name is taken off. No torch.

A network that is trained inside of another module is saved with that module's name before each of its own: ``module.``
(data parallel), ``_orig_mod.`` (torch.compile), ``model.`` (Lightning), ``timm_model.`` (transformers 5) or whatever
its author called it. So no list of prefixes is kept: a tensor that every network of the layout has tells where the
network begins.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from vithybrid_cli.errors import ModelError

# What torch inserts anywhere in a name, not only before it: compiled, sharded and checkpointed parts.
_INSERTED = re.compile(
    r"(?:^|(?<=\.))(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module|module)\."
)
_AVERAGED = re.compile(r"(?:^|[._])(?:ema|swa|averaged?)(?:[._\d]|$)", re.IGNORECASE)
_ADAPTER = re.compile(
    r"(?:^|\.)(?:lora_(?:A|B|E|embedding_A|embedding_B|magnitude_vector)|base_layer|hada_w1_a|hada_w2_a|lokr_w1|lokr_w2"
    r"|ia3_l|oft_r|oft_R|boft_R|vera_lambda_b|prompt_encoder|modules_to_save)(?:\.|$)"
)


# What networks of transformers 5 call themselves in memory, as somebody saves who does not call its save_pretrained,
# which writes the names of version 4: a part of a name → that part in version 4 (transformers 5.24, modeling_beit.py).
_LAYER = "encoder.layer."
_VERSION_5 = (
    (re.compile(r"layers\.(\d+)\.attention\.q_proj\."), rf"{_LAYER}\1.attention.attention.query."),
    (re.compile(r"layers\.(\d+)\.attention\.k_proj\."), rf"{_LAYER}\1.attention.attention.key."),
    (re.compile(r"layers\.(\d+)\.attention\.v_proj\."), rf"{_LAYER}\1.attention.attention.value."),
    (re.compile(r"layers\.(\d+)\.attention\.o_proj\."), rf"{_LAYER}\1.attention.output.dense."),
    (
        re.compile(r"layers\.(\d+)\.relative_position_bias\."),
        rf"{_LAYER}\1.attention.attention.relative_position_bias.",
    ),
    (re.compile(r"layers\.(\d+)\.mlp\.fc1\."), rf"{_LAYER}\1.intermediate.dense."),
    (re.compile(r"layers\.(\d+)\.mlp\.fc2\."), rf"{_LAYER}\1.output.dense."),
    (re.compile(r"layers\.(\d+)\.(layernorm_before|layernorm_after|lambda_[12])"), rf"{_LAYER}\1.\2"),
    (re.compile(r"shared_position_bias\."), "encoder.relative_position_bias."),
)


@dataclass(frozen=True, slots=True)
class Anchors:
    """The tensors that tell where the networks of a layout begin, the surest first.

    ``not_within`` is a part of a network that has a tensor of that name too. The network itself may be the module
    ``base`` of another one, in which its names are published as well.
    """

    tensors: tuple[str, ...]
    not_within: str
    base: str = ""


def transformers_anchors(base: str) -> Anchors:
    """Those of transformers, where the network is called ``base`` in a classifier."""
    tensors = ("embeddings.patch_embeddings.projection.weight", "embeddings.cls_token", "embedder.convolution.weight")
    return Anchors(tensors, "patch_embeddings.", base)


TIMM = Anchors(("patch_embed.proj.weight", "cls_token", "stem.conv.weight"), "patch_embed.")
# What makes patches of pictures in each library's ViT.
_LIBRARIES = {
    "transformers": transformers_anchors("").tensors[0],
    "timm": TIMM.tensors[0],
    "torchvision": "conv_proj.weight",
}


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """The layout's name of each tensor of the network, and what is to be said if it is one of several."""

    names: Mapping[str, str]
    notice: str | None = None


def unwrapped(names: Collection[str], anchors: Anchors) -> Unwrapped:
    """The names of tensors as they are in their files → as their layout has them.

    Raises ModelError where they are an adapter's, where they are of several networks of which none is to be preferred,
    and where two of them would be called the same. Their cause does not name the file.
    """
    if adapted := next((name for name in sorted(names) if _ADAPTER.search(name)), None):
        raise ModelError(
            f"Its weights are those of an adapter or have one that was not merged ({adapted}).",
            "Merge it into its base (`merge_and_unload` of PEFT), and save the result.",
        )
    plain = {name: _INSERTED.sub("", name) for name in names}
    prefixes = _prefixes(plain.values(), anchors)
    if library := _other_library(names, anchors):
        raise ModelError(
            f"Its tensors have the names of {library}, and its config.json is another library's.",
            "Put the config.json of the same library beside them.",
        )
    prefix, notice = _chosen(prefixes)
    taken_off = _and_outer(prefix)
    others = tuple(part for other in prefixes for part in _and_outer(other) if part not in taken_off)
    theirs = {
        name: _in_version_4(_stripped(bare, taken_off), anchors.base)
        for name, bare in plain.items()
        if not bare.startswith(others)
    }
    if len(set(theirs.values())) < len(theirs):
        twice = min(name for name, count in Counter(theirs.values()).items() if count > 1)
        both = sorted(name for name in theirs if theirs[name] == twice)
        raise ModelError(
            f"Two of its tensors would be the same one of the network: {both[0]} and {both[1]}.",
            "Keep one of them.",
        )
    return Unwrapped(theirs, notice)


def _prefixes(names: Collection[str], anchors: Anchors) -> list[str]:
    """What stands before the network's own names, for each network; empty where there is none."""
    for anchor in anchors.tensors:
        found = {name[: -len(anchor)] for name in names if name == anchor or name.endswith(f".{anchor}")}
        if found := {prefix for prefix in found if anchors.not_within not in prefix}:
            return sorted({_without_base(prefix, anchors.base) for prefix in found})
    return []


def _other_library(names: Collection[str], anchors: Anchors) -> str | None:
    """The library whose names these are, if it is another one than that of ``anchors``."""
    if _has(names, anchors.tensors[0]):
        return None
    return next((library for library, tensor in _LIBRARIES.items() if _has(names, tensor)), None)


def _has(names: Collection[str], tensor: str) -> bool:
    return any(name == tensor or name.endswith(f".{tensor}") for name in names)


def _without_base(prefix: str, base: str) -> str:
    """The part of a prefix before the name under which the network is published inside of another one."""
    if base and (prefix == f"{base}." or prefix.endswith(f".{base}.")):
        return prefix[: -len(base) - 1]
    return prefix


def _chosen(prefixes: list[str]) -> tuple[str, str | None]:
    """The prefix of the network to take. Raises ModelError where that cannot be told.

    A network without a prefix is what transformers loads from such a file; averaged weights are what timm prefers.
    """
    if len(prefixes) < 2:
        return (prefixes or [""])[0], None
    described = " and ".join(repr(prefix) if prefix else "without a prefix" for prefix in prefixes)
    averaged = [prefix for prefix in prefixes if is_averaged(prefix)]
    if "" in prefixes:
        return "", f"has {len(prefixes)} networks ({described}); the one without a prefix is taken"
    if len(averaged) == 1:
        return averaged[0], f"has {len(prefixes)} networks ({described}); the averaged one, {averaged[0]!r}, is taken"
    raise ModelError(
        f"Its weights are {len(prefixes)} networks, with the prefixes {described}.",
        "Save the one that you want in a file of its own.",
    )


def is_averaged(name: str) -> bool:
    """Whether a module or an entry of this name holds weights that are averaged over training."""
    return bool(_AVERAGED.search(name))


def _stripped(name: str, prefixes: tuple[str, ...]) -> str:
    """``name`` without the first of ``prefixes`` that it has: a head may lie beside the module of the rest."""
    return next((name[len(prefix) :] for prefix in prefixes if name.startswith(prefix)), name)


def _in_version_4(name: str, base: str) -> str:
    """The name that transformers' files have, of one of its networks in memory; other layouts have no ``base``."""
    inside = f"{base}." if base and name.startswith(f"{base}.") else ""
    if not base or not name.startswith((f"{inside}layers.", f"{inside}shared_position_bias.")):
        return name
    rest = name[len(inside) :]
    return inside + next((part.sub(old, rest, count=1) for part, old in _VERSION_5 if part.match(rest)), rest)


def _and_outer(prefix: str) -> tuple[str, ...]:
    """``a.b.`` → ``a.b.``, ``a.``."""
    modules = prefix.split(".")[:-1]
    return tuple(".".join(modules[:count]) + "." for count in range(len(modules), 0, -1))
