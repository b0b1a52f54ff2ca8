"""The global-and-local attention module (GALA)."""

import functools

import keras
from keras import layers, ops

from aa_keras.layers import validation
from aa_keras.layers.shapes import known_channels
from aa_keras.layers.sublayers import (
    FeatureMapLayer,
    build_sublayer,
    fresh_initializer,
)


@keras.saving.register_keras_serializable(package="aa_keras")
class GALA(FeatureMapLayer):
    """Scales a feature map by a mask made from its channels and its positions.

    `outputs = inputs * tanh(a * (g + l) + m * g * l)`. The global part
    `g = W_2 relu(W_1 mean(inputs))` has a value for each channel (the mean is over
    height and width), the local part `l = V_2 relu(V_1 inputs)` one for each position
    (`V_1` and `V_2` are 1x1 convolutions, the second with one filter). `a` and `m` are
    weights for each channel.

    There are no biases, and `V_1` has as many outputs as `W_1`. So, with a `ratio` of
    16, ResNet-50 has the 29.4 M parameters of the paper's Table 2. The
    supervision by maps that people clicked, of which the authors write too, is not
    part of the layer.

    Args:
        ratio: int, the channels over the outputs of `W_1` and of `V_1`. Defaults to
            `16`.
        kernel_initializer: initializer of all kernels. Defaults to `"he_normal"`.
        scale_initializer: initializer of `a` and `m`. Defaults to a truncated normal
            distribution with standard deviation 1, as in the authors' code.
        **kwargs: arguments of `keras.layers.Layer`.

    Input and output shape:
        `(batch, height, width, channels)`.

    Reference:
        - Linsley et al., "Learning what and where to attend", ICLR 2019, section 3.
    """

    def __init__(
        self,
        ratio=16,
        kernel_initializer="he_normal",
        scale_initializer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.ratio = validation.positive_int("ratio", ratio)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.scale_initializer = keras.initializers.get(
            scale_initializer or keras.initializers.TruncatedNormal(stddev=1.0)
        )

    def build(self, input_shape):
        channels = known_channels(input_shape)
        squeezed = max(channels // self.ratio, 1)
        options = {"use_bias": False, "kernel_initializer": self.kernel_initializer}
        make = functools.partial(build_sublayer, self, **options)
        conv = functools.partial(make, layers.Conv2D, data_format="channels_last")
        self.squeeze = make(layers.Dense, squeezed, activation="relu", name="squeeze")
        self.excite = make(layers.Dense, channels, name="excite")
        self.local_squeeze = conv(
            squeezed, kernel_size=1, activation="relu", name="local_squeeze"
        )
        self.local_excite = conv(1, kernel_size=1, name="local_excite")
        self.squeeze.build((None, channels))
        self.excite.build((None, squeezed))
        self.local_squeeze.build(input_shape)
        self.local_excite.build((*input_shape[:-1], squeezed))
        self.sum_scale, self.product_scale = (
            self.add_weight(
                shape=(channels,),
                initializer=fresh_initializer(self.scale_initializer),
                name=name,
            )
            for name in ("sum_scale", "product_scale")
        )

    def call(self, inputs):
        of_channels = self.excite(self.squeeze(ops.mean(inputs, axis=(1, 2))))
        of_channels = of_channels[:, None, None, :]
        of_positions = self.local_excite(self.local_squeeze(inputs))
        summed = self.sum_scale * (of_channels + of_positions)
        multiplied = self.product_scale * of_channels * of_positions
        return inputs * ops.tanh(summed + multiplied)
