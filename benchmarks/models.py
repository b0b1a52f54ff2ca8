"""Time a forward pass and a training step of AA-ResNet-50 beside ResNet-50.

    python benchmarks/models.py [--batch 8] [--size 224] [--rounds 11]

Every network is compiled with and without XLA. A round runs each of these programs
once, so that a slow moment of the machine meets all of them. Times are medians over
the rounds, the better of the two modes counts, and ratios are to ResNet-50 of the same
run. Written to benchmarks/out/models.json.
"""

import argparse
import gc
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from aa_keras import models, paper

tf.get_logger().setLevel("ERROR")  # it counts the programs as retracing of one
OUTPUT = Path(__file__).parent / "out" / "models.json"
BASELINE = "ResNet-50"
QUARTER = {"key_ratio": 0.25, "value_ratio": 0.25}
NETWORKS = {
    BASELINE: {},
    "AA-ResNet-50": {"attention": {}},
    "AA-ResNet-50, ratios 0.25": {"attention": QUARTER},  # the one of Table 2
    "SE-ResNet-50": {"channel_attention": "se"},
    "CBAM-ResNet-50": {"channel_attention": "cbam"},
}
# Rows of Table 2, latencies on one V100 at batch 128.
PAPER_ROWS = {
    "AA-ResNet-50, ratios 0.25": "AA",
    "SE-ResNet-50": "SE",
    "CBAM-ResNet-50": "CBAM",
}
# To reach, and to go for, as multiples of ResNet-50.
TARGETS = {"forward": (1.15, 1.08), "training_step": (1.20, 1.12)}


def build_programs(options, images, labels, jit_compile):
    """Returns the forward pass and the training step of a new network, as functions."""
    model = models.build(
        "resnet",
        depth=50,
        input_shape=images.shape[1:],
        classes=1000,
        classifier_activation=None,
        **options,
    )
    optimizer = keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True)
    optimizer.build(model.trainable_variables)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    variables = [variable.value for variable in model.trainable_variables]

    @tf.function(jit_compile=jit_compile)
    def forward():
        return model(images, training=False)

    @tf.function(jit_compile=jit_compile)
    def training_step():
        with tf.GradientTape() as tape:
            value = loss(labels, model(images, training=True))
        optimizer.apply(tape.gradient(value, variables), model.trainable_variables)
        return value

    return {"forward": forward, "training_step": training_step}


def seconds(program):
    start = time.perf_counter()
    program().numpy()
    return time.perf_counter() - start


def measure(batch, size, rounds):
    """Returns the times of each network in each mode, seconds."""
    random = np.random.default_rng(0)
    images = tf.constant(random.normal(size=(batch, size, size, 3)), tf.float32)
    labels = tf.constant(random.integers(1000, size=batch))
    programs, first_calls = {}, {}
    for name, options in NETWORKS.items():
        for jit_compile in (False, True):
            mode = "xla" if jit_compile else "graph"
            built = build_programs(options, images, labels, jit_compile)
            for phase, program in built.items():
                key = (name, mode, phase)
                programs[key] = program
                first_calls[key] = seconds(program)
                print(
                    f"{', '.join(key)}: first call {first_calls[key]:.1f} s", flush=True
                )
    times = {key: [] for key in programs}
    gc.disable()
    for _ in range(rounds):
        for key, program in programs.items():
            times[key].append(seconds(program))
    gc.enable()
    return {
        name: {
            mode: {
                phase: {
                    "median_ms": round(
                        1e3 * statistics.median(times[name, mode, phase]), 1
                    ),
                    "fastest_ms": round(1e3 * min(times[name, mode, phase]), 1),
                    "first_call_s": round(first_calls[name, mode, phase], 1),
                }
                for phase in TARGETS
            }
            for mode in ("graph", "xla")
        }
        for name in NETWORKS
    }


def compare(measured):
    """Returns the better mode of each network and its ratio to the baseline."""
    best = {
        name: {
            phase: min(
                (modes[mode][phase]["median_ms"], mode) for mode in ("graph", "xla")
            )
            for phase in TARGETS
        }
        for name, modes in measured.items()
    }
    compared = {}
    for name, phases in best.items():
        compared[name] = {
            phase: {
                "ms": milliseconds,
                "mode": mode,
                "ratio": round(milliseconds / best[BASELINE][phase][0], 3),
            }
            for phase, (milliseconds, mode) in phases.items()
        }
        if name in PAPER_ROWS:
            printed = paper.find_row(2, PAPER_ROWS[name]).paper
            compared[name]["paper_ratio"] = {
                "forward": 1 + printed["inference_overhead"] / 100,
                "training_step": 1 + printed["training_overhead"] / 100,
            }
    return compared


def start_up():
    """Returns the seconds that a fresh process needs to import and to build."""
    program = (
        "import time; start = time.perf_counter()\n"
        "from aa_keras import models\n"
        "models.build_resnet, models.build_wide_resnet, models.build_mnasnet\n"
        "imported = time.perf_counter()\n"
        "models.AAResNet50()\n"
        "print(imported - start, time.perf_counter() - imported)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    imported, built = map(float, result.stdout.split())
    return {
        "import_models_s": round(imported, 2),
        "build_aa_resnet_50_s": round(built, 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    started = start_up()
    measured = measure(arguments.batch, arguments.size, arguments.rounds)
    compared = compare(measured)
    result = {
        "batch": arguments.batch,
        "size": arguments.size,
        "rounds": arguments.rounds,
        "machine": {"processor": platform.machine(), "cores": os.cpu_count()},
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
        "start_up": started,
        "targets": TARGETS,
        "compared": compared,
        "measured": measured,
    }
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(result, indent=2) + "\n")
    for name, phases in compared.items():
        line = "; ".join(
            f"{phase} {phases[phase]['ms']:.0f} ms ({phases[phase]['mode']}), "
            f"{phases[phase]['ratio']:.2f}x"
            for phase in TARGETS
        )
        print(f"{name}: {line}")


if __name__ == "__main__":
    main()
