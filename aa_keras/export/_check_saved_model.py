"""Asks an exported SavedModel as a server would: without the code that made it.

Run as a program, in a process of its own, with the paths of a SavedModel and of an
`.npz` of questions. Prints the answers' distance from the expected ones as JSON.
"""

import json
import sys

# Before anything is loaded: whatever then needs this package or Keras fails.
for blocked in ("aa_keras", "keras", "keras_cv"):
    sys.modules[blocked] = None

import numpy as np
import tensorflow as tf


def main(path, questions):
    with np.load(questions) as file:
        expected = file["expected"]
        inputs = file["inputs"]
        images = [file[f"image_{i}"] for i in range(len(expected))]
    signatures = tf.saved_model.load(path).signatures
    encoded = [tf.io.encode_png(image) for image in images]
    asked = {
        "serving_default": [{"images": tf.constant(image[None])} for image in images],
        "serve_image_bytes": [{"image_bytes": tf.stack(encoded)}],
        "serve_preprocessed": [{"inputs": tf.constant(inputs)}],
        "serve_attention": [{"images": tf.constant(image[None])} for image in images],
    }
    report = {}
    for name, function in signatures.items():
        answers = [function(**question) for question in asked[name]]
        probabilities = np.concatenate([a["probabilities"] for a in answers])
        classes = np.concatenate([a["classes"] for a in answers])
        chosen = expected[np.arange(len(classes)), classes]
        report[name] = {
            "difference": float(np.abs(probabilities - expected).max()),
            # 0 unless another class was named than the original's most probable one.
            "class_difference": float((expected.max(axis=1) - chosen).max()),
        }
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
