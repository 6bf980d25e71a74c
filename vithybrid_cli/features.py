"""Which feature of a picture a network gives in the place of its labels. No torch."""

from enum import StrEnum

from vithybrid_cli.errors import UsageError
from vithybrid_cli.model.config import BitClassifierConfig, NetworkConfig


class Feature(StrEnum):
    """What a picture becomes.

    ``auto`` is what the network's own head reads, with the layer and the tanh of a pooler where there is one: the CLS
    token, of a distilled DeiT too; the mean of the patch tokens for BEiT and timm's average pooling; the mean of the
    feature map for BiT. ``cls`` and ``mean`` are the CLS token and the mean of the patch tokens after the final norm.
    Where a network has that norm after its mean, as BEiT does, so have both of these.
    """

    AUTO = "auto"
    CLS = "cls"
    MEAN = "mean"


def is_what_the_head_reads(feature: Feature, config: NetworkConfig) -> bool:
    """Whether this feature comes out of the network when its head is left out.

    Raises UsageError for the CLS token of a network that has none.
    """
    if isinstance(config, BitClassifierConfig):
        if feature is Feature.CLS:
            raise UsageError("a BiT has no CLS token, only the mean of its feature map. Give --feature auto or mean.")
        return True
    own = Feature.MEAN if config.mean_pooling else Feature.CLS
    return feature is Feature.AUTO or (feature is own and not config.pooler)


def width_of(config: NetworkConfig) -> int:
    """How many numbers a feature has."""
    if isinstance(config, BitClassifierConfig):
        return config.backbone.out_channels
    return config.encoder.hidden_size
