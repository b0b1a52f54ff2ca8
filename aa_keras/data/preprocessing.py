"""From stored images to what a network sees: the same in evaluation and export."""

import dataclasses

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Cuts, resizes to a fixed size, and normalises each channel.

    A pure function: it may be part of a served graph, for images of any size.

    Args:
        image_size: Height and width of the result, in pixels.
        mean: Mean of each channel over the training images, in 0..1.
        std: Standard deviation of each channel, in 0..1.
        central_crop: Side of the square that is cut out of the centre, as a part of
            the short side of the image, above 0 and at most 1; `None` cuts nothing
            and an image that is not square is squeezed.
    """

    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    central_crop: float | None = None

    @property
    def channels(self):
        return len(self.mean)

    @property
    def output_shape(self):
        return (self.image_size, self.image_size, self.channels)

    def crop(self, images):
        """The central square of (..., height, width, channels)."""
        if self.central_crop is None:
            return images
        height, width = tf.unstack(tf.shape(images)[-3:-1])
        short_side = tf.cast(tf.minimum(height, width), tf.float32)
        side = tf.cast(tf.round(short_side * self.central_crop), tf.int32)
        side = tf.maximum(side, 1)
        y, x = (height - side) // 2, (width - side) // 2
        return images[..., y : y + side, x : x + side, :]

    def resize(self, images):
        """uint8 or float (..., height, width, channels), 0..255, to the image size."""
        size = (self.image_size, self.image_size)
        if images.shape[-3:-1] == size:
            return images
        # Antialiased: shrinking by bilinear interpolation alone skips pixels.
        return tf.image.resize(images, size, antialias=True)

    def normalize(self, images):
        """Values in 0..255 to float32 of mean 0 and standard deviation 1."""
        mean, std = np.array(self.mean), np.array(self.std)
        scale, offset = np.float32(1 / (255 * std)), np.float32(mean / std)
        return tf.cast(images, tf.float32) * scale - offset

    def __call__(self, images):
        """uint8 (..., height, width, channels) to float32 of the output shape."""
        return self.normalize(self.resize(self.crop(images)))
