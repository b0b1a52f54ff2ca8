"""One process on one core beside two workers on one core each, same whole batch.

    python benchmarks/distribution.py [--steps 8] [--rounds 3]

Each worker also takes the steps of its half batch alone, at the same time as the
other: what the step of two takes longer than that is the exchange of gradients and of
the statistics of batch normalisation, and waiting for the other. Steps are timed by
the epoch of `fit`, without XLA in either case, on images made of noise; medians over
the rounds. Below, on paper, the bytes that AA-ResNet-50 exchanges. Written to
benchmarks/out/distribution.json.
"""

import argparse
import json
import math
import os
import platform
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = Path(__file__).parent / "out" / "distribution.json"
# experiment, whole batch
NETWORKS = {
    "quickstart/digits_aa_resnet": 64,
    "small/cifar100_aa_resnet_20": 64,
}
NUM_WORKERS = (8, 64)
GIGABITS = (10, 100)  # of a network card, a second


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--role", choices=["one", "worker"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        print(json.dumps(measure_all(arguments)))
        return
    cores = sorted(os.sched_getaffinity(0))
    (alone,) = collect([start("one", cores[0], arguments)])
    addresses = free_addresses(2)
    chief, _ = collect(
        [
            start("worker", cores[i], arguments, cluster=(addresses, i))
            for i in range(len(addresses))
        ]
    )
    result = {
        "machine": {"cpu_cores": len(cores), "processor": platform.machine()},
        "steps": arguments.steps,
        "rounds": arguments.rounds,
        "networks": [compare(name, alone[name], chief[name]) for name in NETWORKS],
        "on_paper": on_paper(),
    }
    OUTPUT.write_text(json.dumps(result, indent=2) + "\n")
    show(result)


def start(role, core, arguments, cluster=None):
    """This program on one core."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    if cluster:
        addresses, index = cluster
        task = {"type": "worker", "index": index}
        environment["TF_CONFIG"] = json.dumps(
            {"cluster": {"worker": addresses}, "task": task}
        )
    options = ["--steps", str(arguments.steps), "--rounds", str(arguments.rounds)]
    return subprocess.Popen(
        [sys.executable, __file__, "--role", role, *options],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        # TensorFlow makes as many threads as it may use cores.
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )


def collect(processes):
    outputs = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        sys.exit("a process of the benchmark failed")
    return [json.loads(output.splitlines()[-1]) for output in outputs]


def free_addresses(number):
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    addresses = [f"127.0.0.1:{listener.getsockname()[1]}" for listener in listeners]
    for listener in listeners:
        listener.close()
    return addresses


def measure_all(arguments):
    """Seconds a step of each network, in this process."""
    from aa_keras.training import distribution

    distributed = arguments.role == "worker"
    strategy = distribution.build_strategy("multi_worker" if distributed else "none")
    measured = {}
    for name, batch_size in NETWORKS.items():
        step = seconds_a_step(name, batch_size, strategy, arguments)
        measured[name] = {"step": step}
        if strategy:
            distribution.share_result(strategy, None)  # both start together
            half = batch_size // strategy.num_replicas_in_sync
            measured[name]["step_alone"] = seconds_a_step(name, half, None, arguments)
    distribution.share_result(strategy, None)
    return measured


def seconds_a_step(name, batch_size, strategy, arguments):
    import keras
    import tensorflow as tf

    from aa_keras import config
    from aa_keras.tasks import find_task
    from aa_keras.training import distribution
    from aa_keras.training.plan import Plan
    from aa_keras.training.run import build_model, compile_model
    from aa_keras.training.steps import build_metrics

    overrides = [f"data.batch_size={batch_size}", "train.jit_compile=false"]
    overrides.append("train.batch_norm=sync")
    experiment = config.load(ROOT / "experiments" / f"{name}.yaml", overrides)
    size = experiment.data.image_size
    channels = 1 if experiment.data.name == "digits" else 3
    task = find_task(experiment)(experiment, None, ())  # without its data
    plan = Plan(epochs=1000, steps=arguments.steps)
    with distribution.scope(strategy):
        model = build_model(experiment, (size, size, channels))
        compile_model(model, task, plan, strategy)
    classes = experiment.model.classes
    labels = tf.one_hot(tf.range(batch_size) % classes, classes)
    images = keras.random.normal((batch_size, size, size, channels), seed=0)
    batches = tf.data.Dataset.from_tensors((images, labels)).repeat()
    if strategy:
        build_metrics(model, batches, strategy)
    clock = EpochClock()
    model.fit(
        batches,
        epochs=arguments.rounds + 1,  # the first one builds the graph
        steps_per_epoch=arguments.steps,
        verbose=0,
        shuffle=False,
        callbacks=[keras.callbacks.LambdaCallback(**clock.hooks())],
    )
    return statistics.median(clock.seconds[1:]) / arguments.steps


class EpochClock:
    def __init__(self):
        self.seconds = []

    def hooks(self):
        return {"on_epoch_begin": self._begin, "on_epoch_end": self._end}

    def _begin(self, epoch, logs):
        self._began = time.perf_counter()

    def _end(self, epoch, logs):
        self.seconds.append(time.perf_counter() - self._began)


def compare(name, alone, chief):
    batch_size = NETWORKS[name]
    return {
        "experiment": name,
        "batch_size": batch_size,
        "images_per_second": {
            "one_process": round(batch_size / alone["step"], 1),
            "two_workers": round(batch_size / chief["step"], 1),
        },
        "speedup": round(alone["step"] / chief["step"], 2),
        "share_in_exchange": round(1 - chief["step_alone"] / chief["step"], 3),
    }


def on_paper():
    """What AA-ResNet-50 exchanges a step, and how long that takes at full speed."""
    import keras

    from aa_keras import config
    from aa_keras.training import build_model

    experiment = config.load(ROOT / "experiments/imagenet/aa_resnet_50.yaml")
    model = build_model(experiment, (224, 224, 3))
    gradients = 4 * sum(math.prod(v.shape) for v in model.trainable_variables)
    layers = [
        layer
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.BatchNormalization)
    ]
    rows = []
    for workers in NUM_WORKERS:
        # A ring: each worker sends all but its own part, once to add, once to share.
        sent = 2 * (workers - 1) / workers * gradients
        seconds = {f"{g}_gigabit": round(sent / (g * 1e9 / 8), 4) for g in GIGABITS}
        rows.append({"workers": workers, "bytes_sent": round(sent), "seconds": seconds})
    return {
        "experiment": "imagenet/aa_resnet_50",
        "gradient_bytes": gradients,
        "normalisation_layers": len(layers),
        # Sums and sums of squares of each channel forward; their gradients backward.
        "normalisation_bytes": 4 * 4 * sum(layer.gamma.shape[0] for layer in layers),
        "ring": rows,
    }


def show(result):
    for row in result["networks"]:
        speed = row["images_per_second"]
        print(
            f"{row['experiment']}: {speed['one_process']} images/s in one process, "
            f"{speed['two_workers']} in two workers (x {row['speedup']}), "
            f"{row['share_in_exchange']:.0%} in exchange"
        )
    paper = result["on_paper"]
    print(f"{paper['experiment']}: {paper['gradient_bytes'] / 1e6:.1f} MB of gradients")
    for row in paper["ring"]:
        print(
            f"  {row['workers']} workers: {row['bytes_sent'] / 1e6:.0f} MB sent a step"
        )


if __name__ == "__main__":
    main()
