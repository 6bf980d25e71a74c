"""BiT, "Big Transfer" (https://arxiv.org/abs/1912.11370): the ResNet whose feature map a Hybrid ViT reads as tokens.

Bottleneck blocks (ResNet v1.5: the stride is on the 3×3 convolution) with GroupNorm instead of BatchNorm, padded as
TensorFlow's SAME does. As a classifier of its own (``google/bit-50``) the blocks are those of ResNet v2: norm and
activation before each convolution (https://arxiv.org/abs/1603.05027), symmetric zero padding.
Every convolution is weight-standardised (https://arxiv.org/abs/1903.10520). That depends on the weights alone, so
`standardize` is applied once at load, and the convolutions here are plain.
Names follow timm's ``resnetv2``: stem, stages, conv1–3, norm1–3, downsample.
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vithybrid_cli.model.config import BitClassifierConfig, BitConfig, bottleneck_width

GROUP_NORM_EPS = 1e-5  # both transformers and timm
STANDARDIZE_EPS = 1e-8  # of the hybrids, inside the root, in both transformers and timm


def standardize(weight: Tensor, eps: float = STANDARDIZE_EPS) -> Tensor:
    """Weight standardisation of a convolution weight [out, in, kh, kw]: ``(w - mean) / sqrt(var + eps)`` per output.

    Through ``batch_norm``, as both references compute it: a weight that differs in its last bit shows in the logits.
    """
    per_output = weight.reshape(1, weight.shape[0], -1)
    return F.batch_norm(per_output, None, None, training=True, momentum=0.0, eps=eps).reshape_as(weight)


def activation(name: str) -> nn.Module:
    """The activation module of a config's ``hidden_act``."""
    if name == "relu":
        return nn.ReLU(inplace=True)
    return nn.GELU(approximate="tanh" if name == "gelu_new" else "none")


def same_padding(length: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a side of ``length``, as TensorFlow's SAME pads: the odd one goes to the end."""
    total = max((-(-length // stride) - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


def pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Zero-pad x [N, C, H, W] so that a kernel at this stride gives ceil(H / stride) × ceil(W / stride)."""
    top, bottom = same_padding(x.shape[2], kernel, stride)
    left, right = same_padding(x.shape[3], kernel, stride)
    return F.pad(x, (left, right, top, bottom)) if top or bottom or left or right else x


class GroupNorm(nn.GroupNorm):
    """``nn.GroupNorm``, in evaluation as accurate in channels_last as in the other memory layout.

    In channels_last torch's CPU kernel sums x and x² over all pixels in one float32 each. That costs one to three
    digits and, after the many norms of a backbone, the third decimal of a logit. So float32 is computed in steps that
    keep them; shorter types lose more anyway, and training does not need it.
    """

    fused = False  # torch's own operation in every case: for a graph that another runtime will compute

    def forward(self, x: Tensor) -> Tensor:
        in_steps = x.dtype is torch.float32 and x.device.type == "cpu" and not (self.training or self.fused)
        if not (in_steps and x.is_contiguous(memory_format=torch.channels_last)):
            return super().forward(x)
        mean = self._over_groups(x)
        variance = self._over_groups(F.mse_loss(x, mean.expand_as(x), reduction="none"))
        scale = torch.rsqrt(variance + self.eps) * self.weight.view(-1, 1, 1)
        return torch.addcmul(self.bias.view(-1, 1, 1) - mean * scale, x, scale)

    def _over_groups(self, x: Tensor) -> Tensor:
        """The mean of each group, for each of its channels: [N, C, H, W] → [N, C, 1, 1]."""
        batch, channels = x.shape[:2]
        per_group = channels // self.num_groups
        means = x.mean((2, 3)).view(batch, self.num_groups, per_group)  # torch's mean sums in a cascade
        return means.mean(2, keepdim=True).expand(-1, -1, per_group).reshape(batch, channels, 1, 1)


class StandardizedConv2d(nn.Conv2d):
    """A convolution without bias whose weights are standardised already; padded as SAME does, or symmetrically."""

    def __init__(self, config: BitConfig, in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> None:
        # At stride 1 SAME is symmetric for an odd kernel, and the convolution pads without a copy.
        self.pads_same = config.same_padding and stride > 1
        padding = 0 if self.pads_same else ((stride - 1) + (kernel - 1)) // 2
        super().__init__(in_channels, out_channels, kernel, stride, padding, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.pads_same:
            x = pad_same(x, self.kernel_size[0], self.stride[0])
        return super().forward(x)


class Stem(nn.Module):
    """7×7 convolution and 3×3 max pooling, stride 2 each: [N, 3, H, W] → [N, C, H/4, W/4]."""

    def __init__(self, config: BitConfig) -> None:
        super().__init__()
        self.conv = StandardizedConv2d(config, 3, config.embedding_size, 7, stride=2)
        # Pre-activation blocks begin with their own norm.
        self.norm = nn.Identity() if config.preactivation else _norm(config, config.embedding_size)
        self.act = nn.Identity() if config.preactivation else activation(config.hidden_act)
        self.border = 0 if config.same_padding else 1
        self.dynamic_padding = config.embedding_dynamic_padding

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.border:
            x = F.pad(x, (self.border,) * 4)  # with zeros; max pooling itself would pad with -inf
        x = self.act(self.norm(x))
        if self.dynamic_padding:
            x = pad_same(x, 3, 2)
        return F.max_pool2d(x, 3, 2)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolution around a shortcut: [N, C_in, H, W] → [N, C_out, H/stride, W/stride]."""

    def __init__(self, config: BitConfig, in_channels: int, out_channels: int, stride: int, downsample: bool) -> None:
        super().__init__()
        width = bottleneck_width(out_channels)
        self.conv1 = StandardizedConv2d(config, in_channels, width, 1)
        self.norm1 = _norm(config, width)
        self.conv2 = StandardizedConv2d(config, width, width, 3, stride)
        self.norm2 = _norm(config, width)
        self.conv3 = StandardizedConv2d(config, width, out_channels, 1)
        self.norm3 = _norm(config, out_channels)
        self.act = activation(config.hidden_act)
        self.downsample: nn.Module | None = None
        if downsample:
            conv = StandardizedConv2d(config, in_channels, out_channels, 1, stride)
            self.downsample = nn.Sequential(OrderedDict(conv=conv, norm=_norm(config, out_channels)))

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        x = self.act(self.norm1(self.conv1(x)))
        x = self.act(self.norm2(self.conv2(x)))
        x = self.norm3(self.conv3(x))
        return self.act(x + shortcut)


class PreactivationBottleneck(nn.Module):
    """`Bottleneck` with norm and activation before each convolution, and none after the sum."""

    def __init__(self, config: BitConfig, in_channels: int, out_channels: int, stride: int, downsample: bool) -> None:
        super().__init__()
        width = bottleneck_width(out_channels)
        self.norm1 = _norm(config, in_channels)
        self.conv1 = StandardizedConv2d(config, in_channels, width, 1)
        self.norm2 = _norm(config, width)
        self.conv2 = StandardizedConv2d(config, width, width, 3, stride)
        self.norm3 = _norm(config, width)
        self.conv3 = StandardizedConv2d(config, width, out_channels, 1)
        self.act = activation(config.hidden_act)
        self.downsample: nn.Module | None = None
        if downsample:
            conv = StandardizedConv2d(config, in_channels, out_channels, 1, stride)
            self.downsample = nn.Sequential(OrderedDict(conv=conv))

    def forward(self, x: Tensor) -> Tensor:
        activated = self.act(self.norm1(x))
        shortcut = x if self.downsample is None else self.downsample(activated)
        x = self.conv1(activated)
        x = self.conv2(self.act(self.norm2(x)))
        x = self.conv3(self.act(self.norm3(x)))
        return x + shortcut


class Bit(nn.Module):
    """The backbone: normalised pixels [N, 3, H, W] → feature map [N, C, h, w] of the config's ``out_stage``."""

    def __init__(self, config: BitConfig) -> None:
        super().__init__()
        self.stem = Stem(config)
        self.stages = nn.ModuleList()
        self.out_stage = config.out_stage
        channels = config.embedding_size
        for index, (depth, width) in enumerate(zip(config.depths, config.hidden_sizes, strict=True)):
            self.stages.append(_stage(config, channels, width, depth, stride=1 if index == 0 else 2))
            channels = width

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for stage in self.stages[: self.out_stage]:
            x = stage(x)
        return x


class BitClassifier(nn.Module):
    """Normalised pixels [N, 3, H, W] → logits [N, C]; without labels, the mean of the feature map [N, D]."""

    def __init__(self, config: BitClassifierConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.backbone.out_channels
        self.backbone = Bit(config.backbone)
        self.norm = _norm(config.backbone, channels)
        self.act = activation(config.backbone.hidden_act)
        self.head = nn.Linear(channels, len(config.labels)) if config.labels else nn.Identity()

    def forward(self, pixel_values: Tensor) -> Tensor:
        return self.forward_head(self.normalized(self.backbone(pixel_values)))

    def normalized(self, features: Tensor) -> Tensor:
        """The backbone's feature map [N, D, h, w] after the last norm and activation."""
        return self.act(self.norm(features))

    def forward_head(self, features: Tensor) -> Tensor:
        """The feature map after the last norm [N, D, h, w] → logits [N, C]."""
        return self.head(self.pooled(features))

    def pooled(self, features: Tensor) -> Tensor:
        """The feature map after the last norm [N, D, h, w] → what the head reads [N, D]."""
        return features.mean((2, 3))


def use_fused_group_norm(network: nn.Module) -> None:
    """Let every `GroupNorm` of a network be torch's own operation."""
    for module in network.modules():
        if isinstance(module, GroupNorm):
            module.fused = True


def _norm(config: BitConfig, channels: int) -> GroupNorm:
    return GroupNorm(config.num_groups, channels, GROUP_NORM_EPS)


def _stage(config: BitConfig, in_channels: int, out_channels: int, depth: int, stride: int) -> nn.Sequential:
    block = PreactivationBottleneck if config.preactivation else Bottleneck
    first = block(config, in_channels, out_channels, stride, downsample=True)
    rest = [block(config, out_channels, out_channels, 1, downsample=False) for _ in range(depth - 1)]
    return nn.Sequential(first, *rest)
