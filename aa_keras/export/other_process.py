"""Asks an export as a server would: without the code that made it.

Run as a program, in a process of its own, with a format, the folder of an export and
an `.npz` of questions. Prints the distance of the answers from the expected ones as
JSON, for each signature.
"""

import json
import sys

# Before anything else is loaded: an export that needs one of these fails here.
for blocked in ("aa_keras", "keras", "keras_cv"):
    sys.modules[blocked] = None

import numpy as np  # noqa: E402

TOLERANCE = 1e-5  # of a probability
BOX_TOLERANCE = 0.1  # pixels


def ask_saved_model(folder, inputs, images):
    import tensorflow as tf

    one_by_one = [{"images": tf.constant(image[None])} for image in images]
    pictures = tf.stack([tf.io.encode_png(image) for image in images])
    questions = {
        "serving_default": one_by_one,
        "serve_image_bytes": [{"image_bytes": pictures}],
        "serve_preprocessed": [{"inputs": tf.constant(inputs)}],
        "serve_attention": one_by_one,
    }
    for name, function in tf.saved_model.load(folder).signatures.items():
        answers = [function(**question) for question in questions[name]]
        yield (
            name,
            {key: np.concatenate([a[key] for a in answers]) for key in answers[0]},
        )


def ask_onnx(folder, inputs, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    (probabilities,) = session.run(["probabilities"], {"inputs": inputs})
    yield "model.onnx", {"probabilities": probabilities}


def ask_litert(folder, inputs, images):
    from ai_edge_litert.interpreter import Interpreter

    yield (
        "model.tflite",
        Interpreter(f"{folder}/model.tflite").get_signature_runner()(inputs=inputs),
    )


ASK = {"saved_model": ask_saved_model, "onnx": ask_onnx, "litert": ask_litert}


def compare_classes(answer, expected):
    """Largest difference, and number of images that were given another class."""
    given, expected = answer["probabilities"], expected["probabilities"]
    first = given.argmax(axis=1)
    # Another class is none where the original has both alike.
    behind = expected.max(axis=1) - expected[np.arange(len(first)), first]
    return np.abs(given - expected).max(), np.sum(behind > TOLERANCE)


def compare_detections(answer, expected, boxes):
    """Largest difference of the scores, and number of boxes without a counterpart.

    Boxes are compared as a set: of equal scores, either may come first.
    """
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
            scores = np.abs(given["scores"][same] - expected["scores"][row, index])
            missing += not same.any()
            difference = max(
                difference, scores.min(initial=np.inf) if same.any() else 0
            )
    return difference, missing


def main(file_format, folder, questions):
    with np.load(questions) as file:
        inputs = file["inputs"]
        images = [file[f"image_{i}"] for i in range(len(inputs))]
        expected = {
            name.removeprefix("expected_"): file[name]
            for name in file.files
            if name.startswith("expected_")
        }
    report = {}
    for name, answer in ASK[file_format](folder, inputs, images):
        if "probabilities" in expected:
            difference, mistakes = compare_classes(answer, expected)
        else:
            on_inputs = name == "serve_preprocessed"
            boxes = expected["input_boxes" if on_inputs else "boxes"]
            difference, mistakes = compare_detections(answer, expected, boxes)
        report[name] = {"difference": float(difference), "mistakes": int(mistakes)}
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
