"""`tf.data` pipelines of images and boxes, as KerasCV's RetinaNet takes them.

Images lie in the top left corner of a square: scaled with their aspect ratio kept, the
rest of the square is zero after normalisation, that is the mean colour. Boxes are
(left, top, right, bottom) in pixels of that square, which KerasCV calls "xyxy"; what is
missing to the same number of boxes for all images is filled up with -1.
"""

import dataclasses

import tensorflow as tf

from aa_keras.data.classification_batches import (
    check_num_batches,
    decoded,
    repeat_epochs,
    with_length,
    with_options,
)
from aa_keras.data.preprocessing import Preprocessing

MAX_BOXES = 100  # of an image in training; in COCO hardly any has more
AUGMENTATIONS = ("none", "flip", "scale_jitter")


@dataclasses.dataclass(frozen=True)
class DetectionPreprocessing(Preprocessing):
    """Scales images into a square and normalises each channel.

    A pure function: it may be part of a served graph, for images of any size. Args as
    of `Preprocessing`, without `central_crop`.
    """

    def scale(self, shape):
        """By how much images of that (..., height, width, channels) are scaled."""
        long_side = tf.cast(tf.reduce_max(shape[-3:-1]), tf.float32)
        return self.image_size / long_side

    def fit(self, images, scale=None, corner=(0, 0)):
        """Scales, cuts what is too large, and normalises; the rest becomes zero.

        Args:
            images: (..., height, width, channels), values in 0..255.
            scale: Scalar; `None` for the one that makes the image fit in.
            corner: (y, x) of the scaled image that becomes the top left corner.
        """
        size = self.image_size
        scale = self.scale(tf.shape(images)) if scale is None else scale
        scaled = scaled_size(tf.shape(images), scale)
        images = tf.image.resize(images, scaled, antialias=True)
        images = images[
            ..., corner[0] : corner[0] + size, corner[1] : corner[1] + size, :
        ]
        height, width = tf.unstack(tf.shape(images)[-3:-1])
        images = self.normalize(images)
        around = [[0, 0]] * (images.shape.rank - 3)
        images = tf.pad(
            images, [*around, [0, size - height], [0, size - width], [0, 0]]
        )
        return tf.ensure_shape(images, (*images.shape[:-3], *self.output_shape))

    def __call__(self, images):
        return self.fit(images)


def scaled_size(shape, scale):
    """Height and width after scaling, in whole pixels, at least one."""
    size = tf.cast(shape[-3:-1], tf.float32) * scale
    return tf.maximum(tf.cast(tf.round(size), tf.int32), 1)


def flip(image, boxes, seed):
    """Mirrors an image and its boxes left and right with probability one half.

    Args:
        image: (height, width, channels).
        boxes: (boxes, 4), top, left, bottom, right as parts of height and width.
        seed: Integers of shape (2,).
    """
    top, left, bottom, right = tf.unstack(boxes, axis=-1)
    mirrored = tf.stack([top, 1 - right, bottom, 1 - left], axis=-1)
    coin = tf.random.stateless_uniform((), seed) < 0.5
    return (
        tf.where(coin, tf.reverse(image, [1]), image),
        tf.where(coin, mirrored, boxes),
    )


def jitter(shape, preprocessing, scale_range, seed):
    """A random scale, and where the square lies in an image that is then too large.

    Returns:
        The scale, and integers (y, x).
    """
    scale_seed, corner_seed = tf.unstack(tf.random.split(seed, 2))
    smallest, largest = scale_range
    factor = tf.random.stateless_uniform((), scale_seed, smallest, largest)
    scale = preprocessing.scale(shape) * factor
    beyond = tf.maximum(scaled_size(shape, scale) - preprocessing.image_size, 0)
    position = tf.random.stateless_uniform((2,), corner_seed)
    return scale, tf.cast(position * tf.cast(beyond + 1, tf.float32), tf.int32)


def place_boxes(boxes, shape, scale, corner, image_size):
    """Boxes of a stored image in pixels of the square, cut off at its border.

    Args:
        boxes: (boxes, 4), top, left, bottom, right as parts of height and width.
        shape: Height, width and channels of the stored image.
        scale, corner: As `jitter` returns them.
        image_size: Side of the square in pixels.

    Returns:
        (boxes, 4), left, top, right, bottom, and booleans (boxes,), whether anything
        of the box is left.
    """
    size = tf.cast(scaled_size(shape, scale), tf.float32)
    offset = tf.cast(corner, tf.float32)
    boxes = boxes * tf.tile(size, [2]) - tf.tile(offset, [2])
    boxes = tf.clip_by_value(boxes, 0.0, tf.cast(image_size, tf.float32))
    top, left, bottom, right = tf.unstack(boxes, axis=-1)
    visible = (bottom - top >= 1) & (right - left >= 1)
    return tf.stack([left, top, right, bottom], axis=-1), visible


def build_training(
    source,
    preprocessing,
    *,
    augmentation,
    batch_size,
    seed,
    epochs,
    split="train",
    scale_range=(0.8, 1.2),
):
    """Shuffled, augmented batches of whole epochs, one after the other.

    Crowds are left out; images without an object stay, as examples of background.

    Args:
        source: A `Source` of the task detection.
        preprocessing: A `DetectionPreprocessing`.
        augmentation: `"none"`, `"flip"`, or `"scale_jitter"`, which flips as well.
        batch_size: Images in a batch; the rest of an epoch is left out of it.
        seed: Integer.
        epochs: The range of epochs to give, as in `range(7, 30)`.
        split: The split to train on.
        scale_range: Smallest and largest factor of the scale jitter, on the scale
            that fits the long side of the image into the square.

    Returns:
        A `tf.data.Dataset` of images (batch, size, size, channels) and a dictionary
        of `boxes` (batch, 100, 4) and `classes` (batch, 100), all float32; -1 where
        there is no box.

    Raises:
        ValueError: If the split holds less than one batch, or an unknown
            augmentation is asked for.
    """
    if augmentation not in AUGMENTATIONS:
        raise ValueError(
            f"data.augmentation: received {augmentation!r}; allowed for detection: "
            f"{', '.join(AUGMENTATIONS)}"
        )
    num_batches = check_num_batches(source, split, batch_size)

    def prepare(position, record, key):
        image, boxes = record["image"], record["boxes"]
        flip_seed, jitter_seed = tf.unstack(
            tf.random.split(tf.random.fold_in(key, position), 2)
        )
        shape = tf.shape(image)
        scale, corner = preprocessing.scale(shape), tf.zeros((2,), tf.int32)
        if augmentation != "none":
            image, boxes = flip(image, boxes, flip_seed)
        if augmentation == "scale_jitter":
            scale, corner = jitter(shape, preprocessing, scale_range, jitter_seed)
        boxes, visible = place_boxes(
            boxes, shape, scale, corner, preprocessing.image_size
        )
        kept = visible & ~record["is_crowd"]
        return preprocessing.fit(image, scale, corner), {
            "boxes": _fill(boxes[kept]),
            "classes": _fill(tf.cast(record["classes"][kept], tf.float32)),
        }

    def one_epoch(key):
        order_key, change_key = tf.unstack(tf.random.split(key, 2))
        return (
            decoded(source, source.records(split, order_key))
            .repeat()  # in place of images left out as corrupt
            .enumerate()
            .map(
                lambda position, record: prepare(position, record, change_key),
                num_parallel_calls=tf.data.AUTOTUNE,
                deterministic=True,
            )
            .batch(batch_size, drop_remainder=True)
        )

    return repeat_epochs(one_epoch, seed, epochs, num_batches)


def build_evaluation(source, preprocessing, *, split, batch_size):
    """Every image of a split exactly once, in order, the last batch smaller.

    Returns:
        A `tf.data.Dataset` of images (batch, size, size, channels) and what
        `coco.measure` compares predictions with, a dictionary of `boxes` (batch,
        most, 4), left, top, right, bottom in pixels of the *original* image,
        `classes`, `is_crowd` and `area` (batch, most), filled up with -1 to the most
        boxes of an image of the batch, and `image_id`, `height` and `width` (batch,)
        of the original image.
    """
    source.count(split)

    def prepare(record):
        height, width, _ = tf.unstack(tf.shape(record["image"]))
        top, left, bottom, right = tf.unstack(record["boxes"], axis=-1)
        x, y = tf.cast(width, tf.float32), tf.cast(height, tf.float32)
        return preprocessing(record["image"]), {
            "boxes": tf.stack([left * x, top * y, right * x, bottom * y], axis=-1),
            "classes": record["classes"],
            "is_crowd": tf.cast(record["is_crowd"], tf.int64),
            "area": record["area"],
            "image_id": record["image_id"],
            "height": height,
            "width": width,
        }

    examples = decoded(source, source.records(split, None)).map(
        prepare, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True
    )
    _, specs = examples.element_spec
    minus_one = {key: tf.constant(-1, spec.dtype) for key, spec in specs.items()}
    batches = examples.padded_batch(batch_size, padding_values=(0.0, minus_one))
    return with_options(batches.apply(with_length(source, split, batch_size)))


def _fill(values):
    """The first 100 rows, with rows of -1 up to that number."""
    values = values[:MAX_BOXES]
    missing = MAX_BOXES - tf.shape(values)[0]
    rest = [[0, 0]] * (values.shape.rank - 1)
    values = tf.pad(values, [[0, missing], *rest], constant_values=-1.0)
    return tf.ensure_shape(values, (MAX_BOXES, *values.shape[1:]))
