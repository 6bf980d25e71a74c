"""The names by which a user chooses how a network is run."""

from enum import StrEnum


class Dtype(StrEnum):
    """What the network computes in."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    TF32 = "tf32"  # float32 whose products an NVIDIA GPU computes with ten bits after the point


class WeightsDtype(StrEnum):
    """What weights are stored in."""

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
