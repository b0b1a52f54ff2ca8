"""From stored images to the input of a network: the same in evaluation and export."""

import dataclasses
from typing import ClassVar

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """Crops, resizes to a fixed size, and normalizes each channel.

    A pure function: a served graph may contain it, for images of any size.

    Args:
        image_size: int, height and width of the result in pixels.
        mean: tuple of floats, the mean of each channel over the training images, in
            0..1.
        std: tuple of floats, the standard deviation of each channel, in 0..1.
        central_crop: float above 0 and at most 1, the side of the central square that
            is kept, as a fraction of the short side of the image. Defaults to `None`,
            which keeps the whole image and squeezes it into a square.
    """

    task: ClassVar[str] = "classification"

    image_size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    central_crop: float | None = None

    @property
    def channels(self) -> int:
        return len(self.mean)

    @property
    def output_shape(self) -> tuple[int | None, int | None, int]:
        return (self.image_size, self.image_size, self.channels)

    def crop(self, images) -> tf.Tensor:
        """Returns the central square of (..., height, width, channels)."""
        if self.central_crop is None:
            return images
        height, width = tf.unstack(tf.shape(images)[-3:-1])
        short_side = tf.cast(tf.minimum(height, width), tf.float32)
        side = tf.cast(tf.round(short_side * self.central_crop), tf.int32)
        side = tf.maximum(side, 1)
        y, x = (height - side) // 2, (width - side) // 2
        return images[..., y : y + side, x : x + side, :]

    def resize(self, images) -> tf.Tensor:
        """Resizes (..., height, width, channels), values in 0..255, to `image_size`."""
        size = (self.image_size, self.image_size)
        if images.shape[-3:-1] == size:
            return images
        # Antialiased: shrinking by bilinear interpolation alone skips pixels.
        return tf.image.resize(images, size, antialias=True)

    def normalize(self, images) -> tf.Tensor:
        """Scales values in 0..255 to float32 of mean 0 and standard deviation 1."""
        mean, std = np.array(self.mean), np.array(self.std)
        scale, offset = np.float32(1 / (255 * std)), np.float32(mean / std)
        return tf.cast(images, tf.float32) * scale - offset

    def __call__(self, images) -> tf.Tensor:
        """Converts uint8 (..., height, width, channels) to the network's input."""
        return self.normalize(self.resize(self.crop(images)))


@dataclasses.dataclass(frozen=True)
class DetectionPreprocessing(Preprocessing):
    """Scales images into the top left corner of a square and normalizes each channel.

    The aspect ratio is kept. The rest of the square is zero, which is the mean color.
    `central_crop` is not used.
    """

    task: ClassVar[str] = "detection"

    def scale(self, size) -> tf.Tensor:
        """Returns the scale that makes an image of size (height, width) fit."""
        return self.image_size / tf.cast(tf.reduce_max(size, -1), tf.float32)

    def fit(self, images, scale=None, corner=(0, 0)) -> tf.Tensor:
        """Scales (..., height, width, channels), crops to the square and normalizes.

        `scale` defaults to the one that makes the image fit; `corner` (y, x) is that of
        the crop.
        """
        size = self.image_size
        shape = tf.shape(images)[-3:-1]
        scale = self.scale(shape) if scale is None else scale
        images = tf.image.resize(images, scaled_size(shape, scale), antialias=True)
        y, x = tf.unstack(corner)
        images = images[..., y : y + size, x : x + size, :]
        height, width = tf.unstack(tf.shape(images)[-3:-1])
        images = self.normalize(images)
        around = [[0, 0]] * (images.shape.rank - 3)
        images = tf.pad(
            images, [*around, [0, size - height], [0, size - width], [0, 0]]
        )
        return tf.ensure_shape(images, (*images.shape[:-3], *self.output_shape))

    def to_original(self, boxes, sizes) -> tf.Tensor:
        """Converts boxes (..., boxes, 4) from pixels of the square to original ones.

        `sizes` (..., 2) are the height and width of the original images.
        """
        # The scaled size is in whole pixels, so that the two axes differ a little.
        scaled = scaled_size(sizes, self.scale(sizes)[..., tf.newaxis])
        limits = tf.cast(tf.reverse(sizes, [-1]), tf.float32)
        factors = limits / tf.cast(tf.reverse(scaled, [-1]), tf.float32)
        limits, factors = (
            tf.concat([x, x], -1)[..., tf.newaxis, :] for x in (limits, factors)
        )
        return tf.clip_by_value(tf.cast(boxes, tf.float32) * factors, 0.0, limits)

    def __call__(self, images) -> tf.Tensor:
        return self.fit(images)


@dataclasses.dataclass(frozen=True)
class MapPreprocessing(Preprocessing):
    """Names the channels of drawn maps, which are the network's input as they are.

    `image_size` is the height and width of the maps that a run trains on. The network
    takes maps of any size.
    """

    task: ClassVar[str] = "dense_classification"

    @property
    def output_shape(self) -> tuple[int | None, int | None, int]:
        return (None, None, self.channels)


def scaled_size(size, scale) -> tf.Tensor:
    """Returns (height, width) times a scale in whole pixels, at least one."""
    size = tf.cast(size, tf.float32) * scale
    return tf.maximum(tf.cast(tf.round(size), tf.int32), 1)
