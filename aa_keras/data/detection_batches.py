"""`tf.data` pipelines of images and boxes, as a RetinaNet takes them.

Boxes are (left, top, right, bottom) in pixels of the network's input, which KerasCV
calls "xyxy". All images of a batch have the same number of boxes: rows of -1 fill up
the missing ones.
"""

import tensorflow as tf

from aa_keras.data import batches
from aa_keras.data.detection_augmentation import AUGMENTATIONS, augment
from aa_keras.data.preprocessing import DetectionPreprocessing

MAX_BOXES = 100  # of an image in training; few images of COCO have more


def build_training(
    source,
    preprocessing: DetectionPreprocessing,
    *,
    augmentation,
    batch_size,
    seed,
    epochs,
    split="train",
    scale_range=(0.8, 1.2),
    first_batch=0,
) -> tf.data.Dataset:
    """Builds shuffled, augmented batches of whole epochs, one after the other.

    Crowds are dropped; images without an object stay, as examples of background.

    Args:
        scale_range: pair of floats, the smallest and the largest factor of the scale
            jitter. Defaults to (0.8, 1.2).

    The others are those of `classification_batches.build_training`.

    Returns:
        A `tf.data.Dataset` of images (batch, size, size, channels) and a dictionary
        of `boxes` (batch, 100, 4) and `classes` (batch, 100), all float32.
    """
    if augmentation not in AUGMENTATIONS:
        raise ValueError(
            f"data.augmentation: received {augmentation!r}; allowed for detection: "
            f"{', '.join(AUGMENTATIONS)}"
        )
    num_batches = batches.check_num_batches(source, split, batch_size)
    source.require(split)

    def prepare(position, record, key):
        image, boxes, visible = augment(
            augmentation,
            record["image"],
            record["boxes"],
            preprocessing,
            scale_range,
            tf.random.fold_in(key, position),
        )
        kept = visible & ~record["is_crowd"]
        return image, {
            "boxes": _fill(boxes[kept]),
            "classes": _fill(tf.cast(record["classes"][kept], tf.float32)),
        }

    def one_epoch(key, first):
        order_key, change_key = tf.unstack(tf.random.split(key, 2))
        first *= batch_size
        records = source.examples(split, order_key)
        records = batches.repeated(records, first, source, split)
        return batches.map_in_order(
            records.enumerate(start=first),
            lambda position, record: prepare(position, record, change_key),
        ).batch(batch_size, drop_remainder=True)

    return batches.repeat_epochs(one_epoch, seed, epochs, num_batches, first_batch)


def build_evaluation(
    source, preprocessing: DetectionPreprocessing, *, split, batch_size
) -> tf.data.Dataset:
    """Builds batches of every image of a split once, in order, the last one smaller.

    Returns:
        A `tf.data.Dataset` of images (batch, size, size, channels) and the targets of
        `coco.measure`, a dictionary of `boxes` (batch, most, 4) in pixels of the
        *original* image, `classes`, `is_crowd` and `area` (batch, most), and
        `image_id`, `height` and `width` (batch,) of the original image.
    """
    source.require(split)

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

    records = batches.decoded(source.examples(split), source, split)
    examples = batches.map_in_order(records, prepare)
    _, specs = examples.element_spec
    minus_one = {key: tf.constant(-1, spec.dtype) for key, spec in specs.items()}
    padded = examples.padded_batch(batch_size, padding_values=(0.0, minus_one))
    return batches.evaluate_once(padded, source, split, batch_size)


def _fill(values):
    """The first 100 rows, with rows of -1 up to that number."""
    values = values[:MAX_BOXES]
    missing = MAX_BOXES - tf.shape(values)[0]
    rest = [[0, 0]] * (values.shape.rank - 1)
    values = tf.pad(values, [[0, missing], *rest], constant_values=-1.0)
    return tf.ensure_shape(values, (MAX_BOXES, *values.shape[1:]))
