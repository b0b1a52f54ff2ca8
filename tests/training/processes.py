"""Runs in processes of their own, to be killed, and what they leave."""

import csv
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
EXPERIMENT = "experiments/quickstart/digits_aa_resnet.yaml"
SETTINGS = {
    "train.deterministic": "true",
    "train.seed": "7",
    "train.epochs": "4",
    "train.ema": "0.9",
    # At a large rate a network blows up what the order of an addition rounds.
    "train.optimizer.learning_rate_per_256": "0.1",
}
# Two logical processors in place of two GPUs, for a program that follows.
TWO_DEVICES = """
import tensorflow as tf
processor = tf.config.LogicalDeviceConfiguration()
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [processor, processor])
"""


def start(workdir, settings=None, *, launcher=("-m", "aa_keras"), env=None):
    """Starts `aa-keras train`; what it prints goes to one pipe."""
    settings = {**SETTINGS, **(settings or {})}
    pairs = [word for k, v in settings.items() for word in ("--set", f"{k}={v}")]
    arguments = ["train", EXPERIMENT, "--workdir", str(workdir), *pairs]
    return subprocess.Popen(
        [sys.executable, *launcher, *arguments],
        cwd=ROOT,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **(env or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def start_workers(workdir, settings=None, number=2):
    """Starts workers on this machine; the first is the chief."""
    with_ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    addresses = [f"127.0.0.1:{s.getsockname()[1]}" for s in with_ports]
    for listener in with_ports:
        listener.close()
    workers = []
    for index in range(number):
        cluster = {
            "cluster": {"worker": addresses},
            "task": {"type": "worker", "index": index},
        }
        # The others have a folder of their own: the chief's is not theirs to touch.
        where = workdir if index == 0 else Path(f"{workdir}_worker{index}")
        settings = {"train.batch_norm": "sync", **(settings or {})}
        settings["train.distribution"] = "multi_worker"
        env = {"TF_CONFIG": json.dumps(cluster)}
        workers.append(start(where, settings, env=env))
    return workers


def finish(process, status=0, seconds=900):
    """Waits for the end and gives what was printed."""
    try:
        output, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        kill(process)
        raise
    assert process.returncode == status, output
    return output


def run(workdir, settings=None, status=0, **options):
    return finish(start(workdir, settings, **options), status)


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.communicate()


def wait_until(condition, process, seconds=400):
    """Waits for a condition and says whether it came before the process ended."""
    end = time.monotonic() + seconds
    while not condition():
        if process.poll() is not None:
            return False
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.001)
    return True


def num_epochs(workdir):
    path = workdir / "metrics.csv"
    return len(table(workdir)) if path.exists() else 0


def table(workdir):
    with (workdir / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def measured(workdir):
    """The table without what differs from run to run by nature."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in table(workdir)]


def weights(path):
    """All numbers of a `.keras` or a `.weights.h5` file by their place in it."""
    if path.suffix == ".keras":
        path = io.BytesIO(zipfile.ZipFile(path).read("model.weights.h5"))
    found = {}

    def keep(name, item):
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path) as file:
        file.visititems(keep)
    return found


def assert_identical(one, other, epochs=4):
    """The same weights, optimiser and history, to the last bit."""
    checkpoint = f"checkpoints/epoch_{epochs:04d}/state.weights.h5"
    for name in ("model.keras", checkpoint):
        a, b = weights(one / name), weights(other / name)
        assert len(a) > 40
        assert a.keys() == b.keys()
        for key in a:
            np.testing.assert_array_equal(a[key], b[key], err_msg=f"{name}: {key}")
    assert measured(one) == measured(other)
    assert len(measured(one)) == epochs
