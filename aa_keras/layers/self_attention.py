"""Self-attention over a map, the attention branch of an augmented convolution."""

import math
from typing import Any, NamedTuple

import keras
from keras import ops

from aa_keras.layers import validation
from aa_keras.layers.attention.fused import fused_attention
from aa_keras.layers.attention.listing import (
    combine_heads,
    listing_attention,
    split_heads,
)
from aa_keras.layers.attention.position_encodings import (
    coordinate_encoding,
    sine_encoding,
)
from aa_keras.layers.attention.resampling import fit_table, halve, resize_axis

POSITION_ENCODINGS = ("relative", "none", "sine", "coordconv")
IMPLEMENTATIONS = ("auto", "listing", "fused")


class Projections(NamedTuple):
    """What attention is computed from: the arguments of `listing_attention`.

    Shape letters: B batch, N heads, H height, W width of the attended map, D key depth
    and V value depth of one head. A sequence is a map of width 1.

    Args:
        queries: tensor (B, N, HW, D), not yet scaled by D ** -0.5.
        keys: tensor (B, N, HW, D).
        values: tensor (B, N, HW, V).
        size: pair (H, W) of ints or scalar tensors.
        tables: pair of tensors (2H-1, D) and (2W-1, D), row `key - query + L - 1`;
            None for an axis without relative embeddings.
    """

    queries: Any
    keys: Any
    values: Any
    size: tuple
    tables: tuple


class SelfAttention(keras.layers.Layer):
    """Base of the layers here: queries, keys, values, attention, output projection.

    Subclasses name the attended axes in `axes` and, where a "valid" convolution stands
    beside the attention, what it leaves out of each axis in `margins`. Everything runs
    with the channels last, other inputs are transposed on the way in and out: with
    channels first and strides (1, 3), Conv2D itself was off by a difference of its
    biases (TensorFlow 2.21, CPU).
    """

    axes = ()

    def __init__(
        self,
        value_depth,
        key_depth,
        num_heads=8,
        strides=1,
        data_format=None,
        use_bias=True,
        position_encoding="relative",
        attention_downsampling=1,
        max_size=None,
        on_larger_input="raise",
        implementation="auto",
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        relative_initializer=None,
        kernel_regularizer=None,
        bias_regularizer=None,
        relative_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
        relative_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        rank = len(self.axes)
        self.num_heads = validation.positive_int("num_heads", num_heads)
        self.key_depth = validation.head_depth("key_depth", key_depth, num_heads)
        self.value_depth = validation.head_depth("value_depth", value_depth, num_heads)
        self.strides = validation.int_tuple("strides", strides, rank)
        self.data_format = validation.one_of(
            "data_format",
            data_format or keras.config.image_data_format(),
            ("channels_last", "channels_first"),
        )
        self.use_bias = use_bias
        self.position_encoding = validation.one_of(
            "position_encoding", position_encoding, POSITION_ENCODINGS
        )
        self.attention_downsampling = validation.one_of(
            "attention_downsampling", attention_downsampling, (1, 2)
        )
        if max_size is not None:
            max_size = validation.int_tuple("max_size", max_size, rank)
        self.max_size = max_size
        self.on_larger_input = validation.one_of(
            "on_larger_input", on_larger_input, ("raise", "resize")
        )
        self.implementation = validation.one_of(
            "implementation", implementation, IMPLEMENTATIONS
        )
        if relative_initializer is None:
            # The paper's listing passes this number where TensorFlow takes the mean.
            deviation = (key_depth // num_heads) ** -0.5
            relative_initializer = keras.initializers.RandomNormal(stddev=deviation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.relative_initializer = keras.initializers.get(relative_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.relative_regularizer = keras.regularizers.get(relative_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.relative_constraint = keras.constraints.get(relative_constraint)

        self.margins = ((0, 0),) * rank
        self.qkv = self._make_convolution(
            2 * key_depth + value_depth, strides=self.strides, name="qkv"
        )
        self.output_projection = self._make_convolution(
            value_depth, name="output_projection"
        )

    def _make_convolution(self, filters, kernel_size=1, **kwargs):
        layer = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D}[len(self.axes)]
        defaults = {
            "data_format": "channels_last",
            "use_bias": self.use_bias,
            "kernel_initializer": validation.fresh_initializer(self.kernel_initializer),
            "bias_initializer": validation.fresh_initializer(self.bias_initializer),
            "kernel_regularizer": self.kernel_regularizer,
            "bias_regularizer": self.bias_regularizer,
            "kernel_constraint": self.kernel_constraint,
            "bias_constraint": self.bias_constraint,
            "dtype": self.dtype_policy,
        }
        return layer(filters, kernel_size, **(defaults | kwargs))

    def build(self, input_shape):
        _, size, channels = self._split_shape(input_shape)
        if channels is None:
            raise ValueError(
                f"input_shape must have a known number of channels; received "
                f"{tuple(input_shape)}"
            )
        if self.position_encoding == "coordconv":
            channels += len(self.axes)
        self.qkv.build((None, *size, channels))
        self.output_projection.build((None, *size, self.value_depth))
        if self.position_encoding == "relative":
            self._build_tables(self.max_size or size)

    def _build_tables(self, size):
        if None in size:
            raise ValueError(
                "max_size is needed for position_encoding='relative' where the build "
                f"size is not known; received max_size=None and size {tuple(size)}"
            )
        for axis, length in zip(self.axes, self._attended_size(size), strict=True):
            table = self.add_weight(
                name=f"relative_{axis}",
                shape=(2 * length - 1, self.key_depth // self.num_heads),
                initializer=validation.fresh_initializer(self.relative_initializer),
                regularizer=self.relative_regularizer,
                constraint=self.relative_constraint,
            )
            setattr(self, f"relative_{axis}", table)

    def call(self, inputs, return_attention_scores=False):
        outputs, scores = self._outputs(inputs, return_attention_scores)
        if self.data_format == "channels_first":
            outputs = ops.moveaxis(outputs, -1, 1)
        return (outputs, scores) if return_attention_scores else outputs

    def _outputs(self, inputs, return_scores):
        """Channels last, whatever the data format of the inputs."""
        output, scores = self._attention(self.project(inputs), return_scores)
        if self.attention_downsampling == 2:
            _, size, _ = self._split_shape(ops.shape(inputs))
            for axis, n in enumerate(self._output_size(size), start=1):
                output = resize_axis(output, axis, n)
        return output, scores

    def project(self, x) -> Projections:
        """Returns what the attention of a call on `x` is computed from.

        Args:
            x: tensor, as for a call.
        """
        x = ops.cast(x, self.compute_dtype)
        if self.data_format == "channels_first":
            x = ops.moveaxis(x, 1, -1)
        inner = tuple(slice(start, -end or None) for start, end in self.margins)
        x = x[(slice(None), *inner)]
        if self.attention_downsampling == 2:
            x = halve(x)
        qkv = self.qkv(self.encode_position(x))
        q, k, v = (
            split_heads(part, self.num_heads)
            for part in ops.split(qkv, (self.key_depth, 2 * self.key_depth), axis=-1)
        )
        size = ops.shape(qkv)[1:-1]
        tables = (None,) * len(size)
        if self.position_encoding == "relative":
            tables = tuple(
                fit_table(
                    ops.cast(getattr(self, f"relative_{axis}"), self.compute_dtype),
                    n,
                    self.on_larger_input,
                )
                for axis, n in zip(self.axes, size, strict=True)
            )
        if len(size) == 1:  # a sequence is a map of width 1
            size, tables = (*size, 1), (*tables, None)
        return Projections(q, k, v, size, tables)

    def encode_position(self, x):
        """Adds absolute positions to the channels-last input of `qkv`."""
        batch, *size, channels = ops.shape(x)
        if self.position_encoding == "sine":
            x = x + ops.cast(sine_encoding(size, channels), x.dtype)
        elif self.position_encoding == "coordconv":
            coordinates = ops.cast(coordinate_encoding(size), x.dtype)
            coordinates = ops.broadcast_to(coordinates, (batch, *size, len(size)))
            x = ops.concatenate([x, coordinates], axis=-1)
        return x

    def _attention(self, projections, return_scores):
        # A sequence has few logits, and a table for every pair would have as many.
        listing = {"listing": True, "fused": False, "auto": len(self.axes) == 1}
        if return_scores or listing[self.implementation]:
            output, scores = listing_attention(*projections)
        else:
            output, scores = fused_attention(*projections), None
        size = projections.size[: len(self.axes)]
        return self.output_projection(combine_heads(output, size)), scores

    def load_own_variables(self, store):
        """Loads tables of another size as a call with that size would use them."""
        for index, variable in enumerate(self._trainable_variables):
            table = ops.convert_to_tensor(store[str(index)], dtype=variable.dtype)
            built, length = ((x.shape[0] + 1) // 2 for x in (table, variable))
            if length > built and self.on_larger_input == "raise":
                raise ValueError(
                    f"{variable.name} of layer {self.name} has shape {variable.shape}, "
                    f"the loaded weights have {tuple(table.shape)}, trained at a "
                    "smaller input: use resize_relative_embeddings or "
                    "on_larger_input='resize'"
                )
            variable.assign(fit_table(table, length, self.on_larger_input))

    def _output_size(self, size):
        """The size of the output; an unknown length stays None."""
        cropped = [
            None if n is None else n - start - end
            for n, (start, end) in zip(size, self.margins, strict=True)
        ]
        if any(isinstance(n, int) and n < 1 for n in cropped):
            raise ValueError(
                f"input size {tuple(size)} is too small: padding='valid' leaves "
                f"{tuple(cropped)} of it"
            )
        return _ceil_divide(cropped, self.strides)

    def _attended_size(self, size):
        """The size of the attended map; pooling and strides commute when rounded up."""
        return _ceil_divide(
            self._output_size(size), (self.attention_downsampling,) * len(size)
        )

    def _split_shape(self, shape):
        if len(shape) != len(self.axes) + 2:
            raise ValueError(
                f"input_shape must have rank {len(self.axes) + 2}; received "
                f"{tuple(shape)}"
            )
        batch, *rest = shape
        if self.data_format == "channels_first":
            return batch, rest[1:], rest[0]
        return batch, rest[:-1], rest[-1]

    def _output_shape(self, input_shape, channels):
        batch, size, _ = self._split_shape(input_shape)
        size = self._output_size(size)
        if self.data_format == "channels_first":
            return (batch, channels, *size)
        return (batch, *size, channels)

    def compute_output_shape(self, input_shape):
        return self._output_shape(input_shape, self.value_depth)

    def compute_output_spec(self, inputs, return_attention_scores=False):
        output = keras.KerasTensor(
            self.compute_output_shape(inputs.shape), dtype=self.compute_dtype
        )
        if not return_attention_scores:
            return output
        batch, size, _ = self._split_shape(inputs.shape)
        size = self._attended_size(size)
        length = None if None in size else math.prod(size)
        scores = (batch, self.num_heads, length, length)
        return output, keras.KerasTensor(scores, dtype=self.compute_dtype)

    def get_config(self):
        config = super().get_config() | {name: getattr(self, name) for name in _PLAIN}
        for weight in ("kernel", "bias", "relative"):
            for kind, serialize in _SERIALIZE.items():
                name = f"{weight}_{kind}"
                config[name] = serialize(getattr(self, name))
        return config


_PLAIN = (
    "value_depth",
    "key_depth",
    "num_heads",
    "strides",
    "data_format",
    "use_bias",
    "position_encoding",
    "attention_downsampling",
    "max_size",
    "on_larger_input",
    "implementation",
)
_SERIALIZE = {
    "initializer": keras.initializers.serialize,
    "regularizer": keras.regularizers.serialize,
    "constraint": keras.constraints.serialize,
}


def _ceil_divide(size, steps):
    return tuple(
        None if n is None else -(-n // step)
        for n, step in zip(size, steps, strict=True)
    )


@keras.saving.register_keras_serializable(package="aa_keras")
class SelfAttention2D(SelfAttention):
    """Multi-head self-attention over the positions of a map.

    The attention branch of `AugmentedConv2D` alone: queries, keys and values from a
    1x1 convolution, relative logits for height and width, a 1x1 convolution after.

    Args:
        value_depth: int, output channels, over all heads.
        key_depth: int, channels of the queries and of the keys, over all heads.
        num_heads: int, must divide both depths.
        strides: int or pair, of the queries, keys and values.

    The other arguments, the input and the output are those of `AugmentedConv2D`.

    Reference:

    - [Bello et al., 2019](https://arxiv.org/abs/1904.09925), section 3.1.

    Example:

    >>> layer = SelfAttention2D(value_depth=16, key_depth=32, num_heads=4)
    >>> layer(np.ones((2, 7, 5, 3))).shape
    (2, 7, 5, 16)
    """

    axes = ("height", "width")
