"""Attention-augmented convolutions: concat[Conv(X), MHA(X)]."""

import functools

import keras
from keras import ops

from aa_keras.layers import validation
from aa_keras.layers.depths import default_depths
from aa_keras.layers.self_attention import (
    SelfAttention,
    SelfAttention1D,
    SelfAttention2D,
)
from aa_keras.layers.shapes import channels_last, in_format
from aa_keras.layers.sublayers import build_sublayer
from aa_keras.layers.weight_options import take_weight_options


class AugmentedConv(keras.layers.Layer):
    """Base of the augmented convolutions: a `convolution` beside an `attention`.

    Subclasses set `attention_class`. Both parts run with the channels last.
    """

    attention_class: type[SelfAttention] = SelfAttention

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
        num_heads=None,
        key_depth=None,
        value_depth=None,
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
        self.rank = len(self.attention_class.axes)
        self.filters = validation.positive_int("filters", filters)
        int_tuple = functools.partial(validation.int_tuple, rank=self.rank)
        self.kernel_size = int_tuple("kernel_size", kernel_size)
        self.strides = int_tuple("strides", strides)
        self.dilation_rate = int_tuple("dilation_rate", dilation_rate)
        padding = validation.lower(padding)
        self.padding = validation.one_of("padding", padding, ("same", "valid"))
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "strides above 1 do not go with a dilation_rate above 1; received "
                f"strides={self.strides}, dilation_rate={self.dilation_rate}"
            )
        if strided == "pool" and padding == "valid" and max(self.strides) > 1:
            raise ValueError(
                "strided: received 'pool' with padding='valid' and strides above 1; "
                "allowed: 'sample'"
            )
        if attention_downsampling != 1 and padding == "valid" and max(self.strides) > 1:
            raise ValueError(
                f"attention_downsampling: received {attention_downsampling} with "
                f"padding='valid' and strides={self.strides}; allowed: 1"
            )
        lost = [0] * self.rank
        if self.padding == "valid":
            pairs = zip(self.kernel_size, self.dilation_rate, strict=True)
            lost = [(kernel - 1) * dilation for kernel, dilation in pairs]
        self.margins = tuple((n // 2, n - n // 2) for n in lost)
        self.data_format = validation.data_format(data_format)
        self.activation = keras.activations.get(activation)
        self.max_size = validation.optional_size("max_size", max_size, self.rank)
        if None in (num_heads, key_depth, value_depth):
            defaults = default_depths(self.filters, num_heads)
            num_heads = defaults.num_heads
            key_depth = defaults.key_depth if key_depth is None else key_depth
            value_depth = defaults.value_depth if value_depth is None else value_depth

        self.attention = build_sublayer(
            self,
            self.attention_class,
            value_depth,
            key_depth,
            num_heads=num_heads,
            strides=self.strides,
            data_format="channels_last",
            use_bias=use_bias,
            position_encoding=position_encoding,
            attention_downsampling=attention_downsampling,
            strided=strided,
            max_size=self.max_size and self._crop_size(self.max_size),
            on_larger_input=on_larger_input,
            implementation=implementation,
            name="attention",
            **options,
        )
        if value_depth > filters:
            raise ValueError(
                f"value_depth={value_depth} is more than filters={filters}, the "
                "output channels of the whole layer"
            )
        self.convolution = None
        if self._convolved:
            self.convolution = self.attention.build_convolution(
                self._convolved,
                self.kernel_size,
                strides=self.strides,
                padding=self.padding,
                dilation_rate=self.dilation_rate,
                name="convolution",
            )

    def build(self, input_shape):
        self.attention.build(self.attention_shape(input_shape))
        if self.convolution is not None:
            shape = channels_last(input_shape, self.data_format, self.rank)
            self.convolution.build(shape)

    def call(self, inputs, mask=None, return_attention_scores=False):
        x = inputs
        if self.data_format == "channels_first":
            x = ops.moveaxis(x, 1, -1)
        result = self.attention(
            self._crop(x),
            mask=None if mask is None else self._crop(mask),
            return_attention_scores=return_attention_scores,
        )
        outputs, scores = result if return_attention_scores else (result, None)
        if self.convolution is not None:
            outputs = self._join(self.convolution(x), outputs)
        outputs = self.activation(outputs)
        if self.data_format == "channels_first":
            outputs = ops.moveaxis(outputs, -1, 1)
        return (outputs, scores) if return_attention_scores else outputs

    @property
    def _convolved(self):
        """The output channels of the convolution."""
        return self.filters - self.attention.value_depth

    def _join(self, convolved, attended):
        return ops.concatenate([convolved, attended], axis=-1)

    def _crop(self, x):
        """Cuts off the border that a "valid" convolution's outputs do not lie on."""
        inner = (slice(start, -end or None) for start, end in self.margins)
        return x[(slice(None), *inner)]

    def _crop_size(self, size):
        cropped = tuple(
            None if n is None else n - start - end
            for n, (start, end) in zip(size, self.margins, strict=True)
        )
        if any(n is not None and n < 1 for n in cropped):
            raise ValueError(
                f"input size {tuple(size)} is too small: padding='valid' leaves "
                f"{cropped} of it"
            )
        return cropped

    def attention_shape(self, input_shape) -> tuple:
        """Returns the shape of the attention's input for one of the layer's inputs."""
        batch, *size, channels = channels_last(input_shape, self.data_format, self.rank)
        return (batch, *self._crop_size(size), channels)

    def compute_output_shape(self, input_shape):
        shape = self.attention.compute_output_shape(self.attention_shape(input_shape))
        return in_format((*shape[:-1], self.filters), self.data_format)

    def compute_mask(self, inputs, mask=None):
        mask = None if mask is None else self._crop(mask)
        return self.attention.compute_mask(None, mask)

    def compute_output_spec(self, inputs, mask=None, return_attention_scores=False):
        output = keras.KerasTensor(
            self.compute_output_shape(inputs.shape), dtype=self.compute_dtype
        )
        attended = keras.KerasTensor(self.attention_shape(inputs.shape))
        _, scores = self.attention.compute_output_spec(
            attended, return_attention_scores=True
        )
        return (output, scores) if return_attention_scores else output

    def get_config(self):
        # The rest of the arguments are the attention's.
        return {
            **self.attention.get_config(),
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "padding": self.padding,
            "dilation_rate": self.dilation_rate,
            "data_format": self.data_format,
            "activation": keras.activations.serialize(self.activation),
            "max_size": self.max_size,
        }


@keras.saving.register_keras_serializable(package="aa_keras")
class AugmentedConv2D(AugmentedConv):
    """2D convolution augmented with relative self-attention.

    `concat[Conv(X), MHA(X)]` along the channels: a convolution with
    `filters - value_depth` filters beside multi-head self-attention over all positions
    with `value_depth` channels. It takes the place of a `keras.layers.Conv2D`, but its
    default padding is `"same"` and it has no `groups`. The parts are the sublayers
    `convolution` and `attention`, a `SelfAttention2D`.

    Args:
        filters: int, the output channels of the whole layer (the paper's F_out).
        kernel_size: int or pair of ints, of the convolution.
        strides: int or pair of ints, of the convolution and of queries, keys and
            values. Defaults to `1`.
        padding: `"same"` or `"valid"`. With `"valid"` the attention's input is cropped
            to the positions on which the convolution's outputs lie. Defaults to
            `"same"`.
        dilation_rate: int or pair of ints, of the convolution. Defaults to `1`.
        data_format: `"channels_last"` or `"channels_first"`. Defaults to the one of
            the Keras configuration.
        activation: activation of the concatenated output. Defaults to none.
        use_bias: bool, whether the convolution and the 1x1 convolutions for queries,
            keys, values and output have biases. Defaults to `True`.
        num_heads: int, the attention heads (N_h), must divide both depths. Defaults to
            `8` as in the paper, and below 128 filters to fewer, see `default_depths`.
        key_depth: int, the channels of queries and of keys over all heads (d_k).
            Defaults to `default_depths`.
        value_depth: int, the channels of the attention's output over all heads (d_v).
            With `value_depth=filters` there is no convolution. Defaults to
            `default_depths`.
        position_encoding: `"relative"` (learned embeddings of the distance along each
            axis), `"none"`, `"sine"` (added to the attention's input) or
            `"coordconv"` (coordinates as two more input channels). Defaults to
            `"relative"`.
        attention_downsampling: 1, or 2 to attend at half resolution: average pooling
            before, linear interpolation after. Not with `"valid"` padding and strides
            above 1. Defaults to `1`.
        strided: string, how queries, keys and values follow `strides`: `"sample"`
            takes every strides-th position, as a 1x1 convolution with strides does;
            `"pool"` averages windows centred where the outputs of the convolution
            are, so that no position is skipped. The parameters, and the paper's
            counts, are equal; on maps of even length a sample lies one position
            before the centre of the convolution's window. Defaults to `"sample"`.
        max_size: int or pair of ints, the largest height and width of the input.
            Needed for relative embeddings if the input size is None at build time.
        on_larger_input: `"raise"`, or `"resize"` to interpolate relative embeddings
            for a larger input than they were built for. A smaller input uses the
            embeddings of the distances it has. Defaults to `"raise"`.
        implementation: how attention is computed; all give the same values.
            `"listing"` as in the paper; `"fused"` in blocks for a CPU and `"chunked"`
            in blocks for an accelerator, whose memory does not grow with the square of
            height times width; on JAX also `"pallas"`, a kernel for TPUs, and
            `"cudnn"`, in 16 bits on GPUs. `"auto"` selects by device, size and dtype.
            Defaults to `"auto"`. Three things need `"listing"`: JAX's forward mode
            (`jax.jvp`), `model.export` to LiteRT, and `tape.jacobian` on large maps.
            TensorFlow 2.21 ends the process in the last one;
            `experimental_use_pfor=False`, or `TF_ENABLE_ONEDNN_OPTS=0` in the
            environment, also helps. `use_implementation` switches a whole model.
        **kwargs: `kernel_`, `bias_` and `relative_` `initializer`, `regularizer` and
            `constraint`, and the arguments of `keras.layers.Layer`.
            `relative_initializer` defaults to a normal distribution with standard
            deviation (d_k / N_h)^-0.5.

    Call arguments:
        inputs: tensor of rank 4.
        return_attention_scores: bool, whether to return the scores too. They are
            computed by the `"listing"` implementation. Defaults to `False`.

    Input shape:
        `(batch, height, width, channels)`, or `(batch, channels, height, width)` with
        `data_format="channels_first"`. Batch, height and width may vary between calls.

    Output shape:
        That of `Conv2D` with the same arguments: the convolution's channels first, then
        the attention's. Scores are `(batch, num_heads, queries, keys)`, positions row
        by row of the attended map.

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
    ((2, 14, 10, 64), (2, 4, 140, 140))
    """

    attention_class = SelfAttention2D


@keras.saving.register_keras_serializable(package="aa_keras")
class AugmentedConv1D(AugmentedConv):
    """`AugmentedConv2D` for sequences; its attention is a `SelfAttention1D`.

    The call also takes a `mask` (batch, length) of booleans, or gets it from an
    `Embedding` or `Masking` layer before it. Positions that are False are not attended
    to; the convolution reads them, as `Conv1D` does. The outputs have the mask of the
    positions that queries are taken from. The arguments are those of `AugmentedConv2D`.

    Example:

    >>> AugmentedConv1D(32, 5, num_heads=4)(np.random.rand(2, 100, 3)).shape
    (2, 100, 32)
    """

    attention_class = SelfAttention1D
