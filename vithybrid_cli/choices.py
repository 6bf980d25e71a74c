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


class Activation(StrEnum):
    """What makes scores of a network's outputs; ``none`` leaves them as they are."""

    AUTO = "auto"
    SOFTMAX = "softmax"
    SIGMOID = "sigmoid"
    NONE = "none"


class RecipeName(StrEnum):
    """How a network is trained: ``scratch`` from random weights, ``finetune`` from those of a checkpoint."""

    SCRATCH = "scratch"
    FINETUNE = "finetune"


class Freeze(StrEnum):
    """What keeps its weights in training: a Hybrid ViT's ``backbone``, or all that the head reads (``encoder``)."""

    BACKBONE = "backbone"
    ENCODER = "encoder"


class Feature(StrEnum):
    """What a picture becomes.

    ``auto`` is what the network's own head reads, with the layer and the tanh of a pooler where there is one: the CLS
    token, of a distilled DeiT too; the mean of the patch tokens for BEiT, timm's average pooling and where there is no
    CLS token; the mean of the feature map for BiT. ``cls`` and ``mean`` are the CLS token and the mean of the patch
    tokens after the final norm. Where a network has that norm after its mean, as BEiT does, so have both of these.
    """

    AUTO = "auto"
    CLS = "cls"
    MEAN = "mean"


class Method(StrEnum):
    """What shows which parts of a picture speak for a label; ``auto`` is what measures best for the network's family.

    ``attention`` is gradient-weighted attention (https://arxiv.org/abs/2103.15679), which ``attention-backbone`` brings
    to the finer grid of a hybrid's backbone; ``grad-cam`` is https://arxiv.org/abs/1610.02391, and ``occlusion``
    section 4.2 of https://arxiv.org/abs/1311.2901.
    """

    AUTO = "auto"
    ATTENTION = "attention"
    ATTENTION_BACKBONE = "attention-backbone"
    GRAD_CAM = "grad-cam"
    OCCLUSION = "occlusion"


class Thumbnails(StrEnum):
    """Where the thumbnails of a page are: in it, in files beside it, or nowhere."""

    INLINE = "inline"
    LINK = "link"
    NONE = "none"


class Graphics(StrEnum):
    """How a picture is shown in a terminal; ``blocks`` are characters, ``none`` is no picture."""

    AUTO = "auto"
    KITTY = "kitty"
    ITERM = "iterm"
    SIXEL = "sixel"
    BLOCKS = "blocks"
    NONE = "none"
