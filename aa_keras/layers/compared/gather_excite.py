"""Gather-Excite without parameters."""

import keras
from keras import layers, ops

from aa_keras.layers import validation


@keras.saving.register_keras_serializable(package="aa_keras")
class GatherExcite(layers.Layer):
    """Scales each value by the sigmoid of the average of its surroundings.

    The variant of Gather-Excite that has no parameters. With a finite extent `e` the
    averages are pooled over windows of 2e - 1 with stride e (border windows average the
    pixels that exist) and resized to the input by nearest neighbours.

    Args:
        extent: int, `e`, or `None` for the whole image, which the authors found best.
            Defaults to `None`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        As the input.

    Reference:
        - Hu et al., "Gather-Excite: Exploiting Feature Context in Convolutional Neural
          Networks", NeurIPS 2018, section 3.
    """

    def __init__(self, extent=None, **kwargs):
        super().__init__(**kwargs)
        if extent is not None:
            validation.positive_int("extent", extent)
        self.extent = extent

    def call(self, inputs):
        if self.extent is None:
            return inputs * ops.sigmoid(ops.mean(inputs, axis=(1, 2), keepdims=True))
        gathered = ops.average_pool(
            inputs,
            2 * self.extent - 1,
            self.extent,
            padding="same",
            data_format="channels_last",
        )
        gathered = ops.image.resize(
            gathered,
            ops.shape(inputs)[1:3],
            interpolation="nearest",
            data_format="channels_last",
        )
        return inputs * ops.sigmoid(gathered)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return super().get_config() | {"extent": self.extent}
