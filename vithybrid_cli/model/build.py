"""Builds the network that a config describes."""

from vithybrid_cli.model.bit import BitClassifier
from vithybrid_cli.model.config import NetworkConfig, VitConfig
from vithybrid_cli.model.vit import AttentionImplementation, VisionTransformer

Network = VisionTransformer | BitClassifier


def build(config: NetworkConfig, attention: AttentionImplementation = "sdpa") -> Network:
    """The network of ``config`` on the current default device, with weights as torch initialises them."""
    if isinstance(config, VitConfig):
        return VisionTransformer(config, attention)
    return BitClassifier(config)
