"""The functions that an exported detector serves, and how an answer is checked.

Shape letters: B batch, H height, W width, C channels, K most boxes of an image.
"""

import numpy as np
import tensorflow as tf

from aa_keras.tasks.serving_network import (
    Signature,
    first_or_black,
    input_specs,
    no_errors,
    preprocess_files,
    preprocess_images,
    refuse_not_finite,
)

BOX_TOLERANCE = 0.1  # pixels


def build_signatures(
    model, preprocessing, class_names, attention_layer=None
) -> dict[str, Signature]:
    """Builds the signatures of an exported RetinaNet.

    The signatures of `serving_network` return an answer: `boxes` (B, K, 4), left, top,
    right, bottom in pixels of the image, or of `inputs` in `serve_preprocessed`,
    `scores` (B, K), `classes` (B, K), -1 where there is no box, `class_names` (B, K),
    `num_detections` (B,) and `errors` (B,). A row with an error has no box.

    Args:
        model: a `models.RetinaNet`. A box must exceed its `serving_score_threshold`.
        preprocessing: a `data.DetectionPreprocessing`.
        class_names: sequence of strings.
        attention_layer: only `None`: a detector has no `serve_attention`.

    Raises:
        ValueError: if `attention_layer` is given.
    """
    if attention_layer is not None:
        raise ValueError(
            f"attention_layer: received {attention_layer!r}; allowed for a detector: "
            "None"
        )
    # The last name is that of the class -1.
    names = tf.constant([*class_names, ""])

    def detect(inputs, sizes, errors):
        num_images = tf.shape(inputs)[0]
        inputs = tf.cond(
            num_images > 0,
            lambda: inputs,
            lambda: first_or_black(inputs, preprocessing.output_shape),
        )
        outputs = model(inputs, training=False)
        found = model.decode_predictions(outputs, inputs, serving=True)
        found, outputs = tf.nest.map_structure(
            lambda x: x[:num_images], (found, outputs)
        )
        errors = refuse_not_finite(errors, outputs["box"], outputs["classification"])
        answered = (errors == "")[:, tf.newaxis]
        classes = tf.where(answered, tf.cast(found["classes"], tf.int32), -1)
        kept = classes >= 0
        boxes = preprocessing.to_original(found["boxes"], sizes)
        return {
            "errors": errors,
            "boxes": tf.where(kept[..., tf.newaxis], boxes, -1.0),
            "scores": tf.where(kept, tf.cast(found["confidence"], tf.float32), -1.0),
            "classes": classes,
            "class_names": tf.gather(names, classes % len(names)),
            "num_detections": tf.reduce_sum(tf.cast(kept, tf.int32), axis=-1),
        }

    def detect_all(inputs, size, errors):
        sizes = tf.repeat([size], tf.shape(inputs)[0], axis=0)
        return detect(inputs, sizes, errors)

    def serving_default(images):
        size = tf.shape(images)[1:3]
        inputs = preprocess_images(preprocessing, images)
        return detect_all(inputs, size, no_errors(inputs))

    def serve_image_bytes(image_bytes):
        return detect(*preprocess_files(preprocessing, image_bytes))

    def serve_preprocessed(inputs):
        size = tf.constant(preprocessing.output_shape[:2])
        return detect_all(inputs, size, refuse_not_finite(no_errors(inputs), inputs))

    specs = input_specs(preprocessing)
    return {
        "serving_default": Signature(serving_default, specs["images"]),
        "serve_image_bytes": Signature(serve_image_bytes, specs["image_bytes"]),
        "serve_preprocessed": Signature(serve_preprocessed, specs["inputs"]),
    }


def expect(model, inputs, images, preprocessing, class_names) -> dict[str, np.ndarray]:
    """Computes what an export has to answer to `inputs`, and to uint8 `images`.

    `scores` and `classes` (B, K), `boxes` (B, K, 4) in pixels of the images and
    `input_boxes` in pixels of the inputs.
    """
    if model.num_classes != len(class_names):
        raise ValueError(
            f"class_names: received {len(class_names)} of them; allowed: "
            f"{model.num_classes}, the classes of the model"
        )
    rows = []
    for one, image in zip(inputs, images, strict=True):  # large images, one at a time
        outputs = model(one[np.newaxis], training=False)
        found = model.decode_predictions(outputs, one[np.newaxis], serving=True)
        boxes = preprocessing.to_original(found["boxes"], [image.shape[:2]])
        on_inputs = np.clip(found["boxes"], 0, preprocessing.image_size)
        rows.append((found["confidence"], found["classes"], boxes, on_inputs))
    names = ("scores", "classes", "boxes", "input_boxes")
    columns = (np.concatenate(column) for column in zip(*rows, strict=True))
    return dict(zip(names, columns, strict=True))


def compare(answer, expected, on_inputs) -> tuple[float, int]:
    """Returns the largest difference of a score, and the boxes without a counterpart.

    Boxes are compared as a set, because boxes of equal scores have no order. They are
    in pixels of the inputs if `on_inputs`, else of the images.
    """
    boxes = expected["input_boxes" if on_inputs else "boxes"]
    difference, missing = 0.0, 0
    for row in range(len(boxes)):
        given = {key: answer[key][row] for key in ("scores", "classes", "boxes")}
        there = given["classes"] >= 0
        kept = expected["classes"][row] >= 0
        missing += abs(int(there.sum()) - int(kept.sum()))
        for index in np.flatnonzero(kept):
            near = np.abs(given["boxes"] - boxes[row, index]).max(axis=1)
            same = there & (given["classes"] == expected["classes"][row, index])
            same &= near <= BOX_TOLERANCE
            if same.any():
                scores = given["scores"][same] - expected["scores"][row, index]
                difference = max(difference, float(np.abs(scores).min()))
            else:
                missing += 1
    return difference, missing
