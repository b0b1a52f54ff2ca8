"""Signatures of an exported detector, with boxes in pixels of the original images.

Shape letters: B batch, H height, W width, C channels, K most boxes of an image.
"""

import tensorflow as tf

from aa_keras.data.served_decoding import decode_picture
from aa_keras.export.classifier_signatures import input_specs, refuse_no_pixels


def build_detection_signatures(model, preprocessing, class_names):
    """The signatures of an exported RetinaNet.

    | name | input | output |
    |---|---|---|
    | `serving_default` | `images`, uint8 (B, H, W, C) of any size | an answer |
    | `serve_image_bytes` | `image_bytes`, (B,) JPEG or PNG files | an answer |
    | `serve_preprocessed` | `inputs`, float32 as the network sees it | an answer, boxes in pixels of `inputs` |

    An answer is `boxes` (B, K, 4), left, top, right, bottom in pixels of the image,
    `scores` (B, K), `classes` (B, K), -1 where there is no box, `class_names` (B, K)
    and `num_detections` (B,).

    Args:
        model: A `models.RetinaNet`; its `prediction_decoder` says what is kept.
        preprocessing: A `data.detection_batches.DetectionPreprocessing`.
        class_names: One text per class.

    Returns:
        Dictionary of name to (function, list of `tf.TensorSpec`).
    """  # noqa: E501
    channels = preprocessing.channels
    images, image_bytes, inputs = input_specs(preprocessing)
    # The last name is that of the class -1.
    names = tf.constant([*class_names, ""])

    def detect(inputs, sizes):
        num_images = tf.shape(inputs)[0]
        one = tf.zeros((1, *preprocessing.output_shape))
        inputs = tf.cond(num_images > 0, lambda: inputs, lambda: one)
        found = model.decode_predictions(model(inputs, training=False), inputs)
        found = tf.nest.map_structure(lambda x: x[:num_images], found)
        classes = tf.cast(found["classes"], tf.int32)
        kept = classes >= 0
        boxes = to_original(found["boxes"], sizes, preprocessing.image_size)
        return {
            "boxes": tf.where(kept[..., tf.newaxis], boxes, -1.0),
            "scores": tf.where(kept, tf.cast(found["confidence"], tf.float32), -1.0),
            "classes": classes,
            "class_names": tf.gather(names, classes % len(names)),
            "num_detections": tf.reduce_sum(tf.cast(kept, tf.int32), axis=-1),
        }

    def serving_default(images):
        images = refuse_no_pixels(images)
        size = tf.shape(images)[1:3]
        sizes = tf.repeat(size[tf.newaxis], tf.shape(images)[0], axis=0)
        return detect(preprocessing(images), sizes)

    def serve_image_bytes(image_bytes):
        def prepare(encoded):
            image = decode_picture(encoded, channels)
            return preprocessing(image), tf.shape(image)[:2]

        return detect(
            *tf.map_fn(
                prepare,
                image_bytes,
                fn_output_signature=(
                    tf.TensorSpec(preprocessing.output_shape, tf.float32),
                    tf.TensorSpec((2,), tf.int32),
                ),
            )
        )

    def serve_preprocessed(inputs):
        size = tf.constant([preprocessing.output_shape[:2]])
        return detect(inputs, tf.repeat(size, tf.shape(inputs)[0], axis=0))

    return {
        "serving_default": (serving_default, [images]),
        "serve_image_bytes": (serve_image_bytes, [image_bytes]),
        "serve_preprocessed": (serve_preprocessed, [inputs]),
    }


def to_original(boxes, sizes, image_size):
    """Boxes in pixels of the network's input in those of the original images.

    Args:
        boxes: (B, K, 4), left, top, right, bottom.
        sizes: Integers (B, 2), height and width of the original images.
        image_size: Side of the network's input.
    """
    sizes = tf.cast(tf.reverse(sizes, [-1]), tf.float32)
    scale = image_size / tf.reduce_max(sizes, axis=-1, keepdims=True)
    # The scaled size is in whole pixels, so that the two axes differ a little.
    scaled = tf.maximum(tf.round(sizes * scale), 1.0)
    factors = tf.tile(sizes / scaled, [1, 2])[:, tf.newaxis]
    limits = tf.tile(sizes, [1, 2])[:, tf.newaxis]
    return tf.clip_by_value(tf.cast(boxes, tf.float32) * factors, 0.0, limits)
