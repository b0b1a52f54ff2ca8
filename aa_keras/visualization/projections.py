"""Queries, keys and relative embeddings of a model's layers, read from outside.

Everything about attention follows from these; they grow with the number of cells of
the map, its scores with the square of it.
"""

import dataclasses

import keras
import numpy as np
from keras import ops

from aa_keras.layers import AugmentedConv2D
from aa_keras.layers.attention.position_encodings import (
    coordinate_encoding,
    sine_encoding,
)
from aa_keras.layers.attention.resampling import fit_table, halve


@dataclasses.dataclass(frozen=True)
class Projections:
    """What one layer made of a batch of images, as float32 arrays.

    Shape letters: B batch, N heads, H height, W width of the attended map, D key depth
    of one head.

    Args:
        queries: array (B, N, H, W, D), already scaled by D ** -0.5.
        keys: array (B, N, H, W, D).
        relative_height: array (2H-1, D), row `key - query + H - 1`; `None` where the
            layer has no relative embeddings.
        relative_width: array (2W-1, D) or `None`.
    """

    queries: np.ndarray
    keys: np.ndarray
    relative_height: np.ndarray | None
    relative_width: np.ndarray | None

    @property
    def size(self):
        """Height and width of the attended map, in cells."""
        return self.keys.shape[2:4]


def augmented_layers(model):
    """Returns the names of a model's `AugmentedConv2D` layers, first layer first.

    A layer of a nested model goes by its name too; where two layers share theirs, both
    go by their paths, `nested/layer`.

    Args:
        model: a `keras.Model`.

    Returns:
        List of strings; empty for a plain network.
    """
    return list(_layers_by_name(model))


def projections(model, images, layers=None):
    """Runs a model once and returns what its augmented layers attend with.

    The model is left as it is: its graph is evaluated from outside, layer by layer,
    without training behaviour. Of a layer that the graph calls several times, the
    first call counts.

    Args:
        model: a functional or Sequential `keras.Model` with one input. Of a subclassed
            one, the functional parts that take the images themselves are looked into.
        images: array (batch, height, width, channels) as the network takes them, which
            is after preprocessing.
        layers: names of layers as `augmented_layers` gives them; all if left out.

    Returns:
        Dictionary from each name to its `Projections`.

    Raises:
        ValueError: for a model without augmented layers or a name that is none of
            them; for a layer whose inputs cannot be seen from outside.
    """
    by_name = _layers_by_name(model)
    if not by_name:
        raise ValueError(f"model {model.name!r} has no AugmentedConv2D layer")
    names = list(by_name) if layers is None else list(layers)
    for name in names:
        if name not in by_name:
            raise ValueError(
                f"layers: received {name!r}; allowed: {', '.join(by_name)}"
            )
    wanted = {id(by_name[name]) for name in names}
    inputs = _record_inputs(model, images, wanted)
    for name in names:
        if id(by_name[name]) not in inputs:
            raise ValueError(
                f"layers: the inputs of {name!r} cannot be seen from outside, as a "
                f"subclassed model calls it; use layer_projections(layer, inputs)"
            )
    return {
        name: layer_projections(by_name[name], inputs[id(by_name[name])])
        for name in names
    }


def layer_projections(layer, inputs):
    """Returns the `Projections` of one layer.

    Args:
        layer: a built `AugmentedConv2D`.
        inputs: array or tensor, what the layer would be called on.
    """
    x = ops.convert_to_tensor(inputs, dtype=layer.compute_dtype)
    if layer.data_format == "channels_first":
        x = ops.moveaxis(x, 1, -1)
    x = _attention_input(layer, x)
    qk = ops.cast(layer.qkv(x)[..., : 2 * layer.key_depth], "float32")
    batch, height, width, _ = qk.shape
    qk = ops.reshape(qk, (batch, height, width, 2, layer.num_heads, -1))
    queries, keys = ops.convert_to_numpy(ops.transpose(qk, (3, 0, 4, 1, 2, 5)))
    tables = (None, None)
    if layer.position_encoding == "relative":
        tables = tuple(
            ops.convert_to_numpy(
                ops.cast(fit_table(table, length, layer.on_larger_input), "float32")
            )
            for table, length in (
                (layer.relative_height, height),
                (layer.relative_width, width),
            )
        )
    return Projections(queries * queries.shape[-1] ** -0.5, keys, *tables)


def _attention_input(layer, x):
    if layer.padding == "valid":
        for axis in (0, 1):
            margin = (layer.kernel_size[axis] - 1) * layer.dilation_rate[axis]
            start = margin // 2
            length = x.shape[axis + 1] - margin
            x = ops.take(x, range(start, start + length), axis=axis + 1)
    if layer.attention_downsampling == 2:
        x = halve(x)
    batch, height, width, channels = x.shape
    if layer.position_encoding == "sine":
        x = x + ops.cast(sine_encoding((height, width), channels), x.dtype)
    if layer.position_encoding == "coordconv":
        coordinates = ops.cast(coordinate_encoding((height, width)), x.dtype)
        coordinates = ops.broadcast_to(coordinates, (batch, height, width, 2))
        x = ops.concatenate([x, coordinates], axis=-1)
    return x


def _layers_by_name(model):
    paths = _layers_by_path(model)
    names = [layer.name for layer in paths.values()]
    return {
        layer.name if names.count(layer.name) == 1 else path: layer
        for path, layer in paths.items()
    }


def _layers_by_path(model, prefix=""):
    found = {}
    for layer in model.layers:
        if isinstance(layer, AugmentedConv2D):
            candidates = {prefix + layer.name: layer}
        elif isinstance(layer, keras.Model):
            candidates = _layers_by_path(layer, f"{prefix}{layer.name}/")
        else:
            continue
        known = {id(layer) for layer in found.values()}
        found |= {n: layer for n, layer in candidates.items() if id(layer) not in known}
    return found


def _record_inputs(model, images, wanted):
    """Returns the inputs of the layers whose ids are in `wanted`, by id."""
    if _is_graph(model):
        return _Recorder(model, wanted).run(images)
    recorded = {}
    for part in model.layers:
        if isinstance(part, keras.Model) and _holds(part, wanted - set(recorded)):
            takes_images = _is_graph(part) and len(part.inputs) == 1
            if takes_images and part.inputs[0].shape[-1] == np.shape(images)[-1]:
                recorded = _Recorder(part, wanted).run(images) | recorded
    return recorded


def _is_graph(layer):
    """Whether `layer` is a functional or a built Sequential model."""
    if isinstance(layer, keras.Sequential):
        return layer.built
    return isinstance(layer, keras.Model) and isinstance(layer, keras.Function)


def _holds(model, wanted):
    return any(id(layer) in wanted for layer in _layers_by_path(model).values())


class _Recorder(keras.Function):
    """Evaluates the graph of a model and keeps what enters some of its layers.

    A second model on the layers' input tensors would do for layers at the top, but
    `layer.input` is the tensor of whichever graph called the layer first, and that of
    a nested model's layer belongs to no outer graph.
    """

    def __init__(self, model, wanted):
        if len(model.inputs) != 1:
            raise ValueError(
                f"model {model.name!r} must have one input, the images; "
                f"received one with {len(model.inputs)}"
            )
        super().__init__(model.inputs, model.outputs)
        self.wanted = wanted
        self.recorded = {}

    def run(self, inputs):
        self._evaluate(inputs)
        return self.recorded

    def _evaluate(self, inputs):
        inputs = ops.convert_to_tensor(inputs, dtype=self.inputs[0].dtype)
        return self._run_through_graph([inputs], operation_fn=self._recording)

    def _recording(self, operation):
        if id(operation) in self.wanted:

            def call(x, **kwargs):
                self.recorded.setdefault(id(operation), x)
                return operation(x, **kwargs)

            return call
        if _is_graph(operation) and _holds(operation, self.wanted):

            def call_nested(x, **_):
                nested = _Recorder(operation, self.wanted)
                outputs = nested._evaluate(x)
                self.recorded = nested.recorded | self.recorded
                return outputs

            return call_nested
        return operation
