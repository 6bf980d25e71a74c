"""Group norms of a graph in single operations, which OpenVINO computes faster in float32 than its own.

Whoever changes what they become increases `openvino_cache.CONVERSION`.
"""

import numpy as np

from vithybrid_cli.engines.openvino_runtime import openvino

_GROUP_NORM = "GroupNormalization"
_PIXELS = np.array([2, 3])  # axes of [N, C, H, W]


def spell_out_norms(graph: openvino.Model) -> None:
    """Replace each group norm on [N, C, H, W] by a mean, a difference, a square, a mean and what follows from these.

    OpenVINO reshapes what its own norm reads, so that each one stands between two changes of the memory layout. Of
    these operations none needs another layout than the convolutions around it, and what follows the norm is computed
    with the last of them: 1 to 1.4 times the rate of a network (BENCHMARKS.md). In float16 the squares would overflow.
    """
    for norm in graph.get_ops():
        if norm.get_type_name() == _GROUP_NORM:
            norm.output(0).replace(_spelt_out(norm))


def _spelt_out(norm: openvino.Node) -> openvino.Output:
    ops = openvino.opset13
    x, gain, bias = (norm.input_value(index) for index in range(3))
    groups, eps = norm.get_attributes()["num_groups"], norm.get_attributes()["epsilon"]
    deviations = ops.subtract(x, _over_groups(x, groups))
    variance = _over_groups(ops.multiply(deviations, deviations).output(0), groups)
    # The deviations come first: OpenVINO joins what follows into one operation, in the layout of its first input.
    rsqrt = ops.divide(np.float32(1), ops.sqrt(ops.add(variance, np.float32(eps))))
    return ops.add(ops.multiply(ops.multiply(deviations, rsqrt), _per_channel(gain)), _per_channel(bias)).output(0)


def _over_groups(x: openvino.Output, groups: int) -> openvino.Node:
    """The mean of each group, for each of its channels: [N, C, H, W] → [N, C, 1, 1]."""
    ops = openvino.opset13
    channels = x.get_partial_shape()[1].get_length()
    # 0 stands for the size that is there already, of batches here.
    of_channels = ops.reshape(ops.reduce_mean(x, _PIXELS), np.array([0, groups, channels // groups]), special_zero=True)
    of_groups = ops.reduce_mean(of_channels, np.array([2]), keep_dims=True)
    of_groups = ops.broadcast(of_groups, np.array([1, 1, channels // groups]), broadcast_spec="BIDIRECTIONAL")
    return ops.reshape(of_groups, np.array([0, channels, 1, 1]), special_zero=True)


def _per_channel(values: openvino.Output) -> openvino.Node:
    """[C] → [C, 1, 1]."""
    return openvino.opset13.reshape(values, np.array([-1, 1, 1]), special_zero=False)
