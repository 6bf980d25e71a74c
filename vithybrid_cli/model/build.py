"""A config becomes its network."""

from vithybrid_cli.model.bit import BitClassifier
from vithybrid_cli.model.config import NetworkConfig, VitConfig
from vithybrid_cli.model.vit import AttentionImplementation, VisionTransformer

Network = VisionTransformer | BitClassifier


def build(config: NetworkConfig, attention: AttentionImplementation = "sdpa") -> Network:
    """The network of ``config`` with weights as torch initialises them; on the current default device."""
    if isinstance(config, VitConfig):
        return VisionTransformer(config, attention)
    return BitClassifier(config)
