"""Attention-augmented convolutions: concat[Conv(X), MHA(X)]."""

import keras
from keras import ops

from aa_keras.layers import validation
from aa_keras.layers.depths import attention_depths
from aa_keras.layers.self_attention import SelfAttention


class AugmentedConv(SelfAttention):
    """Base of the augmented convolutions; subclasses set `axes`."""

    def __init__(
        self,
        filters,
        kernel_size,
        strides=1,
        padding="same",
        dilation_rate=1,
        data_format=None,
        activation=None,
        use_bias=True,
        num_heads=8,
        key_depth=None,
        value_depth=None,
        position_encoding="relative",
        attention_downsampling=1,
        max_size=None,
        on_larger_input="raise",
        implementation="auto",
        **kwargs,
    ):
        validation.positive_int("filters", filters)
        validation.positive_int("num_heads", num_heads)
        if key_depth is None:
            key_depth, _ = attention_depths(filters, num_heads=num_heads)
        if value_depth is None:
            _, value_depth = attention_depths(filters, num_heads=num_heads)
        super().__init__(
            value_depth,
            key_depth,
            num_heads=num_heads,
            strides=strides,
            data_format=data_format,
            use_bias=use_bias,
            position_encoding=position_encoding,
            attention_downsampling=attention_downsampling,
            max_size=max_size,
            on_larger_input=on_larger_input,
            implementation=implementation,
            **kwargs,
        )
        rank = len(self.axes)
        if value_depth > filters:
            raise ValueError(
                f"value_depth={value_depth} is more than filters={filters}, the "
                "output channels of the whole layer"
            )
        self.filters = filters
        self.kernel_size = validation.int_tuple("kernel_size", kernel_size, rank)
        self.padding = validation.one_of("padding", padding, ("same", "valid"))
        self.dilation_rate = validation.int_tuple("dilation_rate", dilation_rate, rank)
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "strides above 1 do not go with a dilation_rate above 1; received "
                f"strides={self.strides}, dilation_rate={self.dilation_rate}"
            )
        self.activation = keras.activations.get(activation)
        if self.padding == "valid":
            lost = [
                (kernel - 1) * dilation
                for kernel, dilation in zip(
                    self.kernel_size, self.dilation_rate, strict=True
                )
            ]
            self.margins = tuple((n // 2, n - n // 2) for n in lost)
        self.convolution = None
        if value_depth < filters:
            self.convolution = self._make_convolution(
                filters - value_depth,
                self.kernel_size,
                strides=self.strides,
                padding=self.padding,
                dilation_rate=self.dilation_rate,
                name="convolution",
            )

    def build(self, input_shape):
        super().build(input_shape)
        if self.convolution is not None:
            _, size, channels = self._split_shape(input_shape)
            self.convolution.build((None, *size, channels))

    def _outputs(self, inputs, return_scores):
        outputs, scores = super()._outputs(inputs, return_scores)
        if self.convolution is not None:
            if self.data_format == "channels_first":
                inputs = ops.moveaxis(inputs, 1, -1)
            outputs = ops.concatenate([self.convolution(inputs), outputs], axis=-1)
        if self.activation is not None:
            outputs = self.activation(outputs)
        return outputs, scores

    def compute_output_shape(self, input_shape):
        return self._output_shape(input_shape, self.filters)

    def get_config(self):
        return super().get_config() | {
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "activation": keras.activations.serialize(self.activation),
        }


@keras.saving.register_keras_serializable(package="aa_keras")
class AugmentedConv2D(AugmentedConv):
    """2D convolution augmented with relative self-attention.

    `concat[Conv(X), MHA(X)]` along the channels: a convolution with
    `filters - value_depth` filters beside multi-head self-attention over all positions
    with `value_depth` channels. It takes the place of a `keras.layers.Conv2D`; only
    the default padding differs.

    Args:
        filters: int, output channels of the whole layer (the paper's F_out).
        kernel_size: int or pair, of the convolution.
        strides: int or pair, of the convolution and of queries, keys and values.
        padding: `"same"` or `"valid"`. With `"valid"` the attention sees the input
            without the border that the convolution's padding would have needed.
        dilation_rate: int or pair, of the convolution.
        data_format: `"channels_last"`, `"channels_first"`, or None for the one of the
            Keras configuration.
        activation: activation of the concatenated output.
        use_bias: bool, whether the convolution and the 1x1 convolutions for
            queries, keys, values and output have biases.
        num_heads: int, attention heads (N_h). Divides both depths.
        key_depth: int, channels of queries and of keys over all heads (d_k). Left out,
            the paper's choice, see `attention_depths`.
        value_depth: int, channels of the attention's output over all heads (d_v). Left
            out, the paper's choice. Equal to `filters`: there is no convolution.
        position_encoding: `"relative"` (learned embeddings of the distance along each
            axis), `"none"`, `"sine"` (added to the attention's input) or
            `"coordconv"` (coordinates as two more input channels).
        attention_downsampling: 1, or 2 to attend at half resolution: average pooling
            before, bilinear resizing after.
        max_size: int or pair, the largest height and width of the input. Needed for
            relative embeddings where the input size is None when the layer is built.
        on_larger_input: what to do with a larger input than the embeddings were
            built for: `"raise"`, or `"resize"` to interpolate them. A smaller input
            uses the embeddings of the distances it has.
        implementation: `"listing"` as in the paper, `"fused"` (in blocks, memory grows
            with height times width and not with its square), or `"auto"`.
        relative_initializer: initializer of the relative embeddings. Left out, normal
            with the standard deviation (d_k / N_h)^-0.5.
        **kwargs: `kernel_`, `bias_` and `relative_` `initializer`, `regularizer` and
            `constraint`, and what every Keras layer takes.

    Call arguments:
        inputs: tensor of rank 4.
        return_attention_scores: bool, whether to return the scores too; they are
            computed by the `"listing"` implementation.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` with
        `data_format="channels_first"`. Batch, height and width may vary between calls.

    Output shape:
        That of `Conv2D` with the same arguments: the convolution's channels first, then
        the attention's. The scores are `(batch, num_heads, queries, keys)`, positions
        row by row of the attended map.

    Raises:
        ValueError: if an argument is out of range, a depth is not divisible by
            `num_heads`, or an input is larger than the embeddings were built for.

    Reference:

    - [Bello et al., 2019](https://arxiv.org/abs/1904.09925), section 3.

    Example:

    >>> layer = AugmentedConv2D(64, 3, key_depth=32, value_depth=16, num_heads=4)
    >>> x = np.random.rand(2, 14, 10, 3)
    >>> y, scores = layer(x, return_attention_scores=True)
    >>> y.shape, scores.shape
    (TensorShape([2, 14, 10, 64]), TensorShape([2, 4, 140, 140]))
    """

    axes = ("height", "width")


@keras.saving.register_keras_serializable(package="aa_keras")
class AugmentedConv1D(AugmentedConv):
    """1D convolution augmented with relative self-attention.

    `AugmentedConv2D` for sequences: one axis, one table of relative embeddings,
    `relative_length` (2L-1, key_depth / num_heads). Sizes are ints or tuples of one.
    `"auto"` is the listing here.

    Input shape:
        `(batch, length, channels)`, or `(batch, channels, length)` with
        `data_format="channels_first"`.

    Output shape:
        That of `Conv1D` with the same arguments.

    Example:

    >>> AugmentedConv1D(32, 5, num_heads=4)(np.random.rand(2, 100, 3)).shape
    (2, 100, 32)
    """

    axes = ("length",)
