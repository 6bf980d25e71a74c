"""Which feature of a picture a network gives instead of logits. No torch."""

from vithybrid_cli.choices import Feature
from vithybrid_cli.errors import UsageError
from vithybrid_cli.model.config import BitClassifierConfig, NetworkConfig


def is_what_the_head_reads(feature: Feature, config: NetworkConfig) -> bool:
    """Whether the network gives this feature once its head is removed.

    Raises UsageError for the CLS token of a network that has none.
    """
    if isinstance(config, BitClassifierConfig):
        if feature is Feature.CLS:
            raise UsageError(
                "A BiT has no CLS token, only the mean of its feature map.", "Give {feature=auto} or {feature=mean}."
            )
        return True
    if feature is Feature.CLS and not config.class_token:
        raise UsageError(
            "This network has no CLS token, only the mean of its patches.", "Give {feature=auto} or {feature=mean}."
        )
    own = Feature.MEAN if config.mean_pooling else Feature.CLS
    return feature is Feature.AUTO or (feature is own and not config.pooler)


def feature_width(config: NetworkConfig) -> int:
    """How many numbers a feature has."""
    if isinstance(config, BitClassifierConfig):
        return config.backbone.out_channels
    return config.encoder.hidden_size
