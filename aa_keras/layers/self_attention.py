"""Self-attention over a map, the attention branch of an augmented convolution."""

import math

import keras
from keras import ops

from aa_keras.layers import validation
from aa_keras.layers.attention import (
    combine_heads,
    listing_attention,
    split_heads,
)
from aa_keras.layers.fused import fused_attention
from aa_keras.layers.interpolation import fit_table, resize_axis
from aa_keras.layers.pooling import halve
from aa_keras.layers.position_encodings import coordinate_encoding, sine_encoding

POSITION_ENCODINGS = ("relative", "none", "sine", "coordconv")
IMPLEMENTATIONS = ("auto", "listing", "fused")


class SelfAttention(keras.layers.Layer):
    """Base of the layers here: q, k and v, attention, output projection.

    Subclasses set `axes`, the names of the attended axes. Everything runs with the
    channels last; `channels_first` inputs are transposed on the way in and out.
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
        if data_format is None:
            data_format = keras.config.image_data_format()
        self.data_format = validation.one_of(
            "data_format", data_format, ("channels_last", "channels_first")
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

        self.qkv = self._convolution(
            2 * key_depth + value_depth, name="qkv", strides=self.strides
        )
        self.output_projection = self._convolution(
            value_depth, name="output_projection"
        )

    def _convolution(self, filters, kernel_size=1, **kwargs):
        layer = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D}[len(self.axes)]
        arguments = {
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
        return layer(filters, kernel_size, **(arguments | kwargs))

    def build(self, input_shape):
        size, channels = self._split_shape(input_shape)
        if channels is None:
            raise ValueError(
                f"{self.name} needs a known number of input channels; "
                f"received input_shape={tuple(input_shape)}"
            )
        if self.position_encoding == "coordconv":
            channels += len(self.axes)
        self.qkv.build((None, *size, channels))
        self.output_projection.build((None, *size, self.value_depth))
        if self.position_encoding == "relative":
            self._build_tables(size)
        super().build(input_shape)

    def _build_tables(self, size):
        size = self.max_size or size
        if None in size:
            raise ValueError(
                f"max_size is needed for position_encoding='relative' where the build "
                f"size is unknown; received max_size={self.max_size} with "
                f"{' and '.join(self.axes)} {size}"
            )
        for axis, length in zip(self.axes, self._attention_size(size), strict=True):
            table = self.add_weight(
                name=f"relative_{axis}",
                shape=(2 * length - 1, self.key_depth // self.num_heads),
                initializer=validation.fresh_initializer(self.relative_initializer),
                regularizer=self.relative_regularizer,
                constraint=self.relative_constraint,
            )
            setattr(self, f"relative_{axis}", table)

    def call(self, inputs, return_attention_scores=False):
        if self.data_format == "channels_first":
            inputs = ops.moveaxis(inputs, 1, -1)
        outputs, scores = self._attend(inputs, return_attention_scores)
        if self.data_format == "channels_first":
            outputs = ops.moveaxis(outputs, -1, 1)
        return (outputs, scores) if return_attention_scores else outputs

    def _attend(self, x, return_scores):
        full_size = [
            -(-length // stride)
            for length, stride in zip(ops.shape(x)[1:-1], self.strides, strict=True)
        ]
        if self.attention_downsampling == 2:
            x = halve(x)
        qkv = self.qkv(self._encode_position(x))
        q, k, v = (
            split_heads(part, self.num_heads)
            for part in ops.split(qkv, (self.key_depth, 2 * self.key_depth), axis=-1)
        )
        size = ops.shape(qkv)[1:-1]
        map_size, tables = self._as_2d(size)
        scores = None
        if return_scores or not self._is_fused(map_size):
            output, scores = listing_attention(q, k, v, map_size, tables)
        else:
            output = fused_attention(q, k, v, map_size, tables)
        output = self.output_projection(combine_heads(output, size))
        if self.attention_downsampling == 2:
            for axis, length in enumerate(full_size, start=1):
                output = resize_axis(output, axis, length)
        return output, scores

    def _is_fused(self, size):
        return self.implementation != "listing"

    def _encode_position(self, x):
        batch, *size, channels = ops.shape(x)
        if self.position_encoding == "sine":
            x = x + ops.cast(sine_encoding(size, channels), x.dtype)
        elif self.position_encoding == "coordconv":
            coordinates = ops.cast(coordinate_encoding(size), x.dtype)
            shape = (batch, *size, len(size))
            coordinates = ops.broadcast_to(coordinates, shape)
            x = ops.concatenate([x, coordinates], axis=-1)
        return x

    def _as_2d(self, size):
        """Size and tables of the map; one axis is a map of width 1."""
        missing = 2 - len(size)
        tables = [
            fit_table(getattr(self, f"relative_{axis}"), length, self.on_larger_input)
            if self.position_encoding == "relative"
            else None
            for axis, length in zip(self.axes, size, strict=True)
        ]
        return (*size, *[1] * missing), (*tables, *[None] * missing)

    def _attention_size(self, size):
        """The size of the attended map for a known or unknown input size."""

        def fewer(length, step):
            return None if length is None else -(-length // step)

        return tuple(
            fewer(fewer(length, self.attention_downsampling), stride)
            for length, stride in zip(size, self.strides, strict=True)
        )

    def _split_shape(self, shape):
        if len(shape) != len(self.axes) + 2:
            raise ValueError(
                f"{self.name} expects inputs of rank {len(self.axes) + 2}; "
                f"received shape {tuple(shape)}"
            )
        if self.data_format == "channels_first":
            return tuple(shape[2:]), shape[1]
        return tuple(shape[1:-1]), shape[-1]

    def _join_shape(self, batch, size, channels):
        if self.data_format == "channels_first":
            return (batch, channels, *size)
        return (batch, *size, channels)

    def compute_output_shape(self, input_shape):
        size, _ = self._split_shape(input_shape)
        size = [
            None if length is None else -(-length // stride)
            for length, stride in zip(size, self.strides, strict=True)
        ]
        return self._join_shape(input_shape[0], size, self.value_depth)

    def compute_output_spec(self, inputs, return_attention_scores=False):
        output = keras.KerasTensor(
            self.compute_output_shape(inputs.shape), dtype=self.compute_dtype
        )
        if not return_attention_scores:
            return output
        size = self._attention_size(self._split_shape(inputs.shape)[0])
        length = None if None in size else math.prod(size)
        scores = (inputs.shape[0], self.num_heads, length, length)
        return output, keras.KerasTensor(scores, dtype=self.compute_dtype)

    def get_config(self):
        serialize = {
            "initializer": keras.initializers.serialize,
            "regularizer": keras.regularizers.serialize,
            "constraint": keras.constraints.serialize,
        }
        plain = (
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
        functions = {
            f"{weight}_{kind}": to_config(getattr(self, f"{weight}_{kind}"))
            for weight in ("kernel", "bias", "relative")
            for kind, to_config in serialize.items()
        }
        return (
            super().get_config()
            | {name: getattr(self, name) for name in plain}
            | functions
        )
