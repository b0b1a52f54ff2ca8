"""Self-attention over a window, which takes the place of a convolution."""

import keras
from keras import ops

from aa_keras.layers import validation
from aa_keras.layers.attention.local import attend_in_blocks, attend_to_patches
from aa_keras.layers.attention.resampling import pool, wide_float
from aa_keras.layers.attention.windows import Windows
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

IMPLEMENTATIONS = ("auto", "patches", "blocks")


@keras.saving.register_keras_serializable(package="aa_keras")
class StandAloneAttention2D(keras.layers.Layer):
    """Multi-head self-attention over the window around each position.

    It takes the place of a `keras.layers.Conv2D` with "same" padding: queries, keys and
    values from a 1x1 convolution, and for each position a softmax over the keys of its
    `kernel_size` window. The logits are `q . k + q . r` without a scale; half of a
    head's channels of `r` belong to the offset of rows, half to that of columns. The
    paper states neither how borders are treated nor whether heads share embeddings:
    here positions outside of the map are no keys, and heads share their embeddings, as
    in `AugmentedConv2D`.

    Args:
        filters: int, the channels of queries, of keys and of the output over all heads.
            A head must have an even number of them.
        kernel_size: int or pair of ints, the window. An even one reaches one position
            further to the bottom and to the right. Defaults to `7`.
        num_heads: int, must divide `filters`. Defaults to `8`.
        strides: int or pair of ints. Above 1, windows of this size of the attention's
            output are averaged (the paper's 2x2 average pooling). Defaults to `1`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to the one of the
            Keras configuration.
        activation: activation of the output. Defaults to none.
        use_bias: bool, whether queries, keys and values have biases. Defaults to
            `False`, as in the paper.
        implementation: `"patches"` copies the keys and values of each query, `"blocks"`
            shares them among neighbours in a fraction of the memory, `"auto"` is
            `"blocks"`. Defaults to `"auto"`.
        **kwargs: `kernel_`, `bias_` and `relative_` `initializer`, `regularizer` and
            `constraint`, and the arguments of `keras.layers.Layer`.
            `relative_initializer` defaults to a normal distribution with standard
            deviation (filters / num_heads)^-0.5.

    Call arguments:
        inputs: tensor of rank 4.
        return_attention_scores: bool, whether to return the scores too, which are
            computed by `"patches"`. Defaults to `False`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` with
        `data_format="channels_first"`. Batch, height and width may vary between calls.

    Output shape:
        That of `Conv2D(filters, kernel_size, strides, padding="same")`. Scores are
        `(batch, height, width, num_heads, *kernel_size)`: for each position the weights
        of its window, before strides.

    Raises:
        ValueError: if an argument is out of range, or if the channels of a head are not
            an even number.

    Reference:
        - [Ramachandran et al., 2019](https://arxiv.org/abs/1906.05909), section 3.

    Example:

    >>> layer = StandAloneAttention2D(64, kernel_size=7, strides=2)
    >>> layer(np.random.rand(2, 14, 10, 3)).shape
    (2, 7, 5, 64)
    """

    def __init__(
        self,
        filters,
        kernel_size=7,
        num_heads=8,
        strides=1,
        data_format=None,
        activation=None,
        use_bias=False,
        implementation="auto",
        **kwargs,
    ):
        options = take_weight_options(kwargs)
        super().__init__(**kwargs)
        self.num_heads = validation.positive_int("num_heads", num_heads)
        self.filters = validation.head_depth("filters", filters, self.num_heads, 2)
        self.kernel_size = validation.int_tuple("kernel_size", kernel_size, 2)
        self.strides = validation.int_tuple("strides", strides, 2)
        self.data_format = validation.data_format(data_format)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.implementation = validation.one_of(
            "implementation", implementation, IMPLEMENTATIONS
        )
        set_weight_options(self, options, self.filters // self.num_heads)
        self.qkv = build_sublayer(
            self,
            keras.layers.Conv2D,
            3 * self.filters,
            1,
            use_bias=use_bias,
            data_format="channels_last",
            name="qkv",
            **convolution_options(self),
        )

    def build(self, input_shape):
        shape = channels_last(input_shape, self.data_format, 2)
        known_channels(shape)
        self.qkv.build(shape)
        half = self.filters // self.num_heads // 2
        self.relative_rows, self.relative_columns = (
            self.add_weight(
                name=f"relative_{axis}",
                shape=(length, half),
                initializer=fresh_initializer(self.relative_initializer),
                regularizer=self.relative_regularizer,
                constraint=self.relative_constraint,
            )
            for axis, length in zip(("rows", "columns"), self.kernel_size, strict=True)
        )

    def call(self, inputs, return_attention_scores=False):
        windows = self.project(inputs)
        scores = None
        if return_attention_scores or self.implementation == "patches":
            output, scores = attend_to_patches(*windows)
        else:
            output = attend_in_blocks(*windows)
        output = ops.reshape(output, (*ops.shape(output)[:3], self.filters))
        output = ops.cast(output, self.compute_dtype)
        if max(self.strides) > 1:
            output = pool(output, self.strides, windows=self.strides)
        output = self.activation(output)
        if self.data_format == "channels_first":
            output = ops.moveaxis(output, -1, 1)
        if return_attention_scores:
            return output, ops.cast(scores, self.compute_dtype)
        return output

    def project(self, x) -> Windows:
        """Returns everything that the attention of a call on `x` is computed from.

        Args:
            x: tensor, the input of a call.
        """
        x = ops.cast(x, self.compute_dtype)
        if self.data_format == "channels_first":
            x = ops.moveaxis(x, 1, -1)
        wide = wide_float(self.compute_dtype)
        qkv = ops.cast(self.qkv(x), wide)
        shape = (*ops.shape(qkv)[:3], self.num_heads, self.filters // self.num_heads)
        q, k, v = (ops.reshape(part, shape) for part in ops.split(qkv, 3, axis=-1))
        tables = (self.relative_rows, self.relative_columns)
        return Windows(q, k, v, tuple(ops.cast(table, wide) for table in tables))

    def compute_output_shape(self, input_shape):
        batch, *size, _ = channels_last(input_shape, self.data_format, 2)
        size = ceil_divide(size, self.strides)
        return in_format((batch, *size, self.filters), self.data_format)

    def compute_output_spec(self, inputs, return_attention_scores=False):
        output = keras.KerasTensor(
            self.compute_output_shape(inputs.shape), dtype=self.compute_dtype
        )
        if not return_attention_scores:
            return output
        batch, *size, _ = channels_last(inputs.shape, self.data_format, 2)
        scores = (batch, *size, self.num_heads, *self.kernel_size)
        return output, keras.KerasTensor(scores, dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            **serialized_weight_options(self),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "num_heads": self.num_heads,
            "strides": self.strides,
            "data_format": self.data_format,
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "implementation": self.implementation,
        }
