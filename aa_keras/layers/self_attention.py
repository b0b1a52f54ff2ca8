"""Self-attention over a map: the MHA(X) of an augmented convolution."""

import inspect
import math
from typing import Any, NamedTuple

import keras
from keras import ops

from aa_keras.layers import validation
from aa_keras.layers.attention.implementations import (
    IMPLEMENTATIONS,
    attend,
    hide_keys,
)
from aa_keras.layers.attention.listing import combine_heads, split_heads
from aa_keras.layers.attention.position_encodings import ENCODINGS, POSITION_ENCODINGS
from aa_keras.layers.attention.resampling import (
    check_length,
    fit_table,
    pool,
    undo_halving,
)
from aa_keras.layers.shapes import (
    ceil_divide,
    channels_last,
    in_format,
    known_channels,
)
from aa_keras.layers.sublayers import build_sublayer, fresh_initializer
from aa_keras.layers.weight_options import (
    convolution_options,
    serialized_weight_options,
    set_weight_options,
    take_weight_options,
)

CHOICES = {
    "position_encoding": POSITION_ENCODINGS,
    "attention_downsampling": (1, 2),
    "strided": ("sample", "pool"),
    "on_larger_input": ("raise", "resize"),
    "implementation": IMPLEMENTATIONS,
}


class Projections(NamedTuple):
    """What attention is computed from: the arguments of `attend`.

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
    """Base of the attention layers: project, attend, project the output.

    Subclasses set `axes`, the names of the attended axes, and `convolution_class`.
    All computation is channels-last: with channels first and strides (1, 3), Conv2D
    itself added wrong biases (TensorFlow 2.21, CPU).
    """

    axes: tuple[str, ...] = ()
    convolution_class: type = keras.layers.Layer

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
        strided="sample",
        max_size=None,
        on_larger_input="raise",
        implementation="auto",
        **kwargs,
    ):
        options = take_weight_options(kwargs)
        super().__init__(**kwargs)
        self.rank = len(self.axes)
        self.num_heads = validation.positive_int("num_heads", num_heads)
        self.key_depth = validation.head_depth("key_depth", key_depth, num_heads)
        self.value_depth = validation.head_depth("value_depth", value_depth, num_heads)
        self.strides = validation.int_tuple("strides", strides, self.rank)
        self.data_format = validation.data_format(data_format)
        self.use_bias = use_bias
        self.position_encoding = position_encoding
        self.attention_downsampling = attention_downsampling
        self.strided = strided
        self.max_size = validation.optional_size("max_size", max_size, self.rank)
        self.on_larger_input = on_larger_input
        self.implementation = implementation
        for name, allowed in CHOICES.items():
            validation.one_of(name, getattr(self, name), allowed)
        self.attention_downsampling = int(attention_downsampling)
        if strided == "pool" and attention_downsampling == 2 and max(self.strides) > 1:
            raise ValueError(
                "strided: received 'pool' with attention_downsampling=2 and strides "
                "above 1; allowed: 'sample'"
            )

        set_weight_options(self, options, self.key_depth // self.num_heads)
        channels = 2 * key_depth + value_depth
        qkv_strides = 1 if strided == "pool" else self.strides
        self.qkv = self.build_convolution(channels, 1, strides=qkv_strides, name="qkv")
        self.output_projection = self.build_convolution(
            value_depth, 1, name="output_projection"
        )

    def build_convolution(self, filters, kernel_size, **options) -> keras.layers.Layer:
        """Returns a convolution with this layer's options for kernels and biases."""
        options |= convolution_options(self)
        options |= {"use_bias": self.use_bias, "data_format": "channels_last"}
        convolution = build_sublayer(
            self, self.convolution_class, filters, kernel_size, **options
        )
        # Otherwise it warns that it drops the mask, with which this layer deals.
        convolution.supports_masking = True
        return convolution

    def build(self, input_shape):
        _, *size, _ = channels_last(input_shape, self.data_format, self.rank)
        channels = known_channels(input_shape, self.data_format)
        # An encoding may add channels.
        known = ceil_divide([n or 1 for n in size], self._downsampling)
        encoded = self.encode_position(ops.zeros((1, *known, channels)))
        self.qkv.build((None, *size, encoded.shape[-1]))
        self.output_projection.build((None, *size, self.value_depth))
        if ENCODINGS[self.position_encoding].has_tables:
            self._build_tables(self.max_size or size)

    def _build_tables(self, size):
        if None in size:
            raise ValueError(
                f"max_size is needed for position_encoding={self.position_encoding!r} "
                "where the build size is not known; received max_size=None and size "
                f"{tuple(size)}"
            )
        for axis, length in zip(self.axes, self._attended_size(size), strict=True):
            table = self.add_weight(
                name=f"relative_{axis}",
                shape=(2 * length - 1, self.key_depth // self.num_heads),
                initializer=fresh_initializer(self.relative_initializer),
                regularizer=self.relative_regularizer,
                constraint=self.relative_constraint,
            )
            setattr(self, f"relative_{axis}", table)

    def call(self, inputs, mask=None, return_attention_scores=False):
        projections = self.project(inputs, mask)
        output, scores = attend(
            *projections, self.implementation, return_attention_scores
        )
        output = combine_heads(output, projections.size[: self.rank])
        output = self.output_projection(output)
        if self.attention_downsampling == 2:
            shape = ops.shape(inputs)
            _, *size, _ = channels_last(shape, self.data_format, self.rank)
            output = undo_halving(output, size, self.strides)
        if self.data_format == "channels_first":
            output = ops.moveaxis(output, -1, 1)
        return (output, scores) if return_attention_scores else output

    def project(self, x, mask=None) -> Projections:
        """Returns everything that the attention of a call on `x` is computed from.

        Args:
            x: tensor, the input of a call.
            mask: tensor of booleans (batch, *size), False for positions that are not
                attended to. It gives queries, keys and tables one more channel.
                Defaults to `None`.
        """
        x = ops.cast(x, self.compute_dtype)
        if self.data_format == "channels_first":
            x = ops.moveaxis(x, 1, -1)
        if mask is not None:
            mask = ops.cast(mask, x.dtype)[..., None]
        for strides in self._poolings:
            if mask is None:
                x = pool(x, strides)
            else:
                x, mask = pool(x, strides, mask)
        qkv = self.qkv(self.encode_position(x))
        q, k, v = (
            split_heads(part, self.num_heads)
            for part in ops.split(qkv, (self.key_depth, 2 * self.key_depth), axis=-1)
        )
        size = ops.shape(qkv)[1:-1]
        tables = (None,) * len(size)
        if ENCODINGS[self.position_encoding].has_tables:
            tables = tuple(
                fit_table(
                    ops.cast(table, self.compute_dtype), length, self.on_larger_input
                )
                for table, length in zip(self._tables, size, strict=True)
            )
        if mask is not None:
            q, k, tables = hide_keys(q, k, tables, self._sampled(mask[..., 0] > 0))
        if len(size) == 1:  # a sequence is a map of width 1
            size, tables = (*size, 1), (*tables, None)
        return Projections(q, k, v, size, tables)

    def encode_position(self, x):
        """Returns the input of `qkv`, with what it needs to know of positions.

        Subclasses may override this. It is called in `build` too, to learn how many
        channels it returns. `x` is (batch, *size, channels), halved where the layer is
        downsampled.
        """
        return ENCODINGS[self.position_encoding].encode(x)

    def load_own_variables(self, store):
        """Fits relative tables of another size as a call with that size would."""
        store = {index: store[index] for index in store.keys()}  # noqa: SIM118
        for index, weight in enumerate(self.weights):  # its own come first
            is_table = any(weight is table for table in self._tables)
            if not is_table or str(index) not in store:  # Keras names what is missing
                continue
            loaded = ops.convert_to_tensor(store[str(index)], dtype=weight.dtype)
            if weight.shape[0] > loaded.shape[0] and self.on_larger_input == "raise":
                raise ValueError(
                    f"{weight.name} of layer {self.name} has shape {weight.shape}, the "
                    f"loaded weights have {tuple(loaded.shape)}, trained at a smaller "
                    "input: use resize_relative_embeddings or on_larger_input='resize'"
                )
            length = (weight.shape[0] + 1) // 2
            store[str(index)] = fit_table(loaded, length, self.on_larger_input)
        super().load_own_variables(store)

    @property
    def _tables(self):
        names = (f"relative_{axis}" for axis in self.axes)
        return [getattr(self, name) for name in names if hasattr(self, name)]

    @property
    def _downsampling(self):
        return (self.attention_downsampling,) * self.rank

    @property
    def _poolings(self):
        """The strides of the average poolings before `qkv`."""
        if self.attention_downsampling == 2:
            return [self._downsampling]
        return [self.strides] if self.strided == "pool" else []

    def _sampled(self, mask):
        """The positions of a mask (batch, *size) that `qkv` reads."""
        return mask[(slice(None), *(slice(None, None, n) for n in self.qkv.strides))]

    def compute_mask(self, inputs, mask=None):
        if mask is None:
            return None
        if self.strided == "pool":
            x = ops.cast(mask, "float32")[..., None]
            return pool(x, self.strides)[..., 0] > 0
        return self._sampled(mask)

    def _attended_size(self, size):
        # Pooling and strides commute where lengths are rounded up.
        return ceil_divide(ceil_divide(size, self.strides), self._downsampling)

    def compute_output_shape(self, input_shape):
        batch, *size, _ = channels_last(input_shape, self.data_format, self.rank)
        size = ceil_divide(size, self.strides)
        return in_format((batch, *size, self.value_depth), self.data_format)

    def compute_output_spec(self, inputs, mask=None, return_attention_scores=False):
        output = keras.KerasTensor(
            self.compute_output_shape(inputs.shape), dtype=self.compute_dtype
        )
        batch, *size, _ = channels_last(inputs.shape, self.data_format, self.rank)
        size = self._attended_size(size)
        for table, length in zip(self._tables, size, strict=False):  # or no tables
            check_length(table, length, self.on_larger_input)
        if not return_attention_scores:
            return output
        length = None if None in size else math.prod(size)
        scores = (batch, self.num_heads, length, length)
        return output, keras.KerasTensor(scores, dtype=self.compute_dtype)

    def get_config(self):
        config = super().get_config()
        # All but `self` and the last, `**kwargs`.
        arguments = list(inspect.signature(SelfAttention.__init__).parameters)[1:-1]
        config |= {name: getattr(self, name) for name in arguments}
        return config | serialized_weight_options(self)


@keras.saving.register_keras_serializable(package="aa_keras")
class SelfAttention2D(SelfAttention):
    """Multi-head self-attention over the positions of a map.

    The attention of `AugmentedConv2D` alone: queries, keys and values from a 1x1
    convolution, relative logits for height and width, a 1x1 convolution after.

    Args:
        value_depth: int, the output channels, over all heads.
        key_depth: int, the channels of queries and of keys, over all heads.
        num_heads: int, must divide both depths. Defaults to `8`.
        strides: int or pair of ints, of queries, keys and values. Defaults to `1`.

    The other arguments, the input and the output are those of `AugmentedConv2D`.

    Reference:
        - [Bello et al., 2019](https://arxiv.org/abs/1904.09925), section 3.1.

    Example:

    >>> layer = SelfAttention2D(value_depth=16, key_depth=32, num_heads=4)
    >>> layer(np.ones((2, 7, 5, 3))).shape
    (2, 7, 5, 16)
    """

    axes = ("height", "width")
    convolution_class = keras.layers.Conv2D


@keras.saving.register_keras_serializable(package="aa_keras")
class SelfAttention1D(SelfAttention):
    """`SelfAttention2D` for sequences: one axis, one table `relative_length`.

    The arguments are those of `SelfAttention2D`.
    """

    axes = ("length",)
    convolution_class = keras.layers.Conv1D
