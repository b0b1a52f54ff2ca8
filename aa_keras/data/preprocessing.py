"""From stored images to what a network sees: the same in evaluation and export."""

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Resizes to a fixed size and normalises each channel.

    Args:
        image_size: Height and width of the result, in pixels.
        mean: Mean of each channel over the training images, in 0..1.
        std: Standard deviation of each channel, in 0..1.
    """

    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def channels(self):
        return len(self.mean)

    @property
    def output_shape(self):
        return (self.image_size, self.image_size, self.channels)

    def resize(self, images):
        """uint8 or float (..., height, width, channels), 0..255, to the image size."""
        size = (self.image_size, self.image_size)
        if images.shape[-3:-1] == size:
            return images
        # Antialiased: shrinking by bilinear interpolation alone skips pixels.
        return tf.image.resize(images, size, antialias=True)

    def normalize(self, images):
        """Values in 0..255 to float32 of mean 0 and standard deviation 1."""
        images = tf.cast(images, tf.float32) / 255.0
        return (images - tf.constant(self.mean)) / tf.constant(self.std)

    def __call__(self, images):
        """uint8 (..., height, width, channels) to float32 of the output shape."""
        return self.normalize(self.resize(images))
