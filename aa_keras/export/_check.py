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
        yield name, np.concatenate([answer["probabilities"] for answer in answers])


def ask_onnx(folder, inputs, images):
    import onnxruntime

    session = onnxruntime.InferenceSession(f"{folder}/model.onnx")
    yield "model.onnx", session.run(["probabilities"], {"inputs": inputs})[0]


def ask_litert(folder, inputs, images):
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(f"{folder}/model.tflite").get_signature_runner()
    yield "model.tflite", model(inputs=inputs)["probabilities"]


ASK = {"saved_model": ask_saved_model, "onnx": ask_onnx, "litert": ask_litert}


def main(file_format, folder, questions):
    with np.load(questions) as file:
        inputs, expected = file["inputs"], file["expected"]
        images = [file[f"image_{i}"] for i in range(len(inputs))]
    report = {}
    for name, probabilities in ASK[file_format](folder, inputs, images):
        named = np.take_along_axis(expected, probabilities.argmax(1)[:, None], axis=1)
        report[name] = {
            "difference": float(np.abs(probabilities - expected).max()),
            # 0 unless another class comes first than the original's first.
            "class_difference": float((expected.max(axis=1) - named[:, 0]).max()),
        }
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
