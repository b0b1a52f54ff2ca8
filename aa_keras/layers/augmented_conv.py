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
                "strides above 1 do not go with dilation_rate above 1; received "
                f"strides={self.strides}, dilation_rate={self.dilation_rate}"
            )
        self.activation = keras.activations.get(activation)
        self.convolution = None
        if value_depth < filters:
            self.convolution = self._convolution(
                filters - value_depth,
                self.kernel_size,
                strides=self.strides,
                padding=self.padding,
                dilation_rate=self.dilation_rate,
                data_format=self.data_format,
                name="convolution",
            )

    def build(self, input_shape):
        self.compute_output_shape(input_shape)
        if self.convolution is not None:
            self.convolution.build(input_shape)
        super().build(input_shape)

    def call(self, inputs, return_attention_scores=False):
        x = inputs
        if self.data_format == "channels_first":
            x = ops.moveaxis(x, 1, -1)
        outputs, scores = self._attend(self._crop(x), return_attention_scores)
        if self.data_format == "channels_first":
            outputs = ops.moveaxis(outputs, -1, 1)
        if self.convolution is not None:
            axis = 1 if self.data_format == "channels_first" else -1
            outputs = ops.concatenate([self.convolution(inputs), outputs], axis=axis)
        if self.activation is not None:
            outputs = self.activation(outputs)
        return (outputs, scores) if return_attention_scores else outputs

    def _margins(self):
        """What "valid" padding leaves out of each axis, at its start and its end."""
        for kernel, dilation in zip(self.kernel_size, self.dilation_rate, strict=True):
            margin = (kernel - 1) * dilation if self.padding == "valid" else 0
            yield margin // 2, margin - margin // 2

    def _crop(self, x):
        inner = tuple(slice(start, -end or None) for start, end in self._margins())
        return x[(slice(None), *inner)]

    def _cropped(self, size):
        cropped = tuple(
            None if length is None else length - start - end
            for length, (start, end) in zip(size, self._margins(), strict=True)
        )
        if any(length is not None and length < 1 for length in cropped):
            raise ValueError(
                f"kernel_size={self.kernel_size} with padding='valid' and "
                f"dilation_rate={self.dilation_rate} does not fit in an input of {size}"
            )
        return cropped

    def _attention_size(self, size):
        return super()._attention_size(self._cropped(size))

    def compute_output_shape(self, input_shape):
        size, channels = self._split_shape(input_shape)
        cropped = self._join_shape(input_shape[0], self._cropped(size), channels)
        batch, size, _ = self._parts(super().compute_output_shape(cropped))
        return self._join_shape(batch, size, self.filters)

    def _parts(self, shape):
        size, channels = self._split_shape(shape)
        return shape[0], size, channels

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

    Reference: Bello et al. 2019, https://arxiv.org/abs/1904.09925, section 3.
    """

    axes = ("height", "width")
