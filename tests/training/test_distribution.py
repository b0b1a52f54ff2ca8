"""Workers on this machine against one process with the same whole batch."""

import json
import random
import time

import numpy as np
import pytest

from tests.training import processes
from tests.training.processes import finish, kill, num_epochs, run, start_workers


def assert_close(one, other):
    """Losses, metrics and weights within 1e-5."""
    assert len(processes.measured(one)) == len(processes.measured(other)) > 0
    for a, b in zip(processes.measured(one), processes.measured(other), strict=True):
        assert a.keys() == b.keys()
        for key in a:
            np.testing.assert_allclose(float(a[key]), float(b[key]), 1e-5, 1e-5)
    a, b = (processes.weights(folder / "model.keras") for folder in (one, other))
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_allclose(a[key], b[key], atol=1e-5, err_msg=key)


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    """A finished run of two workers, and what each of them printed."""
    workdir = tmp_path_factory.mktemp("two") / "run"
    return workdir, [finish(worker) for worker in start_workers(workdir)]


@pytest.mark.slow
def test_two_workers_learn_what_one_process_learns(uninterrupted, two_workers):
    assert_close(uninterrupted[0], two_workers[0])


@pytest.mark.slow
def test_each_image_is_validated_once_by_all_workers_together(two_workers):
    # 180 images in batches of 64 make a last one of 52, which two workers share.
    for row in processes.table(two_workers[0]):
        hits = float(row["val_accuracy"]) * 180
        np.testing.assert_allclose(hits, round(hits), atol=1e-3)
    last = processes.table(two_workers[0])[-1]
    result = json.loads((two_workers[0] / "result.json").read_text())
    final = result["metrics"]["validation"]
    assert final["images"] == 180
    np.testing.assert_allclose(float(last["val_accuracy"]), final["accuracy"], 1e-6)


@pytest.mark.slow
def test_only_the_chief_writes(two_workers):
    workdir, outputs = two_workers
    assert sorted(path.name for path in workdir.parent.iterdir()) == ["run"]
    assert outputs[0].startswith("digits_aa_resnet: starting anew, 4 epochs")
    assert " 1/4 " in outputs[0]
    assert " 1/4 " not in outputs[1]
    # All know the result, and the chief alone has a folder.
    assert outputs[1].splitlines()[-1] == outputs[0].splitlines()[-2]


def kill_one_worker(workdir, settings, moment=0.0, victim=1):
    workers, before = start_workers(workdir, settings), num_epochs(workdir)
    processes.wait_until(lambda: num_epochs(workdir) > before, workers[0])
    time.sleep(moment)
    kill(workers[victim])
    survivor = workers[1 - victim]
    output, _ = survivor.communicate(timeout=120)
    return survivor.returncode, output


@pytest.mark.slow
def test_workers_that_were_lost_go_on_together_with_the_same_bits(tmp_path):
    settings = {"train.epochs": "6"}
    for worker in start_workers(tmp_path / "whole", settings):
        finish(worker)
    killed = tmp_path / "killed"
    status, output = kill_one_worker(killed, settings)
    assert status == 1, output
    assert "another worker of this run is gone" in output
    assert "Traceback" not in output
    moment = random.uniform(0, 1.5)
    status, _ = kill_one_worker(killed, settings, moment, victim=0)
    assert status != 0
    outputs = [finish(worker) for worker in start_workers(killed, settings)]
    assert "resuming after epoch" in outputs[0]
    processes.assert_identical(tmp_path / "whole", killed, epochs=6)
    outputs = [finish(worker) for worker in start_workers(killed, settings)]
    assert "is finished" in outputs[0]
    # All know the result, and the chief alone has a folder.
    assert outputs[0].splitlines()[-2] == outputs[1].splitlines()[-1]


@pytest.mark.slow
def test_two_devices_of_one_machine(uninterrupted, tmp_path):
    settings = {"train.distribution": "mirrored", "train.batch_norm": "sync"}
    program = """
import runpy
runpy.run_module("aa_keras", run_name="__main__", alter_sys=True)
"""
    run(tmp_path / "run", settings, launcher=("-c", processes.TWO_DEVICES + program))
    assert_close(uninterrupted[0], tmp_path / "run")


@pytest.mark.slow
def test_mixed_precision_clipping_averages_and_parts_between_workers(tmp_path):
    settings = {
        "train.mixed_precision": "float16",
        "train.optimizer.clip_norm": "0.5",
        "train.accumulate_steps": "2",
    }
    run(tmp_path / "one", settings)
    for worker in start_workers(tmp_path / "two", settings):
        finish(worker)
    a, b = (processes.table(tmp_path / name) for name in ("one", "two"))
    for one, two in zip(a, b, strict=True):
        # Normalisation sees 32 images in a part of one process, 2 x 16 in workers:
        # not the same ones. Sixteen bits hold three digits.
        np.testing.assert_allclose(float(one["loss"]), float(two["loss"]), rtol=0.02)
    for name in ("one", "two"):
        weights = processes.weights(tmp_path / name / "model.keras")
        assert all(np.isfinite(value).all() for value in weights.values())


def test_workers_without_a_cluster_are_refused(tmp_path):
    output = run(tmp_path / "run", {"train.distribution": "multi_worker"}, status=2)
    assert "TF_CONFIG" in output
    assert len(output.splitlines()) == 1
    assert not (tmp_path / "run").exists()
