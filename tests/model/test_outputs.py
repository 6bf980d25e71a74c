"""Hidden states, attentions, pooled features and losses on request: shapes, conventions, and what is refused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from places import GOLDENS
from torch import Tensor, nn

from vithybrid_cli.checkpoints.checkpoint import Checkpoint
from vithybrid_cli.checkpoints.load import load_network
from vithybrid_cli.errors import UsageError
from vithybrid_cli.model.build import Network, build
from vithybrid_cli.model.config import BitClassifierConfig, BitConfig, EncoderConfig, VitConfig
from vithybrid_cli.model.outputs import outputs
from vithybrid_cli.model.vit import AttentionImplementation, VisionTransformer, eager_attention

TOLERANCE = 1e-5  # of the largest element

ENCODER = EncoderConfig(hidden_size=24, num_hidden_layers=3, num_attention_heads=4, intermediate_size=48)
LABELS = ("cat", "dog", "fox", "owl", "hen")

TRANSFORMERS = [
    pytest.param("hf-hybrid-small", 17, id="hybrid"),
    pytest.param("hf-vit", 65, id="vit"),
    pytest.param("hf-deit-distilled", 66, id="deit-distilled"),
    pytest.param("hf-beit", 65, id="beit"),
]


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def make(labels: tuple[str, ...] = LABELS, **parts: Any) -> VisionTransformer:
    """A network for pictures of 16×16 in 4 patches."""
    config = VitConfig(ENCODER, labels, image_size=(16, 16), patch_size=(8, 8))
    network = build(replace(config, **parts)).eval()
    assert isinstance(network, VisionTransformer)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    return network


def make_bit(labels: tuple[str, ...] = LABELS) -> Network:
    """A BiT of four stages."""
    backbone = BitConfig(8, (16, 32, 64, 64), (1, 1, 1, 1), num_groups=2, preactivation=True)
    return build(BitClassifierConfig(backbone, labels)).eval()


def pictures(network: Network, count: int = 2) -> Tensor:
    return torch.randn(count, 3, *network.config.image_size)


def read(name: str, attention: AttentionImplementation = "sdpa") -> Network:
    return load_network(Checkpoint.read(GOLDENS / name), attention)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    assert actual.shape == expected.shape
    assert (actual - expected).abs().max() <= TOLERANCE * expected.abs().max()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["hf-hybrid-small", "hf-vit", "hf-deit", "hf-deit-distilled", "hf-beit", "hf-bit"])
def test_the_logits_are_those_of_the_network_itself(name: str, attention: AttentionImplementation) -> None:
    network = read(name, attention)
    pixels = pictures(network)
    assert_close(outputs(network, pixels).logits, network(pixels))


@pytest.mark.parametrize(("name", "tokens"), TRANSFORMERS)
def test_eager_attention_gives_what_the_kernel_gives(name: str, tokens: int) -> None:
    network = read(name)
    pixels = pictures(network)
    kernel = outputs(network, pixels, hidden_states=True)
    written_out = outputs(network, pixels, hidden_states=True, attentions=True)
    assert kernel.hidden_states is not None
    assert written_out.hidden_states is not None
    for actual, expected in zip(written_out.hidden_states, kernel.hidden_states, strict=True):
        assert_close(actual, expected)
    assert_close(written_out.logits, kernel.logits)


@pytest.mark.parametrize("bias", [None, torch.zeros(1, 5, 5, dtype=torch.float16)])
def test_eager_attention_stays_finite_in_float16_where_the_kernel_does(bias: Tensor | None) -> None:
    query = torch.full((1, 1, 5, 64), 40.0, dtype=torch.float16)  # q kᵀ is 102,400, float16 ends at 65,504
    value = torch.arange(5 * 64, dtype=torch.float16).view(1, 1, 5, 64)
    kernel = F.scaled_dot_product_attention(query, query, value, bias)
    assert kernel.isfinite().all()
    assert_close(eager_attention(query, query, value, bias).float(), kernel.float())


@pytest.mark.parametrize("name", ["hf-hybrid-small", "hf-bit"])
def test_a_network_computes_the_same_whether_torch_records_gradients_or_not(name: str) -> None:
    network = read(name).to(memory_format=torch.channels_last)  # type: ignore[call-overload] # not in its stubs
    pixels = pictures(network).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        expected = network(pixels)
    assert torch.equal(network(pixels), expected)


@pytest.mark.parametrize(("name", "tokens"), TRANSFORMERS)
def test_each_layer_has_its_hidden_state_and_attention(name: str, tokens: int) -> None:
    network = read(name)
    assert isinstance(network, VisionTransformer)
    encoder = network.config.encoder
    found = outputs(network, pictures(network), hidden_states=True, attentions=True)

    assert found.hidden_states is not None
    assert [tuple(state.shape) for state in found.hidden_states] == [(2, tokens, encoder.hidden_size)] * (
        encoder.num_hidden_layers + 1
    )
    assert found.attentions is not None
    assert [tuple(weights.shape) for weights in found.attentions] == [
        (2, encoder.num_attention_heads, tokens, tokens)
    ] * encoder.num_hidden_layers
    for weights in found.attentions:
        assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))


def test_hidden_states_are_the_embeddings_and_what_each_layer_gives_before_the_final_norm() -> None:
    network = make()
    pixels = pictures(network)
    found = outputs(network, pixels, hidden_states=True)
    assert found.hidden_states is not None
    assert torch.equal(found.hidden_states[0], network.embeddings(pixels))
    for block, before, after in zip(network.blocks, found.hidden_states[:-1], found.hidden_states[1:], strict=True):
        assert torch.equal(after, block(before))
    assert torch.equal(found.last_hidden_state, network.norm(found.hidden_states[-1]))


def test_the_hidden_states_of_a_bit_are_those_of_stem_and_stages() -> None:
    network = make_bit()
    found = outputs(network, torch.randn(2, 3, 64, 96), hidden_states=True)
    assert found.hidden_states is not None
    assert [tuple(state.shape[1:]) for state in found.hidden_states] == [
        (8, 15, 23),
        (16, 15, 23),
        (32, 8, 12),
        (64, 4, 6),
        (64, 2, 3),
    ]
    assert_close(found.pooled, found.last_hidden_state.mean((2, 3)))
    assert_close(found.logits, network.head(found.pooled))


def test_what_is_not_asked_for_is_not_there() -> None:
    network = make()
    found = outputs(network, pictures(network), head_mask=torch.ones(4))
    assert (found.hidden_states, found.attentions, found.loss) == (None, None, None)


def pool_cls(x: Tensor, network: VisionTransformer) -> Tensor:
    return x[:, 0]


def pool_dense(x: Tensor, network: VisionTransformer) -> Tensor:
    assert network.pooler is not None
    return torch.tanh(F.linear(x[:, 0], network.pooler.weight, network.pooler.bias))


def pool_mean(x: Tensor, network: VisionTransformer) -> Tensor:
    bias = network.get_parameter("fc_norm.bias")
    return F.layer_norm(x[:, 1:].mean(1), (24,), network.get_parameter("fc_norm.weight"), bias, 1e-12)


def pool_normalised(x: Tensor, network: VisionTransformer) -> Tensor:
    """The mean of all patches, after a norm that each of them has gone through."""
    return x[:, network.config.prefix_tokens :].mean(1)


def pool_all(x: Tensor, network: VisionTransformer) -> Tensor:
    """The norm of the mean where there is no other token than the patches'."""
    bias = network.get_parameter("fc_norm.bias")
    return F.layer_norm(x.mean(1), (24,), network.get_parameter("fc_norm.weight"), bias, 1e-12)


@pytest.mark.parametrize("labels", [pytest.param(LABELS, id="head"), pytest.param((), id="no head")])
@pytest.mark.parametrize(
    ("parts", "pool"),
    [
        pytest.param({}, pool_cls, id="CLS"),
        pytest.param({"distillation_token": True}, pool_cls, id="CLS before a distillation token"),
        pytest.param({"pooler": True}, pool_dense, id="pooler"),
        pytest.param({"mean_pooling": True}, pool_mean, id="mean"),
        pytest.param({"mean_pooling": True, "norm_before_pooling": True}, pool_normalised, id="mean of norms"),
        pytest.param({"mean_pooling": True, "class_token": False}, pool_all, id="mean without CLS"),
        pytest.param(
            {"mean_pooling": True, "norm_before_pooling": True, "class_token": False},
            pool_normalised,
            id="mean of norms without CLS",
        ),
    ],
)
def test_the_pooled_features_are_what_the_head_reads(
    parts: dict[str, bool], pool: Callable[[Tensor, VisionTransformer], Tensor], labels: tuple[str, ...]
) -> None:
    network = make(labels, **parts)
    pixels = pictures(network)
    found = outputs(network, pixels)
    assert_close(found.pooled, pool(found.last_hidden_state, network))
    assert_close(found.logits, network.head(found.pooled))
    assert_close(network(pixels), found.logits)


def test_a_head_that_is_masked_says_nothing() -> None:
    network = make()
    pixels = pictures(network)
    mask = torch.tensor([1.0, 0.0, 1.0, 0.5])
    masked = outputs(network, pixels, attentions=True, hidden_states=True, head_mask=mask)
    whole = outputs(network, pixels, attentions=True)
    assert masked.attentions is not None
    assert whole.attentions is not None
    # In the first layer, which sees the same tokens.
    assert_close(masked.attentions[0], whole.attentions[0] * mask[:, None, None])

    projection = network.get_parameter("blocks.0.attn.proj.weight")
    with torch.no_grad():  # what leaves a head goes through its columns of the projection
        projection.view(24, 4, 6).mul_(mask[:, None])
    changed = outputs(network, pixels, hidden_states=True)
    assert masked.hidden_states is not None
    assert changed.hidden_states is not None
    assert_close(masked.hidden_states[1], changed.hidden_states[1])


def test_a_mask_for_all_layers_is_one_for_each() -> None:
    network = make()
    pixels, mask = pictures(network), torch.tensor([1, 0, 1, 1])
    each = outputs(network, pixels, head_mask=mask.expand(3, 4))
    assert torch.equal(outputs(network, pixels, head_mask=mask).logits, each.logits)


def test_each_layer_has_a_mask_of_its_own() -> None:
    network = make()
    mask = torch.ones(3, 4)
    mask[0, 1] = mask[2, 3] = 0
    found = outputs(network, pictures(network), attentions=True, head_mask=mask)
    assert found.attentions is not None
    silent = [(weights == 0).all(-1).all(-1).all(0) for weights in found.attentions]  # [heads] of each layer
    assert torch.equal(torch.stack(silent), mask == 0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_mask_of_another_type_is_taken(dtype: torch.dtype) -> None:
    network = make().to(dtype)
    pixels = pictures(network).to(dtype)
    mask = torch.ones(3, 4)
    assert outputs(network, pixels, head_mask=mask).logits.dtype is dtype


def test_masked_patches_are_the_mask_token_and_keep_their_positions() -> None:
    network = make(mask_token=True)
    pixels = pictures(network)
    where = torch.tensor([[True, False, False, True], [False, False, True, False]])
    masked = outputs(network, pixels, hidden_states=True, bool_masked_pos=where)
    whole = outputs(network, pixels, hidden_states=True)
    assert masked.hidden_states is not None
    assert whole.hidden_states is not None
    positions, token = network.embeddings.position_embeddings, network.embeddings.mask_token
    assert positions is not None
    assert token is not None
    expected = whole.hidden_states[0].clone()
    expected[:, 1:][where] = (token + positions[:, 1:]).expand(2, -1, -1)[where]
    assert torch.equal(masked.hidden_states[0], expected)


def test_where_only_patches_have_positions_cls_is_the_same_token_wherever_it_stands() -> None:
    network = make(only_patches_have_positions=True)
    pixels = pictures(network)
    states = outputs(network, pixels, hidden_states=True).hidden_states
    positions, cls = network.embeddings.position_embeddings, network.embeddings.cls_token
    assert states is not None
    assert positions is not None
    assert cls is not None
    assert positions.shape == (1, 4, 24)
    assert torch.equal(states[0][:, :1], cls.expand(2, -1, -1))
    patches = network.embeddings.projection(pixels).flatten(2).transpose(1, 2)
    assert torch.equal(states[0][:, 1:], patches + positions)


def test_what_a_masked_patch_shows_does_not_matter() -> None:
    network = make(mask_token=True)
    pixels = pictures(network, 1)
    other = pixels.clone()
    other[:, :, :8, 8:] = 0  # the second patch
    where = torch.tensor([[False, True, False, False]])
    masked = [outputs(network, each, bool_masked_pos=where).logits for each in (pixels, other)]
    assert torch.equal(*masked)
    assert not torch.equal(network(pixels), network(other))


@pytest.mark.parametrize("make_network", [make, make_bit])
def test_the_loss_of_indices_is_the_cross_entropy(make_network: Callable[[], Network]) -> None:
    network = make_network()
    labels = torch.tensor([3, 0])
    found = outputs(network, pictures(network), labels=labels)
    assert found.loss is not None
    expected = torch.stack([-row.log_softmax(0)[index] for row, index in zip(found.logits, labels, strict=True)]).mean()
    assert_close(found.loss, expected)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param(torch.tensor([0.5, -1.5]), id="float"),
        pytest.param(torch.tensor([[0.5], [-1.5]]), id="column"),
        pytest.param(torch.tensor([2, 0]), id="integer"),
    ],
)
@pytest.mark.parametrize("make_network", [make, make_bit])
def test_the_loss_of_one_label_is_the_mean_squared_error(
    make_network: Callable[[tuple[str, ...]], Network], labels: Tensor
) -> None:
    network = make_network(("age",))
    found = outputs(network, pictures(network), labels=labels)
    assert found.loss is not None
    assert_close(found.loss, ((found.logits[:, 0] - labels.flatten()) ** 2).mean())


def beit(positions: Literal["each", "shared"]) -> dict[str, Any]:
    """The parts of a BEiT."""
    encoder = replace(ENCODER, layer_scale=True, relative_positions=positions)
    return {"encoder": encoder, "absolute_positions": False, "mean_pooling": True}


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param({"distillation_token": True, "distillation_head": True}, id="distilled"),
        pytest.param(beit("each"), id="a bias of each layer"),
        pytest.param(beit("shared"), id="a bias of all layers"),
        pytest.param({"only_patches_have_positions": True}, id="only patches have positions"),
        pytest.param({"class_token": False, "mean_pooling": True, "norm_before_pooling": True}, id="no CLS"),
    ],
)
def test_a_loss_reaches_every_parameter(parts: dict[str, Any]) -> None:
    network = make(mask_token=True, **parts).train()
    where = torch.tensor([[True, False, False, True], [False, False, True, False]])
    found = outputs(network, pictures(network), bool_masked_pos=where, labels=torch.tensor([3, 0]))
    assert found.loss is not None
    found.loss.backward()  # type: ignore[no-untyped-call] # it has no annotations
    without = [
        name for name, parameter in network.named_parameters() if parameter.grad is None or not parameter.grad.any()
    ]
    assert without == []


REFUSED = [
    pytest.param(make, {"bool_masked_pos": torch.ones(2, 4)}, "This network has no mask token", id="no mask token"),
    pytest.param(make, {"head_mask": torch.ones(3)}, r"shape \[3\]. Give one of shape \[4\] or \[3, 4\]", id="heads"),
    pytest.param(make, {"head_mask": torch.ones(4, 3)}, r"`head_mask` has the shape \[4, 3\]", id="layers"),
    pytest.param(make, {"labels": torch.ones(2)}, "5 classes need class indices", id="values for classes"),
    pytest.param(
        make, {"labels": torch.tensor([1])}, r"`labels` has the shape \[1\] for 2 pictures", id="too few labels"
    ),
    pytest.param(
        make, {"labels": torch.tensor([[0, 1, 2]])}, r"`labels` has the shape \[1, 3\] for 2", id="labels in a row"
    ),
    pytest.param(
        make, {"labels": torch.tensor([[0], [1], [2]])}, r"`labels` has the shape \[3, 1\] for 2", id="too many labels"
    ),
    pytest.param(make_bit, {"attentions": True}, "A BiT has no attentions", id="attentions of a BiT"),
    pytest.param(make_bit, {"head_mask": torch.ones(4)}, "A BiT has no attentions, heads", id="heads of a BiT"),
    pytest.param(make_bit, {"bool_masked_pos": torch.ones(2, 4)}, "A BiT has no", id="patches of a BiT"),
]


@pytest.mark.parametrize(("make_network", "arguments", "message"), REFUSED)
def test_what_a_network_cannot_do_is_refused(
    make_network: Callable[[], Network], arguments: dict[str, Any], message: str
) -> None:
    network = make_network()
    with pytest.raises(UsageError, match=message):
        outputs(network, pictures(network), **arguments)


def test_a_label_is_one_of_a_list() -> None:
    network = make()
    with pytest.raises(UsageError, match=r"`labels` has the shape \[\] for 1 pictures. Give labels of shape \[1\]."):
        outputs(network, pictures(network, 1), labels=torch.tensor(1))


@pytest.mark.parametrize("shape", [(2, 3), (1, 4), (2, 4, 1)])
def test_a_mask_for_other_patches_is_refused(shape: tuple[int, ...]) -> None:
    network = make(mask_token=True)
    with pytest.raises(UsageError, match=r"`bool_masked_pos` has the shape .* Give one of shape \[2, 4\]"):
        outputs(network, pictures(network), bool_masked_pos=torch.ones(shape, dtype=torch.bool))


@pytest.mark.parametrize("make_network", [make, make_bit])
def test_labels_for_a_network_without_a_head_are_refused(
    make_network: Callable[[tuple[str, ...]], Network],
) -> None:
    network = make_network(())
    with pytest.raises(UsageError, match="This network has no head"):
        outputs(network, pictures(network), labels=torch.tensor([0, 1]))


@pytest.mark.parametrize("shape", [(2, 3, 16, 24), (2, 3, 8, 8), (2, 1, 16, 16), (3, 16, 16)])
def test_pictures_of_another_size_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"but this network takes \[B, 3, 16, 16\]"):
        outputs(make(), torch.zeros(shape))


@pytest.mark.parametrize("shape", [(2, 1, 64, 64), (3, 64, 64)])
def test_a_bit_takes_pictures_of_three_channels_in_batches(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match=r"but this network takes \[B, 3, H, W\]"):
        outputs(make_bit(), torch.zeros(shape))
