"""Parameters and floating-point operations of a model, from its layers' shapes.

Two counts of a forward pass of one image, both without normalisation, activations,
pooling, resizing, softmax and other element-wise work:

| field | convolution, dense, projection | Q K^T and weights V | relative logits |
|---|---|---|---|
| `gflops_paper` | 2 a multiply-add | 1 | 0 |
| `gflops` | 2 | 2 | 2 |

The first one gives the digits that the paper prints. Its convention is found by
arithmetic from the paper's tables; the paper does not state it. A graph profiler does
not replace this: TensorFlow's counts 0 for an einsum.
"""

import dataclasses
import functools
import math
from typing import NamedTuple

import keras
from keras import layers, tree

from aa_keras.keras_internals import run_through_graph
from aa_keras.layers import BAM, CBAM, GALA, AttentionStem2D, SqueezeExcite
from aa_keras.layers.augmented_conv import AugmentedConv
from aa_keras.layers.self_attention import SelfAttention
from aa_keras.layers.stand_alone import StandAloneAttention2D

# Layers without weights that multiply their inputs.
PRODUCTS = (layers.Attention, layers.Dot)


class Counts(NamedTuple):
    """What a model costs: trainable parameters and 1e9 operations for one image.

    Args:
        params: int, the trainable parameters.
        gflops_paper: float, 1e9 operations as the paper counts them: a multiply-add is
            2 in convolutions and 1 in attention.
        gflops: float, 1e9 operations, where a multiply-add is 2 everywhere.
    """

    params: int
    gflops_paper: float
    gflops: float


@dataclasses.dataclass(frozen=True)
class MultiplyAdds:
    """Multiply-adds of one call for one image, by kind.

    Args:
        projection: int, those in convolutions and dense layers.
        attention: int, those in the products of queries with keys, and of scores with
            values.
        relative: int, those in the relative logits.
    """

    projection: int = 0
    attention: int = 0
    relative: int = 0

    def __add__(self, other):
        pairs = zip(dataclasses.astuple(self), dataclasses.astuple(other), strict=True)
        return MultiplyAdds(*map(sum, pairs))

    @property
    def gflops(self):
        return 2 * (self.projection + self.attention + self.relative) / 1e9


def count(model, input_shape=None) -> Counts:
    """Counts the parameters and the operations of a model.

    Products that are not in a layer, such as `a @ b` of two tensors, count 0.

    Args:
        model: built `keras.Model`, functional or Sequential.
        input_shape: tuple (height, width, channels) of one image. Defaults to the
            model's, which must then be known.

    Raises:
        ValueError: if sizes are open and `input_shape` is missing, or if a layer with
            kernels is of a kind that has no rule in `multiply_adds`.

    Example:

    >>> count(aa_keras.models.AAResNet50()).gflops_paper
    8.33
    """
    work = multiply_adds(model, image_shape(model, input_shape), None)
    return Counts(
        params=sum(math.prod(weight.shape) for weight in model.trainable_weights),
        gflops_paper=(2 * work.projection + work.attention) / 1e9,
        gflops=work.gflops,
    )


def image_shape(model, input_shape):
    """Returns the shape of a batch of one image; the model's where none is given."""
    if input_shape is None:
        input_shape = model.inputs[0].shape[1:]
    if None in tuple(input_shape):
        raise ValueError(
            "input_shape must give all sizes where the model leaves some open; "
            f"received {tuple(input_shape)}"
        )
    others = [tuple(x.shape[1:]) for x in model.inputs[1:]]
    if any(None in shape for shape in others):
        raise ValueError(
            "only the first input of model may have open sizes; received "
            f"{', '.join(map(str, others))} for the others"
        )
    return (1, *input_shape)


@functools.singledispatch
def multiply_adds(layer, input_shape, output_shape) -> MultiplyAdds:
    """Returns the multiply-adds of one call of `layer`; rules go by its type.

    `@multiply_adds.register(MyLayer)` adds a rule. Layers whose weights have one axis
    at most need none and count nothing.

    Args:
        layer: a built `keras.Layer`.
        input_shape: tuple, the shape of its first input, with batch size 1.
        output_shape: tuple, the shape of its first output, with batch size 1.
    """
    kernels = [weight.path for weight in layer.weights if len(weight.shape) > 1]
    if kernels or isinstance(layer, PRODUCTS):
        raise ValueError(
            f"layer must have a rule in aa_keras.counting.multiply_adds; received "
            f"{type(layer).__name__} {layer.name!r} with the kernels {kernels}"
        )
    return MultiplyAdds()


@multiply_adds.register(layers.LayerNormalization)
@multiply_adds.register(layers.Normalization)
@multiply_adds.register(layers.PReLU)
@multiply_adds.register(layers.RMSNormalization)
def _(layer, input_shape, output_shape):
    return MultiplyAdds()  # weights of several axes, but element by element


@multiply_adds.register(layers.Conv1D)
@multiply_adds.register(layers.Conv2D)
@multiply_adds.register(layers.Conv3D)
@multiply_adds.register(layers.DepthwiseConv2D)
def _(layer, input_shape, output_shape):
    # The kernel of a grouped or depthwise convolution is smaller by the groups. Border
    # positions count in full.
    positions = math.prod(spatial_size(output_shape, layer.data_format))
    return MultiplyAdds(projection=_kernel(layer) * positions)


@multiply_adds.register(layers.SeparableConv2D)
def _(layer, input_shape, output_shape):
    kernels = layer.depthwise_kernel, layer.pointwise_kernel
    positions = math.prod(spatial_size(output_shape, layer.data_format))
    return MultiplyAdds(projection=positions * sum(math.prod(k.shape) for k in kernels))


@multiply_adds.register(layers.Dense)
def _(layer, input_shape, output_shape):
    return MultiplyAdds(projection=_kernel(layer) * math.prod(input_shape[:-1]))


@multiply_adds.register(SelfAttention)
def _(layer, input_shape, output_shape):
    projections = projected(layer, input_shape)
    positions = math.prod(projections.size)
    distances = sum(t.shape[0] for t in projections.tables if t is not None)
    return MultiplyAdds(
        projection=positions * (_kernel(layer.qkv) + _kernel(layer.output_projection)),
        attention=positions**2 * (layer.key_depth + layer.value_depth),
        relative=positions * layer.key_depth * distances,
    )


@multiply_adds.register(AugmentedConv)
def _(layer, input_shape, output_shape):
    total = multiply_adds(layer.attention, layer.attention_shape(input_shape), None)
    if layer.convolution is not None:
        positions = math.prod(spatial_size(output_shape, layer.data_format))
        total += MultiplyAdds(projection=positions * _kernel(layer.convolution))
    return total


class _Projecting(keras.Operation):
    """`SelfAttention.project` on symbolic tensors."""

    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, x):
        projections = self.layer.project(x)
        self.size = projections.size  # ints, of which JAX would return tensors
        return projections


@multiply_adds.register(StandAloneAttention2D)
def _(layer, input_shape, output_shape):
    # Before its average pooling. Windows at borders count in full, as convolutions do,
    # and q . r once for each key, which gives the GFLOPs that its paper prints.
    positions = math.prod(spatial_size(input_shape, layer.data_format))
    return _in_windows(layer, positions, math.prod(layer.kernel_size))


@multiply_adds.register(AttentionStem2D)
def _(layer, input_shape, output_shape):
    return _in_windows(layer, math.prod(output_shape[1:-1]), layer.window**2)


def _in_windows(layer, positions, keys):
    """Attention of each position to the keys of a window."""
    return MultiplyAdds(
        projection=positions * _kernel(layer.qkv),
        attention=positions * keys * 2 * layer.filters,
        relative=positions * keys * layer.filters,
    )


@multiply_adds.register(SqueezeExcite)
def _(layer, input_shape, output_shape):
    return MultiplyAdds(projection=_kernel(layer.squeeze) + _kernel(layer.excite))


@multiply_adds.register(CBAM)
def _(layer, input_shape, output_shape):
    # The hidden layer runs on the mean and on the maximum.
    channel = 2 * (_kernel(layer.squeeze) + _kernel(layer.excite))
    spatial = math.prod(output_shape[1:-1]) * _kernel(layer.spatial)
    return MultiplyAdds(projection=channel + spatial)


@multiply_adds.register(GALA)
def _(layer, input_shape, output_shape):
    channel = _kernel(layer.squeeze) + _kernel(layer.excite)
    spatial = _kernel(layer.local_squeeze) + _kernel(layer.local_excite)
    return MultiplyAdds(projection=channel + math.prod(output_shape[1:-1]) * spatial)


@multiply_adds.register(BAM)
def _(layer, input_shape, output_shape):
    channel, spatial = (sum(map(_kernel, p)) for p in (layer.channel, layer.spatial))
    return MultiplyAdds(projection=channel + math.prod(output_shape[1:-1]) * spatial)


@multiply_adds.register(keras.Sequential)
@multiply_adds.register(keras.Function)
def _(model, input_shape, output_shape):
    return sum(
        (multiply_adds(*call) for call in layer_calls(model, input_shape)),
        start=MultiplyAdds(),
    )


def layer_calls(model, input_shape) -> list[tuple]:
    """Returns `(layer, input_shape, output_shape)` of each call of a layer, in order.

    Shapes are worked out anew and not read from the graph, where they may be open. A
    layer that is called twice is there twice.

    Args:
        model: built `keras.Model`, functional or Sequential.
        input_shape: tuple (batch, height, width, channels), of the first input.
            Others have their own shape, which must be known.
    """
    calls = []

    def recorded(operation):
        def call(*args, **kwargs):
            outputs = operation.compute_output_spec(*args, **kwargs)
            if isinstance(operation, layers.Layer):
                inputs = (args, kwargs)
                shapes = (tree.flatten(x)[0].shape for x in (inputs, outputs))
                calls.append((operation, *shapes))
            return outputs

        return call

    shapes = [input_shape, *((1, *x.shape[1:]) for x in model.inputs[1:])]
    inputs = [
        keras.KerasTensor(shape, dtype=x.dtype)
        for shape, x in zip(shapes, model.inputs, strict=True)
    ]
    run_through_graph(model, inputs, recorded)
    return calls


def projected(layer, input_shape):
    """Returns the symbolic `Projections` of an attention layer.

    Args:
        layer: a built `SelfAttention1D` or `SelfAttention2D`.
        input_shape: tuple (batch, height, width, channels).
    """
    projecting = _Projecting(layer)
    projections = projecting.compute_output_spec(keras.KerasTensor(input_shape))
    return projections._replace(size=projecting.size)


def spatial_size(shape, data_format):
    """Returns the lengths of the axes besides batch and channels."""
    return shape[1:-1] if data_format == "channels_last" else shape[2:]


def _kernel(layer):
    """The size of the kernel, 0 for a layer that has none."""
    return math.prod(layer.kernel.shape) if hasattr(layer, "kernel") else 0
