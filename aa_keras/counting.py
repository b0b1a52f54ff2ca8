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
from aa_keras.layers import BAM, CBAM, GALA, SqueezeExcite
from aa_keras.layers.augmented_conv import AugmentedConv
from aa_keras.layers.self_attention import SelfAttention
from aa_keras.plain_text import as_table


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


class Replacement(NamedTuple):
    """A convolution that was augmented, or the whole model, before and after.

    Args:
        layer: str, the name of the convolution, or of the model.
        map: tuple (height, width) of the output map, of its first call.
        filters: int, the output channels.
        attention: int, those of them that attention computes or is added to.
        params: pair of ints, the parameters before and after.
        gflops: pair of floats, 1e9 operations for one image before and after, as
            `Counts.gflops` counts them.
    """

    layer: str
    map: tuple | None
    filters: int | None
    attention: int | None
    params: tuple[int, int]
    gflops: tuple[float, float]


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
    work = multiply_adds(model, _image_shape(model, input_shape), None)
    return Counts(
        params=sum(math.prod(weight.shape) for weight in model.trainable_weights),
        gflops_paper=(2 * work.projection + work.attention) / 1e9,
        gflops=work.gflops,
    )


def replacements(model, augmented, input_shape=None) -> list[Replacement]:
    """Returns what `augment` replaced and what it costs, the whole model last.

    Args:
        model: the `keras.Model` that was augmented.
        augmented: the `keras.Model` that `augment` returned.
        input_shape: tuple (height, width, channels) of one image. Defaults to the
            model's, which must then be known.

    Raises:
        ValueError: as `count`.

    Example:

    >>> *rows, total = replacements(model, augmented)
    >>> total.params
    (25636712, 25537736)
    """
    rows: dict[int, Replacement] = {}  # a layer that is called twice has one row
    shape = _image_shape(model, input_shape)
    for before, after in _paired_calls(model, augmented, shape):
        old, new = before[0], after[0]
        if isinstance(old, AugmentedConv) or not isinstance(new, AugmentedConv):
            continue
        gflops = tuple(multiply_adds(*call).gflops for call in (before, after))
        row = rows.get(id(new))
        if row:
            gflops = tuple(map(sum, zip(gflops, row.gflops, strict=True)))
        rows[id(new)] = Replacement(
            layer=new.name,
            map=row.map if row else tuple(_spatial(after[2], new.data_format)),
            filters=new.filters,
            attention=new.attention.value_depth,
            params=(old.count_params(), new.count_params()),
            gflops=gflops,
        )
    total = Replacement(
        layer=model.name,
        map=None,
        filters=None,
        attention=None,
        params=(model.count_params(), augmented.count_params()),
        gflops=tuple(multiply_adds(m, shape, None).gflops for m in (model, augmented)),
    )
    return [*rows.values(), total]


def print_replacements(model, augmented, input_shape=None, report=print) -> None:
    """Prints the rows of `replacements` as a table.

    Args:
        model: the `keras.Model` that was augmented.
        augmented: the `keras.Model` that `augment` returned.
        input_shape: tuple (height, width, channels) of one image. Defaults to the
            model's, which must then be known.
        report: callable, called with each line. Defaults to `print`.
    """
    rows = [
        {
            "layer": row.layer,
            "map": "x".join(map(str, row.map or ())),
            "filters": str(row.filters or ""),
            "of attention": str(row.attention or ""),
            "parameters": f"{row.params[0]:,}",
            "augmented": f"{row.params[1]:,}",
            "GFLOPs": f"{row.gflops[0]:.4g}",
            "augmented GFLOPs": f"{row.gflops[1]:.4g}",
        }
        for row in replacements(model, augmented, input_shape)
    ]
    for line in as_table(rows):
        report(line)


def _image_shape(model, input_shape):
    if input_shape is None:
        input_shape = model.inputs[0].shape[1:]
    if None in tuple(input_shape):
        raise ValueError(
            "input_shape must give all sizes where the model leaves some open; "
            f"received {tuple(input_shape)}"
        )
    return (1, *input_shape)


def _paired_calls(model, augmented, input_shape):
    """Yields the calls of layers in both models, those in nested models included."""
    calls = (layer_calls(m, input_shape) for m in (model, augmented))
    for before, after in zip(*calls, strict=True):
        if isinstance(before[0], (keras.Sequential, keras.Function)):
            yield from _paired_calls(before[0], after[0], before[1])
        else:
            yield before, after


@functools.singledispatch
def multiply_adds(layer, input_shape, output_shape) -> MultiplyAdds:
    """Returns the multiply-adds of one call of `layer`; rules go by its type.

    `@multiply_adds.register(MyLayer)` adds a rule. Layers without a kernel need none
    and count nothing.

    Args:
        layer: a built `keras.Layer`.
        input_shape: tuple, the shape of its first input, with batch size 1.
        output_shape: tuple, the shape of its first output, with batch size 1.
    """
    kernels = [weight.path for weight in layer.weights if len(weight.shape) > 1]
    if kernels:
        raise ValueError(
            f"layer must have a rule in aa_keras.counting.multiply_adds; received "
            f"{type(layer).__name__} {layer.name!r} with the kernels {kernels}"
        )
    return MultiplyAdds()


@multiply_adds.register(layers.Conv1D)
@multiply_adds.register(layers.Conv2D)
@multiply_adds.register(layers.Conv3D)
@multiply_adds.register(layers.DepthwiseConv2D)
def _(layer, input_shape, output_shape):
    # The kernel of a grouped or depthwise convolution is smaller by the groups. Border
    # positions count in full.
    positions = math.prod(_spatial(output_shape, layer.data_format))
    return MultiplyAdds(projection=_kernel(layer) * positions)


@multiply_adds.register(layers.SeparableConv2D)
def _(layer, input_shape, output_shape):
    kernels = layer.depthwise_kernel, layer.pointwise_kernel
    positions = math.prod(_spatial(output_shape, layer.data_format))
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
        positions = math.prod(_spatial(output_shape, layer.data_format))
        total += MultiplyAdds(projection=positions * _kernel(layer.convolution))
    return total


class _Projecting(keras.Operation):
    """`SelfAttention.project` on symbolic tensors."""

    def __init__(self, layer):
        super().__init__()
        self.call = layer.project


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
        input_shape: tuple (batch, height, width, channels).
    """
    calls = []

    def recorded(operation):
        def call(*args, **kwargs):
            outputs = operation.compute_output_spec(*args, **kwargs)
            if isinstance(operation, layers.Layer):
                shapes = (tree.flatten(x)[0].shape for x in (args, outputs))
                calls.append((operation, *shapes))
            return outputs

        return call

    image = keras.KerasTensor(input_shape, dtype=model.inputs[0].dtype)
    run_through_graph(model, [image], recorded)
    return calls


def projected(layer, input_shape):
    """Returns the symbolic `Projections` of an attention layer.

    Args:
        layer: a built `SelfAttention1D` or `SelfAttention2D`.
        input_shape: tuple (batch, height, width, channels).
    """
    return _Projecting(layer).compute_output_spec(keras.KerasTensor(input_shape))


def _spatial(shape, data_format):
    return shape[1:-1] if data_format == "channels_last" else shape[2:]


def _kernel(layer):
    """The size of the kernel, 0 for a layer that has none."""
    return math.prod(layer.kernel.shape) if hasattr(layer, "kernel") else 0
