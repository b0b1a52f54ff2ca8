"""The convolutional block attention module (CBAM)."""

import functools

import keras
from keras import layers, ops

from aa_keras.layers import validation
from aa_keras.layers.shapes import known_channels
from aa_keras.layers.sublayers import FeatureMapLayer, build_sublayer


@keras.saving.register_keras_serializable(package="aa_keras")
class CBAM(FeatureMapLayer):
    """Scales the channels, then the positions, of a feature map by gates.

    Channels: `x = inputs * sigmoid(f(mean(inputs)) + f(max(inputs)))` over height and
    width, with one `f(y) = W_2 relu(W_1 y)` for both. Positions:
    `outputs = x * sigmoid(convolution([mean(x), max(x)]))` over the channels.

    Args:
        ratio: int, the channels over the units of the hidden layer of `f`. Defaults to
            `16`.
        kernel_size: int, the size of the spatial convolution. Defaults to `7`.
        kernel_initializer: initializer of all kernels. Defaults to `"he_normal"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input and output shape:
        `(batch, height, width, channels)`.

    Reference:
        - Woo et al., "CBAM: Convolutional Block Attention Module", ECCV 2018,
          section 3.
    """

    def __init__(
        self, ratio=16, kernel_size=7, kernel_initializer="he_normal", **kwargs
    ):
        super().__init__(**kwargs)
        self.ratio = validation.positive_int("ratio", ratio)
        self.kernel_size = validation.positive_int("kernel_size", kernel_size)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        channels = known_channels(input_shape)
        squeezed = max(channels // self.ratio, 1)
        options = {"use_bias": False, "kernel_initializer": self.kernel_initializer}
        make = functools.partial(build_sublayer, self, **options)
        self.squeeze = make(layers.Dense, squeezed, activation="relu", name="squeeze")
        self.excite = make(layers.Dense, channels, name="excite")
        self.spatial = make(
            layers.Conv2D,
            1,
            self.kernel_size,
            padding="same",
            activation="sigmoid",
            data_format="channels_last",
            name="spatial",
        )
        self.squeeze.build((None, channels))
        self.excite.build((None, squeezed))
        self.spatial.build((*input_shape[:-1], 2))

    def call(self, inputs):
        x = inputs
        mean = self.excite(self.squeeze(ops.mean(x, axis=(1, 2))))
        largest = self.excite(self.squeeze(ops.max(x, axis=(1, 2))))
        x = x * ops.sigmoid(mean + largest)[:, None, None, :]
        described = ops.concatenate(
            [ops.mean(x, axis=-1, keepdims=True), ops.max(x, axis=-1, keepdims=True)],
            axis=-1,
        )
        return x * self.spatial(described)
