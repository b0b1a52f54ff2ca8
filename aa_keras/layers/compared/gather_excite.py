"""Gather-Excite without parameters."""

import keras
from keras import ops

from aa_keras.layers import validation
from aa_keras.layers.attention.resampling import pool
from aa_keras.layers.sublayers import FeatureMapLayer


@keras.saving.register_keras_serializable(package="aa_keras")
class GatherExcite(FeatureMapLayer):
    """Scales each value by the sigmoid of the average of its surroundings.

    The variant of Gather-Excite that has no parameters. With a finite extent `e` the
    averages are pooled over windows of 2e - 1 with stride e (border windows average the
    pixels that exist) and resized to the input by nearest neighbours.

    Args:
        extent: int, `e`, or `None` for the whole image, which the authors found best.
            Defaults to `None`.
        **kwargs: arguments of `keras.layers.Layer`.

    Input and output shape:
        `(batch, height, width, channels)`.

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
        x = pool(inputs, (self.extent, self.extent))
        for axis in (1, 2):
            x = _nearest(x, ops.shape(inputs)[axis], axis)
        return inputs * ops.sigmoid(x)


def _nearest(x, length, axis):
    """Resizes an axis by nearest neighbours.

    `ops.image.resize` has no second derivative on TensorFlow.
    """
    centers = 2 * ops.arange(length) + 1  # in halves of a pixel
    return ops.take(x, centers * ops.shape(x)[axis] // (2 * length), axis=axis)
