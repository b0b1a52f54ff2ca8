"""Runs on JAX: one device, and eight of one process that share each batch."""

import json
import shutil

import numpy as np
import pytest

from tests.training import processes

pytestmark = pytest.mark.slow

# Deterministic operations and averages are TensorFlow's.
SETTINGS = {"train.deterministic": "false", "train.ema": "null", "train.epochs": "3"}
# 180 images in batches of 56 make a last one of 12, which eight devices cannot share.
UNEVEN = {"data.batch_size": "56"}
EIGHT_DEVICES = "--xla_force_host_platform_device_count=8"


def run(workdir, settings, **env):
    process = processes.start(
        workdir, SETTINGS | settings, env={"KERAS_BACKEND": "jax", **env}
    )
    return processes.finish(process)


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("one") / "run"
    run(workdir, UNEVEN)
    return workdir


def test_eight_devices_learn_what_one_learns(one_device, tmp_path):
    shared = UNEVEN | {"train.distribution": "data_parallel"}
    output = run(tmp_path / "eight", shared, XLA_FLAGS=EIGHT_DEVICES)
    assert "starting anew, 3 epochs" in output
    one, eight = (processes.measured(path) for path in (one_device, tmp_path / "eight"))
    assert len(one) == len(eight) > 0
    for a, b in zip(one, eight, strict=True):
        for key in a:
            np.testing.assert_allclose(float(a[key]), float(b[key]), 1e-5, 1e-5)
    a, b = (
        processes.weights(p / "model.keras") for p in (one_device, tmp_path / "eight")
    )
    for key in a:
        np.testing.assert_allclose(a[key], b[key], atol=1e-5, err_msg=key)


def test_each_image_is_measured_once(one_device):
    for row in processes.table(one_device):
        hits = float(row["val_accuracy"]) * 180
        np.testing.assert_allclose(hits, round(hits), atol=1e-3)
    result = json.loads((one_device / "result.json").read_text())
    assert result["metrics"]["validation"]["images"] == 180


def test_a_run_that_lost_its_last_epoch_ends_with_the_same_numbers(
    one_device, tmp_path
):
    lost = tmp_path / "lost"
    shutil.copytree(one_device, lost)
    for name in ("result.json", "model.keras"):
        (lost / name).unlink()
    shutil.rmtree(lost / "checkpoints/epoch_0003")
    assert "resuming after epoch 2" in run(lost, UNEVEN)
    whole, parts = (processes.measured(path) for path in (one_device, lost))
    for a, b in zip(whole, parts, strict=True):
        for key in a:
            np.testing.assert_allclose(float(a[key]), float(b[key]), 1e-5, 1e-5)


def test_a_batch_that_devices_cannot_share_is_refused(tmp_path):
    settings = {"data.batch_size": "60", "train.distribution": "data_parallel"}
    process = processes.start(
        tmp_path / "run",
        SETTINGS | settings,
        env={"KERAS_BACKEND": "jax", "XLA_FLAGS": EIGHT_DEVICES},
    )
    output = processes.finish(process, status=2)
    assert "data.batch_size: received 60; allowed: multiples of 8" in output
