"""Images per second of each pipeline, beside decoding alone and beside training.

    python benchmarks/data.py [--data-dir DIR] [--seconds 4] [--rounds 3]

`decoding` turns the pictures, their bytes already in memory, into pixels and does
nothing else: the reference for what a pipeline costs on top. CIFAR's pipeline decodes
once and keeps the pixels, so it may be faster. `network` is the training step of the
smallest network of the experiments that uses the pipeline; a pipeline that is slower
would hold it up. A round runs all of a pipeline's programs once, so that a slow moment
of the machine meets all of them; rates are medians over the rounds. Written to
benchmarks/out/data.json.
"""

import argparse
import dataclasses
import json
import os
import platform
import statistics
import time
from pathlib import Path

import keras
import rich.console
import rich.table
import tensorflow as tf

from aa_keras import config, training
from aa_keras.data import decoding
from aa_keras.tasks import find_task

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = Path(__file__).parent / "out" / "data.json"
# experiment whose data it is, that of the smallest network, batch size of both
PIPELINES = {
    "cifar100": ("cifar100/wide_resnet_28_10", "small/cifar100_resnet_20", 128),
    "imagenet2012": ("imagenet/resnet_50", "imagenet/mnasnet_0.75", 32),
    "coco/2017": ("coco/retinanet_50", "coco/retinanet_50", 2),
}
REQUIRED = {"cifar100": 0.7}  # share of the rate of decoding alone


def count_images(batches, seconds):
    """Images per second of batches, after the first one, for about that long."""
    iterator = iter(batches)
    next(iterator)
    images, start = 0, time.perf_counter()
    for batch in iterator:
        images += batch[0].shape[0] if isinstance(batch, tuple) else batch.shape[0]
        elapsed = time.perf_counter() - start
        if elapsed > seconds:
            break
    return images / elapsed


def decoding_alone(records, channels, batch_size):
    """Batches of the sums of the pixels of pictures whose bytes are in memory."""
    encoded = [record["image"] for record in records.take(2000).as_numpy_iterator()]
    return (
        tf.data.Dataset.from_tensor_slices(encoded)
        .repeat()
        .map(
            # Their sum, so that images of different sizes can be told in batches.
            lambda e: tf.reduce_sum(tf.cast(decoding.decode(e, channels)[0], tf.int32)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )


def build_training_step(task, batch):
    """A function that trains the task's network on the batch once."""
    model = training.build_model(task.experiment, batch[0].shape[1:])
    model.compile(optimizer="sgd", **{"jit_compile": False, **task.compile_arguments()})
    model.make_train_function()
    iterator = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: model.train_function(iterator)


def measure(name, data_dir, seconds, rounds):
    """The rates of one pipeline and of what it is compared with."""
    experiment_name, network_name, batch_size = PIPELINES[name]
    overrides = [f"data.batch_size={batch_size}"]
    overrides += [f"data.data_dir={data_dir}"] if data_dir else []
    experiment, network = (
        config.load(ROOT / "experiments" / f"{stem}.yaml", overrides)
        for stem in (experiment_name, network_name)
    )
    start = time.perf_counter()
    task = find_task(experiment).open(experiment)
    source = task.source
    batches = task.build_training(range(1000))
    evaluation = task.build_evaluation("test").repeat()
    opened = time.perf_counter() - start
    decoded = decoding_alone(source.records("train", None), source.channels, batch_size)
    step = build_training_step(
        dataclasses.replace(task, experiment=network), next(iter(batches))
    )
    step()  # traces
    rates = {"decoding": [], "training": [], "evaluation": [], "network": []}
    for _ in range(rounds):
        rates["decoding"].append(count_images(decoded, seconds))
        rates["training"].append(count_images(batches, seconds))
        rates["evaluation"].append(count_images(evaluation, seconds))
        start, steps = time.perf_counter(), 0
        while time.perf_counter() - start < seconds:
            step()
            steps += 1
        rates["network"].append(steps * batch_size / (time.perf_counter() - start))
    medians = {key: statistics.median(values) for key, values in rates.items()}
    return {
        "pipeline": name,
        "experiment": experiment_name,
        "batch_size": batch_size,
        "seconds_to_open": round(opened, 2),
        "images_per_second": {key: round(value, 1) for key, value in medians.items()},
        "training_by_decoding": round(medians["training"] / medians["decoding"], 3),
        "required": REQUIRED.get(name),
        "network": network_name,
        "training_by_network": round(medians["training"] / medians["network"], 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-dir", help="of tensorflow-datasets; else TFDS_DATA_DIR")
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    pipelines = [
        measure(name, arguments.data_dir, arguments.seconds, arguments.rounds)
        for name in PIPELINES
    ]
    table = rich.table.Table(
        "pipeline", "decoding", "training", "evaluation", "of decoding", "network"
    )
    for row in pipelines:
        rates = {k: f"{v:,.0f}" for k, v in row["images_per_second"].items()}
        table.add_row(
            row["pipeline"],
            rates["decoding"],
            rates["training"],
            rates["evaluation"],
            f"{row['training_by_decoding']:.0%}",
            f"{row['images_per_second']['network']:,.1f} ({row['network']})",
        )
    console = rich.console.Console(width=100)
    console.print(table)
    console.print("Images per second.")
    OUTPUT.parent.mkdir(exist_ok=True)
    result = {
        "machine": {
            "cpu_cores": os.cpu_count(),
            "processor": platform.processor() or platform.machine(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
        },
        "pipelines": pipelines,
    }
    OUTPUT.write_text(json.dumps(result, indent=2) + "\n")
    console.print(f"Written: {OUTPUT.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
