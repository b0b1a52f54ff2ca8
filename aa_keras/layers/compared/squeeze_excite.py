"""Squeeze-and-Excitation."""

import functools

import keras
from keras import layers, ops

from aa_keras.layers import validation
from aa_keras.layers.shapes import known_channels
from aa_keras.layers.sublayers import FeatureMapLayer, build_sublayer


@keras.saving.register_keras_serializable(package="aa_keras")
class SqueezeExcite(FeatureMapLayer):
    """Scales each channel by a gate computed from the whole image.

    `outputs = inputs * sigmoid(W_2 relu(W_1 mean(inputs)))`, the mean taken over
    height and width.

    Args:
        ratio: int, the channels over the units of the hidden layer. Defaults to `16`.
        squeezed_filters: int, the units of the hidden layer. Defaults to the channels
            divided by `ratio`, at least 1.
        use_bias: bool, whether `W_1` and `W_2` have biases. MnasNet has them; the
            counts of the paper's Table 3 match only without. Defaults to `False`.
        kernel_initializer: initializer of both kernels. Defaults to `"he_normal"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input and output shape:
        `(batch, height, width, channels)`.

    Reference:
        - Hu et al., "Squeeze-and-Excitation Networks", CVPR 2018, section 3.
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
        channels = known_channels(input_shape)
        squeezed = self.squeezed_filters or max(channels // self.ratio, 1)
        options = {
            "use_bias": self.use_bias,
            "kernel_initializer": self.kernel_initializer,
        }
        dense = functools.partial(build_sublayer, self, layers.Dense, **options)
        self.squeeze = dense(squeezed, activation="relu", name="squeeze")
        self.excite = dense(channels, activation="sigmoid", name="excite")
        self.squeeze.build((None, channels))
        self.excite.build((None, squeezed))

    def call(self, inputs):
        weights = self.excite(self.squeeze(ops.mean(inputs, axis=(1, 2))))
        return inputs * weights[:, None, None, :]
