"""The names by which a user chooses how a network is run."""

from enum import StrEnum


class Dtype(StrEnum):
    """What the network computes in."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"


class AttentionKind(StrEnum):
    """How torch computes attention; both give the same result."""

    SDPA = "sdpa"
    EAGER = "eager"


class EngineKind(StrEnum):
    """What runs the network."""

    AUTO = "auto"
    TORCH = "torch"
    OPENVINO = "openvino"
