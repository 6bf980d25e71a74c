"""The other libraries, used as their documentation does; these files run in the Python that has them."""

from dataclasses import dataclass

from vithybrid_cli.bench.measurements import Part


@dataclass(frozen=True, slots=True)
class Peer:
    """A library to measure beside ours: what pip installs for it, and which parts it has.

    ``ours``: it is looked for in our own Python and not in that of ``--peers``. ``versions`` are the beginnings of
    those that know the Hybrid ViT; empty for all.
    """

    name: str
    requirements: str
    parts: tuple[Part, ...]
    ours: bool = False
    versions: str = ""


_ALL = (
    # The last version with ViTHybrid; it cannot be installed beside huggingface_hub 1 and newer.
    Peer(
        "transformers",
        "torch transformers==4.57.6 pillow",
        (Part.NETWORK, Part.PROCESS, Part.START),
        versions="4.",
    ),
    Peer("timm", "torch timm", (Part.NETWORK,)),
    Peer("openvino", "openvino", (Part.NETWORK,), ours=True),
    Peer("pillow", "pillow", (Part.DECODE,), ours=True),
)
PEERS = {peer.name: peer for peer in _ALL}
