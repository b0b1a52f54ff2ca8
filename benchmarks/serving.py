"""How fast an export answers, beside the network it was made from.

    python benchmarks/serving.py [EXPERIMENT]      (quickstart/digits_aa_resnet)

Asks the exported SavedModel, the Keras model in a `tf.function` and `model.predict`
the same questions in turn, so that whatever else the machine does meets all three.
Each ratio has its reference in the same run. Weights are random: they cost the same.

| row | what is measured |
|---|---|
| `predict` | `model.predict` on inputs as the network sees them |
| `tf.function` | the Keras model in a `tf.function`, on the same |
| `saved_model` | signature `serve_preprocessed`, on the same; it also names classes |
| `tf.function, images` | preprocessing and Keras model in a `tf.function`, on uint8 |
| `saved_model, images` | signature `serving_default`, on the same |
| `saved_model, files` | signature `serve_image_bytes`, on the same as PNG |

Then eight clients at once ask `examples/serve.py` about PNG files over the loopback.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table
from served_requests import measure_requests

from aa_keras import config, export, training
from aa_keras.tasks import find_task
from aa_keras.training import provenance

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks/out/serving.json"
BATCH_SIZES = (1, 8, 32)
ROUNDS = 20
CALLS = 25  # of each contestant in a round
PREDICT_CALLS = 4  # it takes ten times as long
# To reach at batch 1: name, faster, slower, at least how many times.
TARGETS = (
    ("saved_model no slower than tf.function", "saved_model", "tf.function", 1.0),
    ("saved_model 5x faster than predict", "saved_model", "predict", 5.0),
)


def build_contestants(model, preprocessing, served, images):
    """Functions without arguments that answer for a batch of uint8 images."""
    inputs = preprocessing(images)
    images = tf.constant(images)
    files = tf.stack([tf.io.encode_png(image) for image in images])
    on_inputs = tf.function(lambda x: model(x, training=False))
    on_images = tf.function(lambda x: model(preprocessing(x), training=False))
    plain = inputs.numpy()
    signatures = served.signatures
    return {
        "predict": lambda: model.predict(plain, len(plain), verbose=0),
        "tf.function": lambda: on_inputs(inputs).numpy(),
        "saved_model": lambda: answer(signatures["serve_preprocessed"](inputs=inputs)),
        "tf.function, images": lambda: on_images(images).numpy(),
        "saved_model, images": lambda: answer(
            signatures["serving_default"](images=images)
        ),
        "saved_model, files": lambda: answer(
            signatures["serve_image_bytes"](image_bytes=files)
        ),
    }


def answer(outputs):
    return outputs["probabilities"].numpy()


def measure(contestants, batch_size):
    """Milliseconds (p50, p99) and images a second of each, measured in turn."""
    seconds = {name: [] for name in contestants}
    for function in contestants.values():  # traces, plans and fills the caches
        for _ in range(3):
            function()
    turns = list(contestants.items())
    for _ in range(ROUNDS):
        turns.append(turns.pop(0))  # nobody always follows the same one
        for name, function in turns:
            for _ in range(PREDICT_CALLS if name == "predict" else CALLS):
                start = time.perf_counter()
                function()
                seconds[name].append(time.perf_counter() - start)
    return {
        name: {
            "p50_ms": round(1e3 * float(np.quantile(times, 0.5)), 4),
            "p99_ms": round(1e3 * float(np.quantile(times, 0.99)), 4),
            "images_per_second": round(batch_size * len(times) / sum(times), 1),
        }
        for name, times in seconds.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = ROOT / "experiments/quickstart/digits_aa_resnet.yaml"
    parser.add_argument("experiment", nargs="?", default=default)
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--requests", type=int, default=30_000, help="to the server")
    options = parser.parse_args()

    experiment = config.load(options.experiment)
    task = find_task(experiment).open(experiment)
    source, preprocessing = task.source, task.preprocessing
    model = training.build_model(experiment, preprocessing.output_shape, "softmax")
    with tempfile.TemporaryDirectory() as folder:
        path = export.export_saved_model(
            model, folder, preprocessing=preprocessing, class_names=source.class_names
        )
        served = tf.saved_model.load(str(path))
        images = [image.numpy() for image, _ in source.load("test").take(32)]
        batches = {}
        for batch_size in BATCH_SIZES:
            contestants = build_contestants(
                model, preprocessing, served, np.stack(images[:batch_size])
            )
            batches[batch_size] = measure(contestants, batch_size)
        files = [tf.io.encode_png(image).numpy() for image in images]
        server = measure_requests(folder, files, options.requests)

    one = batches[1]
    targets = [
        {
            "name": name,
            "ratio": round(one[slower]["p50_ms"] / one[faster]["p50_ms"], 3),
            "at_least": at_least,
        }
        for name, faster, slower, at_least in TARGETS
    ]
    result = {
        "experiment": experiment.name,
        "batches": batches,
        "server": server,
        "targets": targets,
        "versions": provenance.versions(),
        "git_revision": provenance.git_revision(),
        "hardware": provenance.hardware(),
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    show(result)


def show(result):
    table = Table("batch", "", "p50 ms", "p99 ms", "images/s")
    for batch_size, rows in result["batches"].items():
        for name, row in rows.items():
            values = (row["p50_ms"], row["p99_ms"], row["images_per_second"])
            table.add_row(str(batch_size), name, *(f"{value:.2f}" for value in values))
        table.add_section()
    console = Console()
    console.print(table)
    for name, value in result["server"].items():
        console.print(f"server, {name}: {value}")
    for target in result["targets"]:
        reached = target["ratio"] >= target["at_least"]
        console.print(
            f"{target['name']}: {target['ratio']} (at least {target['at_least']}) "
            f"{'reached' if reached else 'NOT REACHED'}"
        )


if __name__ == "__main__":
    main()
