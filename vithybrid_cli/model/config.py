"""Frozen descriptions of the networks: all that is needed to build one. No torch, and no file format's field names."""

from dataclasses import dataclass
from typing import Literal

Activation = Literal["gelu", "gelu_new", "relu"]
VitFamily = Literal["hybrid", "vit", "deit", "beit"]

# ``bottle_ratio`` and ``make_div`` in transformers and timm, with the rule that no width shrinks by over a tenth.
BOTTLENECK_RATIO = 4
STEM_STRIDE = 4  # stride 2 of the 7×7 convolution times stride 2 of the pool; fixed in every BiT
CHANNEL_MULTIPLE = 8


@dataclass(frozen=True, slots=True)
class BitConfig:
    """A BiT ResNet of bottleneck blocks with GroupNorm and weight-standardised convolutions."""

    embedding_size: int = 64  # channels of the stem
    hidden_sizes: tuple[int, ...] = (256, 512, 1024, 2048)  # channels of each stage
    depths: tuple[int, ...] = (3, 4, 6, 3)  # blocks of each stage
    num_groups: int = 32
    hidden_act: Activation = "relu"
    preactivation: bool = False  # norms and activations before the convolutions (ResNet v2), a last norm at the end
    same_padding: bool = True  # TensorFlow's; else symmetric
    embedding_dynamic_padding: bool = False  # SAME padding of the stem's pool
    out_stage: int = 4  # 1 is the first stage, 0 the stem

    @property
    def out_channels(self) -> int:
        """Channels of the feature map."""
        return self.hidden_sizes[self.out_stage - 1] if self.out_stage else self.embedding_size

    @property
    def stride(self) -> int:
        """Pixels of the picture, in each direction, to one of the feature map."""
        return STEM_STRIDE * 2 ** max(self.out_stage - 1, 0)

    @property
    def least_size(self) -> int:
        """The smallest square picture that it can take: its side in pixels."""
        narrowest = min([self.embedding_size, *map(bottleneck_width, self.hidden_sizes)])
        return self.stride if narrowest > self.num_groups else 2 * self.stride  # a norm needs more than one value

    def feature_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the feature map of an image of ``image_size`` (height, width)."""
        height, width = (self._feature_length(length) for length in image_size)
        return height, width

    def _feature_length(self, length: int) -> int:
        length = -(-length // 2)  # the 7×7 convolution
        padded = self.embedding_dynamic_padding or not self.same_padding
        length = -(-length // 2) if padded else (length - 3) // 2 + 1
        for _ in range(self.out_stage - 1):
            length = -(-length // 2)
        return length


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """A pre-norm transformer encoder."""

    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: Activation = "gelu"
    layer_norm_eps: float = 1e-12
    qkv_bias: bool = True
    layer_scale: bool = False  # a learnt factor for each channel of both residual branches
    relative_positions: Literal["none", "each", "shared"] = (
        "none"  # a bias of the scores for each layer, or one for all
    )


@dataclass(frozen=True, slots=True)
class VitConfig:
    """A Vision Transformer on patches of the pixels or, in a Hybrid ViT, of a backbone's feature map."""

    encoder: EncoderConfig
    labels: tuple[str, ...] = ()  # none: a network without a head
    image_size: tuple[int, int] = (224, 224)  # height, width
    patch_size: tuple[int, int] = (16, 16)  # height, width; of a hybrid on the feature map
    backbone: BitConfig | None = None
    family: VitFamily = "vit"
    class_token: bool = True
    absolute_positions: bool = True
    only_patches_have_positions: bool = False  # of the absolute ones: CLS and the distillation token have none
    distillation_token: bool = False
    distillation_head: bool = False  # a second head, on that token; the logits are the mean of both
    mean_pooling: bool = False  # the head reads the normalised mean of the patch tokens instead of the CLS token
    norm_before_pooling: bool = False  # or the mean of the normalised patch tokens
    mask_token: bool = False
    pooler: bool = False  # a linear layer and tanh on what the head reads, "pre-logits" in the ViT paper's code

    @property
    def grid_size(self) -> tuple[int, int]:
        """Rows and columns of patches; left-over pixels at the bottom and right edge are ignored."""
        height, width = self.image_size if self.backbone is None else self.backbone.feature_size(self.image_size)
        return height // self.patch_size[0], width // self.patch_size[1]

    @property
    def least_size(self) -> int:
        """The smallest square picture that it can take: its side in pixels."""
        if self.backbone is None:
            return max(self.patch_size)
        return max(self.backbone.least_size, self.backbone.stride * max(self.patch_size))

    @property
    def prefix_tokens(self) -> int:
        """Tokens before those of the patches: CLS, and DeiT's distillation token, if there are any."""
        return self.class_token + self.distillation_token

    @property
    def prefix_positions(self) -> int:
        """How many of these have an absolute position."""
        return 0 if self.only_patches_have_positions else self.prefix_tokens

    @property
    def norm_of_mean(self) -> bool:
        """Whether the final norm is that of the mean of the patch tokens, and not of each token."""
        return self.mean_pooling and not self.norm_before_pooling


@dataclass(frozen=True, slots=True)
class BitClassifierConfig:
    """A BiT ResNet as a classifier: a linear head reads the mean of its feature map."""

    backbone: BitConfig
    labels: tuple[str, ...] = ()  # none: a network without a head
    image_size: tuple[int, int] = (224, 224)  # height, width

    @property
    def least_size(self) -> int:
        """The smallest square picture that it can take: its side in pixels."""
        return self.backbone.least_size


NetworkConfig = VitConfig | BitClassifierConfig


def bottleneck_width(out_channels: int) -> int:
    """Channels inside a bottleneck: a quarter, rounded to the nearest multiple of 8, but never down by over a tenth."""
    width = out_channels / BOTTLENECK_RATIO
    half = CHANNEL_MULTIPLE / 2
    rounded = max(CHANNEL_MULTIPLE, int(width + half) // CHANNEL_MULTIPLE * CHANNEL_MULTIPLE)
    return rounded + CHANNEL_MULTIPLE if rounded < 0.9 * width else rounded
