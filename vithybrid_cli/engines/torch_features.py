"""Loads the network for a run: with its head, or one that gives a feature of each picture."""

from torch import Tensor, nn

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.choices import Feature
from vithybrid_cli.engines.features import is_what_the_head_reads
from vithybrid_cli.model.build import Network
from vithybrid_cli.model.config import VitConfig
from vithybrid_cli.model.vit import AttentionImplementation, VisionTransformer


class TokenFeature(nn.Module):
    """Normalised pixels [B, 3, H, W] → a feature [B, D] that the head of the network does not read."""

    def __init__(self, network: VisionTransformer, feature: Feature) -> None:
        super().__init__()
        self.network = network
        self.feature = feature

    @property
    def config(self) -> VitConfig:
        """The network's."""
        return self.network.config

    def forward(self, pixel_values: Tensor) -> Tensor:
        x = self.network.normalized(self.network.encoded(pixel_values))
        pooled = x[:, 0] if self.feature is Feature.CLS else x[:, self.config.prefix_tokens :].mean(1)
        return self.network.fc_norm(pooled)  # the identity where `normalized` has the final norm


RunnableNetwork = Network | TokenFeature


def load_for(
    checkpoint: Checkpoint, attention: AttentionImplementation, feature: Feature | None = None
) -> RunnableNetwork:
    """The float32 network of a checkpoint that gives logits [N, C] or, if one is named, a ``feature`` [N, D].

    Raises ModelError as `load_network` does, UsageError for a feature that the network does not have.
    """
    if feature is None:
        return load_network(checkpoint, attention)
    headless_is_enough = is_what_the_head_reads(feature, checkpoint.config)
    network = load_network(checkpoint, attention, head=False)
    if headless_is_enough:
        return network
    assert isinstance(network, VisionTransformer)  # the only feature of a BiT is what its head reads
    return TokenFeature(network, feature)
