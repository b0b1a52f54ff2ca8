"""The functions that an exported classifier serves, and how an answer is checked.

Shape letters: B batch, H height, W width, C channels, L classes, K = min(5, L).
"""

import numpy as np
import tensorflow as tf

from aa_keras.layers.attention.listing import listing_attention
from aa_keras.layers.inspection import whole_map_layers
from aa_keras.tasks.serving_network import (
    Signature,
    build_network,
    input_specs,
    no_errors,
    preprocess_files,
    preprocess_images,
    refuse_not_finite,
)

TOP_K = 5
NO_CLASS = -1  # of a row that is not answered
TIE = 1e-5  # classes whose probabilities differ by less are equally probable


def build_signatures(
    model, preprocessing, class_names, attention_layer=None
) -> dict[str, Signature]:
    """Builds the signatures of an exported classifier.

    The signatures of `serving_network` return an answer. `serve_attention` takes
    `images` and returns an answer and `attention_scores`. An answer is `probabilities`
    (B, L), `classes` (B,) and `class_names` (B,) of the most probable class, and
    `top_k_probabilities`, `top_k_classes` and `top_k_class_names` (B, K), most probable
    first, and `errors` (B,). A row with an error has probabilities of 0, the class -1
    and an empty name.

    Args:
        model: a Keras model that ends in probabilities.
        preprocessing: a `data.Preprocessing`.
        class_names: sequence of strings.
        attention_layer: str, a key of `layers.attention_layers(model)`, the layer whose
            scores (B, heads, queries, keys) are served. Defaults to the first one; a
            model without any has no `serve_attention`. Layers of attention over windows
            are not served: nearly all of their scores are 0.

    Raises:
        ValueError: if the model has no such attention layer.
    """
    attention = whole_map_layers(model)
    if attention_layer is None and attention:
        attention_layer = next(iter(attention))
    elif attention_layer is not None and attention_layer not in attention:
        allowed = ", ".join(attention) or "none, as this model has no attention layer"
        raise ValueError(
            f"attention_layer: received {attention_layer!r}; allowed: {allowed}"
        )
    served = {attention_layer: attention[attention_layer]} if attention_layer else {}
    network = build_network(model, preprocessing.output_shape, served)
    # The last name is that of NO_CLASS.
    names = tf.constant([*class_names, ""])

    def classify(inputs, errors):
        probabilities, projections = network(inputs)
        num_images = tf.shape(inputs)[0]
        probabilities = tf.cast(probabilities[:num_images], tf.float32)
        errors = refuse_not_finite(errors, probabilities)
        answered = (errors == "")[:, tf.newaxis]
        probabilities = tf.where(answered, probabilities, 0.0)
        values, classes = tf.math.top_k(probabilities, min(TOP_K, len(class_names)))
        classes = tf.where(answered, classes, NO_CLASS)
        top_names = tf.gather(names, classes % len(names))
        answer = {
            "errors": errors,
            "probabilities": probabilities,
            "classes": classes[:, 0],
            "class_names": top_names[:, 0],
            "top_k_probabilities": values,
            "top_k_classes": classes,
            "top_k_class_names": top_names,
        }
        return answer, projections

    def classify_images(images):
        inputs = preprocess_images(preprocessing, images)
        return classify(inputs, no_errors(inputs))

    def serving_default(images):
        return classify_images(images)[0]

    def serve_image_bytes(image_bytes):
        inputs, _, errors = preprocess_files(preprocessing, image_bytes)
        return classify(inputs, errors)[0]

    def serve_preprocessed(inputs):
        return classify(inputs, refuse_not_finite(no_errors(inputs), inputs))[0]

    def serve_attention(images):
        answer, projections = classify_images(images)
        _, scores = listing_attention(*projections[attention_layer])
        scores = tf.cast(scores[: tf.shape(images)[0]], tf.float32)
        answered = tf.reshape(answer["errors"] == "", (-1, 1, 1, 1))
        return {**answer, "attention_scores": tf.where(answered, scores, 0.0)}

    specs = input_specs(preprocessing)
    signatures = {
        "serving_default": Signature(serving_default, specs["images"]),
        "serve_image_bytes": Signature(serve_image_bytes, specs["image_bytes"]),
        "serve_preprocessed": Signature(serve_preprocessed, specs["inputs"]),
    }
    if attention_layer:
        signatures["serve_attention"] = Signature(
            serve_attention, specs["images"], attention_layer
        )
    return signatures


def expect(model, inputs, images, class_names) -> dict[str, np.ndarray]:
    """Computes `probabilities` (B, L), what an export has to answer.

    Raises:
        ValueError: if the model does not end in one probability for each class name.
    """
    probabilities = np.asarray(model(inputs, training=False), dtype=np.float32)
    sums = probabilities.sum(axis=-1)
    if not np.isfinite(sums).all():
        raise ValueError("model: received one with outputs that are not finite")
    if (probabilities < 0).any() or np.abs(sums - 1).max() > 1e-2:
        raise ValueError(
            f"model: received one whose outputs sum to {sums[0]:.4g}; allowed: one "
            "that ends in probabilities, as with classifier_activation='softmax'"
        )
    num_classes = probabilities.shape[-1]
    if num_classes != len(class_names):
        raise ValueError(
            f"class_names: received {len(class_names)} of them; allowed: "
            f"{num_classes}, the classes of the model"
        )
    return {"probabilities": probabilities}


def compare(answer, expected, on_inputs) -> tuple[float, int]:
    """Returns the largest difference, and the number of images with another class."""
    given, wanted = answer["probabilities"], expected["probabilities"]
    first = given.argmax(axis=1)
    behind = wanted.max(axis=1) - wanted[np.arange(len(first)), first]
    return float(np.abs(given - wanted).max()), int(np.sum(behind > TIE))
