"""One table per published layout: what other libraries call each tensor of our networks.

A row names one of our modules or parameters and its counterpart; ``*`` stands for an index that both share, and
``.weight`` and ``.bias`` are understood. Where the counterpart is a list, our tensor is theirs stacked along the first
axis.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Row:
    """One of our names and its counterparts in a published layout."""

    ours: str
    theirs: tuple[str, ...]

    @cached_property
    def our_pattern(self) -> re.Pattern[str]:
        """Matches our tensor names of this row; the groups are the indices and the suffix."""
        return _pattern(self.ours)

    @cached_property
    def their_patterns(self) -> tuple[re.Pattern[str], ...]:
        """The same for each counterpart."""
        return tuple(_pattern(name) for name in self.theirs)


class KeyMap:
    """A published layout: renames tensors from it and to it."""

    def __init__(self, rows: Iterable[tuple[str, str | Sequence[str]]]) -> None:
        self.rows = tuple(Row(ours, (theirs,) if isinstance(theirs, str) else tuple(theirs)) for ours, theirs in rows)

    def to_ours(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename and stack a complete set of published tensors, the parts of each stack alike in shape.

        Raises KeyError for a name that no row knows and for a part that is missing.
        """
        our_names = dict.fromkeys(self._our_name(name) for name in tensors)
        return {name: _stacked([tensors[part] for part in self.their_names(name)]) for name in our_names}

    def from_ours(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename our tensors to the published layout. Raises KeyError for a name that no row knows."""
        theirs: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            names = self.their_names(name)
            theirs.update(zip(names, tensor.chunk(len(names)), strict=True))
        return theirs

    def their_names(self, our_name: str) -> tuple[str, ...]:
        """The published names of one of our tensors. Raises KeyError for a name that no row knows."""
        for row in self.rows:
            if match := row.our_pattern.fullmatch(our_name):
                return tuple(_fill(name, match) for name in row.theirs)
        raise KeyError(our_name)

    def _our_name(self, their_name: str) -> str:
        for row in self.rows:
            for pattern in row.their_patterns:
                if match := pattern.fullmatch(their_name):
                    return _fill(row.ours, match)
        raise KeyError(their_name)


def _stacked(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)  # one alone stays memory-mapped


def _pattern(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\*", r"(\d+)") + r"((?:\.(?:weight|bias))?)")


def _fill(name: str, match: re.Match[str]) -> str:
    *indices, suffix = match.groups()
    for index in indices:
        name = name.replace("*", index, 1)
    return name + suffix


_BIT = "vit.embeddings.patch_embeddings.backbone.bit"
_STAGE = f"{_BIT}.encoder.stages.*.layers.*"
_LAYER = "vit.encoder.layer.*"

TRANSFORMERS_HYBRID = KeyMap(
    [
        ("embeddings.backbone.stem.conv", f"{_BIT}.embedder.convolution"),
        ("embeddings.backbone.stem.norm", f"{_BIT}.embedder.norm"),
        *(
            (f"embeddings.backbone.stages.*.*.{part}", f"{_STAGE}.{part}")
            for part in ("conv1", "conv2", "conv3", "norm1", "norm2", "norm3", "downsample.conv", "downsample.norm")
        ),
        ("embeddings.projection", "vit.embeddings.patch_embeddings.projection"),
        ("embeddings.cls_token", "vit.embeddings.cls_token"),
        ("embeddings.position_embeddings", "vit.embeddings.position_embeddings"),
        ("blocks.*.norm1", f"{_LAYER}.layernorm_before"),
        ("blocks.*.attn.qkv", [f"{_LAYER}.attention.attention.{part}" for part in ("query", "key", "value")]),
        ("blocks.*.attn.proj", f"{_LAYER}.attention.output.dense"),
        ("blocks.*.norm2", f"{_LAYER}.layernorm_after"),
        ("blocks.*.mlp.fc1", f"{_LAYER}.intermediate.dense"),
        ("blocks.*.mlp.fc2", f"{_LAYER}.output.dense"),
        ("norm", "vit.layernorm"),
        ("head", "classifier"),
    ]
)
