"""The bottleneck attention module (BAM)."""

import functools

import keras
from keras import layers, ops

from aa_keras.layers import validation
from aa_keras.layers.shapes import known_channels
from aa_keras.layers.sublayers import FeatureMapLayer, build_sublayer


@keras.saving.register_keras_serializable(package="aa_keras")
class BAM(FeatureMapLayer):
    """Adds to a feature map its product with a gate of channels plus positions.

    `outputs = inputs + inputs * sigmoid(channel(inputs) + spatial(inputs))`, where
    `channel` is a hidden layer on the mean over height and width, and `spatial` is a
    1x1 convolution to fewer channels, two dilated 3x3 convolutions and a 1x1
    convolution to one channel. Both end in batch normalisation; all but the last layer
    of each have a ReLU, as in the authors' code (the paper's equations omit it).

    Args:
        ratio: int, the channels over those of the hidden layers. Defaults to `16`.
        dilation_rate: int, the dilation of the 3x3 convolutions. Defaults to `4`.
        momentum: float, the momentum of the batch normalisation. Defaults to `0.9`.
        kernel_initializer: initializer of all kernels. Defaults to `"he_normal"`.
        **kwargs: arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: tensor, the feature map.
        training: bool, whether batch normalisation uses the batch's statistics.
            Defaults to `None`, as in `keras.layers.BatchNormalization`.

    Input and output shape:
        `(batch, height, width, channels)`.

    Reference:
        - Park et al., "BAM: Bottleneck Attention Module", BMVC 2018, section 3.
    """

    def __init__(
        self,
        ratio=16,
        dilation_rate=4,
        momentum=0.9,
        kernel_initializer="he_normal",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.ratio = validation.positive_int("ratio", ratio)
        self.dilation_rate = validation.positive_int("dilation_rate", dilation_rate)
        self.momentum = momentum
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        channels = known_channels(input_shape)
        squeezed = max(channels // self.ratio, 1)
        make = functools.partial(build_sublayer, self)
        options = {"kernel_initializer": self.kernel_initializer}
        dense = functools.partial(make, layers.Dense, **options)
        options |= {"padding": "same", "data_format": "channels_last"}
        conv = functools.partial(make, layers.Conv2D, **options)
        dilated = functools.partial(
            conv, squeezed, 3, dilation_rate=self.dilation_rate, activation="relu"
        )
        normalization = functools.partial(
            make, layers.BatchNormalization, momentum=self.momentum, epsilon=1e-5
        )
        self.channel = [
            dense(squeezed, activation="relu", name="channel_squeeze"),
            dense(channels, name="channel_excite"),
            normalization(name="channel_bn"),
        ]
        self.spatial = [
            conv(squeezed, 1, activation="relu", name="spatial_squeeze"),
            dilated(name="spatial_conv1"),
            dilated(name="spatial_conv2"),
            conv(1, 1, name="spatial_excite"),
            normalization(name="spatial_bn"),
        ]
        for branch, shape in (
            (self.channel, (input_shape[0], channels)),
            (self.spatial, tuple(input_shape)),
        ):
            for layer in branch:
                layer.build(shape)
                shape = layer.compute_output_shape(shape)

    def call(self, inputs, training=None):
        x, y = ops.mean(inputs, axis=(1, 2)), inputs
        for layer in self.channel[:-1]:
            x = layer(x)
        for layer in self.spatial[:-1]:
            y = layer(y)
        x = self.channel[-1](x, training=training)
        y = self.spatial[-1](y, training=training)
        return inputs + inputs * ops.sigmoid(x[:, None, None, :] + y)
