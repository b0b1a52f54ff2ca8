"""Asks an export as a server would: without the code that made it.

Runs as a program in a process of its own. Arguments: the name of a format, the folder
of an export, an `.npz` of images and inputs, and the `.npz` to write the answers to.
"""

import runpy
import sys
from pathlib import Path

# Before anything else is loaded: an export that needs one of these fails here.
for blocked in ("aa_keras", "keras", "keras_cv"):
    sys.modules[blocked] = None  # type: ignore[assignment]

import numpy as np  # noqa: E402


def main(name, folder, questions, answers):
    formats = runpy.run_path(str(Path(__file__).with_name("formats.py")))["FORMATS"]
    with np.load(questions) as file:
        inputs = file["inputs"]
        images = [file[f"image_{i}"] for i in range(len(inputs))]
    arrays = {
        f"{signature}:{key}": value.astype("S") if value.dtype == object else value
        for signature, answer in formats[name].ask(folder, inputs, images)
        for key, value in answer.items()
    }
    np.savez(answers, **arrays)


if __name__ == "__main__":
    main(*sys.argv[1:])
