"""Memory of a process that answers, predicts and trains for long.

    python -m tests.faults.soak [--requests 30000] [--predictions 30000] [--models 200]

Each part is measured after a tenth of it, when all is traced, and at its end. Status 1
if a part grew by more than it may.
"""

import argparse
import gc
import tempfile
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from aa_keras import layers
from aa_keras.data import served_decoding
from tests.faults.campaign import Campaign, export_quickstart, finish, memory

# What a part may grow by in MB: a constant, and for each repetition.
ALLOWED = {
    "requests": (50.0, 0.0),
    "predictions": (50.0, 0.0),
    "models": (50.0, 4.0),
}


def measure(campaign, part, number, step):
    """Calls `step(index)` often, and compares the memory of the process."""
    warm = max(1, number // 10)
    for index in range(warm):
        step(index)
    gc.collect()
    before = memory()
    for index in range(warm, number):
        step(index)
    gc.collect()
    after = memory()
    constant, each = ALLOWED[part]
    allowed = constant + each * (number - warm)
    told = f"{before:.0f} MB to {after:.0f} MB, allowed {before + allowed:.0f} MB"
    campaign.counts[part, told] = number
    if after - before > allowed:
        campaign.fail(part, told)


def pictures():
    """PNG files of 16 digits, a bad one among them."""
    images = np.random.default_rng(0).integers(0, 256, (15, 8, 8, 1)).astype(np.uint8)
    return [tf.io.encode_png(image).numpy() for image in images] + [b"no picture"]


def soak_requests(campaign, served, number):
    """Asks an export about files and images, whole batches and ones with a bad file."""
    files = pictures()
    by_file = served.signatures["serve_image_bytes"]
    by_pixels = served.signatures["serving_default"]

    def step(index):
        if index % 3:
            size = 1 + index % len(files)
            by_file(image_bytes=tf.constant(files[-size:] if index % 6 else files[:1]))
        else:
            by_pixels(images=tf.zeros((1 + index % 8, 8, 8, 1), tf.uint8))

    measure(campaign, "requests", number, step)


def soak_predictions(campaign, model, task, number):
    """Predicts as `aa-keras predict` does, from files."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for index, file in enumerate(pictures()[:-1]):
            paths.append(Path(folder) / f"{index}.png")
            paths[-1].write_bytes(file)
        channels = task.preprocessing.channels

        def step(index):
            picture = served_decoding.read_picture(paths[index % len(paths)], channels)
            task.predict(model, [picture])

        measure(campaign, "predictions", number, step)


def soak_models(campaign, number):
    """Builds and trains small networks with fused attention."""
    x = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype("float32")
    y = np.zeros((4,), "int32")

    def step(index):
        model = keras.Sequential(
            [
                keras.layers.Input((16, 16, 3)),
                layers.AugmentedConv2D(16, 3, num_heads=2, implementation="fused"),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(3),
            ]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, jit_compile=False)
        model.fit(x, y, batch_size=2, verbose=0)
        keras.backend.clear_session()

    measure(campaign, "models", number, step)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=30_000)
    parser.add_argument("--predictions", type=int, default=30_000)
    parser.add_argument("--models", type=int, default=200)
    options = parser.parse_args()
    campaign = Campaign()
    with tempfile.TemporaryDirectory() as folder:
        model, task, path = export_quickstart(folder)
        served = tf.saved_model.load(str(path))
    soak_requests(campaign, served, options.requests)
    soak_predictions(campaign, model, task, options.predictions)
    soak_models(campaign, options.models)
    finish(campaign, "soak")


if __name__ == "__main__":
    main()
