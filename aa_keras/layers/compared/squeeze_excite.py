"""Squeeze-and-Excitation."""

import keras
from keras import layers, ops

from aa_keras.layers import validation


@keras.saving.register_keras_serializable(package="aa_keras")
class SqueezeExcite(layers.Layer):
    """Weighs each channel by a number that its whole image decides.

    `outputs = inputs * sigmoid(W_2 relu(W_1 mean(inputs)))`, the mean taken over
    height and width.

    Args:
        ratio: int, the channels over the units of the hidden layer.
        squeezed_filters: int, units of the hidden layer; the default is the channels
            divided by `ratio`, at least 1.
        use_bias: bool, whether `W_1` and `W_2` have biases. The counts of the
            attention-augmentation paper's Table 3 fit none; MnasNet has them.
        kernel_initializer: initializer of both kernels.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`

    Output shape:
        as the input

    Raises:
        ValueError: if `ratio` or `squeezed_filters` is not a positive integer.

    Reference:
        - Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, section 3.

    Example:

    >>> aa_keras.layers.SqueezeExcite(ratio=4)(images).shape
    TensorShape([8, 32, 32, 64])
    """

    def __init__(
        self,
        ratio=16,
        squeezed_filters=None,
        use_bias=False,
        kernel_initializer="he_normal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.ratio = validation.positive_int("ratio", ratio)
        if squeezed_filters is not None:
            validation.positive_int("squeezed_filters", squeezed_filters)
        self.squeezed_filters = squeezed_filters
        self.use_bias = use_bias
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        channels = input_shape[-1]
        squeezed = self.squeezed_filters or max(channels // self.ratio, 1)
        self.squeeze = self._dense(squeezed, "relu", "squeeze")
        self.excite = self._dense(channels, "sigmoid", "excite")
        self.squeeze.build((None, channels))
        self.excite.build((None, squeezed))

    def _dense(self, units, activation, name):
        return layers.Dense(
            units,
            activation=activation,
            use_bias=self.use_bias,
            kernel_initializer=validation.fresh_initializer(self.kernel_initializer),
            dtype=self.dtype_policy,
            name=name,
        )

    def call(self, inputs):
        weights = self.excite(self.squeeze(ops.mean(inputs, axis=(1, 2))))
        return inputs * weights[:, None, None, :]

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return super().get_config() | {
            "ratio": self.ratio,
            "squeezed_filters": self.squeezed_filters,
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
