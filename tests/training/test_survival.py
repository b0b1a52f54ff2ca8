"""Runs that are killed, damaged or starved, against one that was left alone."""

import json
import platform
import random
import re
import shutil
import subprocess
import time

import keras
import pytest

from aa_keras import checkpoints, config
from aa_keras.checkpoints import WEIGHTS
from tests.training import processes
from tests.training.processes import EXPERIMENT, kill, num_epochs, run, start

# How a child limits itself before it becomes the command line.
LIMITED = """
import resource, runpy, sys
limit = int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
runpy.run_module("aa_keras", run_name="__main__", alter_sys=True)
"""


def copy_unfinished(finished, workdir):
    """A copy of a finished run as it was after its last epoch."""
    shutil.copytree(finished, workdir)
    for name in ("result.json", "model.keras", "data.json"):
        (workdir / name).unlink()
    return workdir


def train_through_kills(workdir, moments, settings=None):
    """Kills a run once per moment: seconds after a line that was not there before."""
    for moment in moments:
        process, before = start(workdir, settings), num_epochs(workdir)
        processes.wait_until(
            lambda before=before: num_epochs(workdir) > before, process
        )
        time.sleep(moment)
        kill(process)
    return run(workdir, settings)


def test_a_killed_run_ends_with_the_bits_of_one_that_was_not(uninterrupted, tmp_path):
    workdir = tmp_path / "run"
    output = train_through_kills(workdir, [random.uniform(0, 0.6)])
    processes.assert_identical(uninterrupted[0], workdir)
    resumed = int(re.search(r"resuming after epoch (\d) of 4", output)[1])
    assert "restored" in output
    whole, killed = (
        json.loads((folder / "result.json").read_text())
        for folder in (uninterrupted[0], workdir)
    )
    assert killed["configuration"] == whole["configuration"]
    epochs = [(p["first_epoch"], p["last_epoch"]) for p in killed["processes"]]
    # Killed after its last epoch, the second process trains none.
    assert epochs == ([(1, resumed), (resumed + 1, 4)] if resumed < 4 else [(1, 4)])
    for facts in (whole["processes"][0], *killed["processes"]):
        assert facts["host"] == platform.node()
        assert facts["versions"]["keras"] == keras.__version__


@pytest.mark.slow
def test_a_run_killed_many_times_ends_with_the_same_bits(tmp_path):
    settings = {"train.epochs": "10"}
    run(tmp_path / "whole", settings)
    moments = [random.uniform(0, 1.5) for _ in range(3)]
    train_through_kills(tmp_path / "killed", moments, settings)
    processes.assert_identical(tmp_path / "whole", tmp_path / "killed", epochs=10)


@pytest.mark.slow
def test_a_kill_while_a_checkpoint_is_written(uninterrupted, tmp_path):
    workdir = tmp_path / "run"

    def unfinished():
        return list(workdir.glob("checkpoints/.unfinished-*"))

    for _ in range(2):
        process = start(workdir)
        processes.wait_until(unfinished, process)
        kill(process)
    run(workdir)
    processes.assert_identical(uninterrupted[0], workdir)
    assert not unfinished()


@pytest.mark.slow
def test_a_kill_before_the_first_checkpoint_starts_anew(uninterrupted, tmp_path):
    workdir = tmp_path / "run"
    process = start(workdir)
    processes.wait_until((workdir / "config.yaml").exists, process)
    kill(process)
    assert num_epochs(workdir) == 0
    assert "starting anew, 4 epochs" in run(workdir)
    processes.assert_identical(uninterrupted[0], workdir)


def test_a_damaged_newest_checkpoint_gives_way_to_the_one_before(
    uninterrupted, tmp_path
):
    workdir = copy_unfinished(uninterrupted[0], tmp_path / "run")
    newest = workdir / "checkpoints/epoch_0004/state.weights.h5"
    content = bytearray(newest.read_bytes())
    content[len(content) // 2] ^= 1
    newest.write_bytes(content)
    # What a kill leaves that came while the next was being written.
    unfinished = workdir / "checkpoints/.unfinished-epoch_0004"
    unfinished.mkdir()
    (unfinished / "state.weights.h5").write_bytes(b"half")
    output = run(workdir)
    assert "epoch_0004 is damaged; moved to" in output
    assert "resuming after epoch 3 of 4" in output
    processes.assert_identical(uninterrupted[0], workdir)


def test_a_kill_between_the_last_epoch_and_the_result(uninterrupted, tmp_path):
    workdir = copy_unfinished(uninterrupted[0], tmp_path / "run")
    assert "resuming after epoch 4 of 4" in run(workdir)
    processes.assert_identical(uninterrupted[0], workdir)
    results = [
        json.loads((folder / "result.json").read_text())
        for folder in (uninterrupted[0], workdir)
    ]
    assert results[0]["metrics"] == results[1]["metrics"]
    assert results[0]["metrics"]["test"]["images"] == 359


@pytest.mark.slow
def test_two_processes_at_once_with_different_seeds(uninterrupted, tmp_path):
    workdir = tmp_path / "run"
    seeds = ("7", "8")
    both = {seed: start(workdir, {"train.seed": seed}) for seed in seeds}
    outputs = {seed: process.communicate()[0] for seed, process in both.items()}
    (first,) = (seed for seed in seeds if both[seed].returncode == 0)
    (second,) = set(seeds) - {first}
    assert both[second].returncode == 2
    assert len(outputs[second].splitlines()) == 1
    assert str(workdir) in outputs[second]
    assert config.load(workdir / "config.yaml").train.seed == int(first)
    assert "starting anew" in outputs[first]
    if first == "7":
        processes.assert_identical(uninterrupted[0], workdir)


def test_checkpoints_copied_from_another_configuration(uninterrupted, tmp_path):
    workdir = tmp_path / "run"
    checkpoints_of_seed_7 = uninterrupted[0] / "checkpoints"
    shutil.copytree(checkpoints_of_seed_7, workdir / "checkpoints")
    (line,) = run(workdir, {"train.seed": "8"}, status=2).splitlines()
    assert "epoch_0004: received a checkpoint of another configuration" in line


def test_what_the_console_says_of_a_new_run(uninterrupted):
    lines = uninterrupted[1].splitlines()
    assert lines[0] == "digits_aa_resnet: starting anew, 4 epochs"
    columns = "epoch acc loss val_acc val_loss val_top5 rate img/s left"
    assert lines[1].split() == columns.split()
    assert [line.split()[0] for line in lines[2:6]] == ["1/4", "2/4", "3/4", "4/4"]
    assert lines[5].endswith("0:00:00")


@pytest.fixture
def full_disk(tmp_path):
    """Mounts a disk of a given number of bytes; skips where that is not allowed."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(size):
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("this user cannot mount a file system")
        return folder

    yield mount
    subprocess.run(["umount", str(folder)], check=False, capture_output=True)


@pytest.mark.parametrize("fault", ["No space left on device", "File too large"])
def test_a_full_disk_ends_in_one_line_and_keeps_older_checkpoints(
    uninterrupted, tmp_path, full_disk, fault
):
    workdir, launcher = tmp_path / "run", ("-m", "aa_keras")
    size = (uninterrupted[0] / f"checkpoints/epoch_0003/{WEIGHTS}").stat().st_size
    if fault == "File too large":
        # No file may grow to the size of a checkpoint.
        launcher = ("-c", LIMITED, str(size // 2))
    else:
        # Room for two checkpoints and `best`, not for one more beside them.
        workdir = full_disk(7 * size // 2) / "run"
    unfinished = copy_unfinished(uninterrupted[0], tmp_path / "unfinished")
    shutil.rmtree(unfinished / "checkpoints/epoch_0004")
    shutil.copytree(unfinished, workdir)
    output = run(workdir, status=1, launcher=launcher)
    error = output.splitlines()[-1]
    assert f"the checkpoint of epoch 4 cannot be written: {fault}" in error
    assert "earlier ones are intact" in error
    assert "HDF5" not in output
    assert "Traceback" not in output
    for epoch in (2, 3):
        assert checkpoints.read_state(workdir / f"checkpoints/epoch_{epoch:04d}")


def test_a_smoke_directory_is_no_directory_of_a_run(aa_keras, tmp_path):
    arguments = ["train", EXPERIMENT, "--workdir", tmp_path / "run"]
    same = ["--set", "data.batch_size=2", "--set", "train.jit_compile=false"]
    done = aa_keras(*arguments, "--smoke")
    assert "starting anew, 1 epochs" in done.stdout
    result = json.loads((tmp_path / "run/result.json").read_text())
    assert result["smoke"]
    assert result["metrics"]["test"]["images"] == 2
    done = aa_keras(*arguments, *same, status=2)
    assert "smoke (True there, False now)" in done.stderr
    done = aa_keras(*arguments, "--set", "train.epochs=3", "--smoke", status=2)
    assert "train.epochs (40 there, 3 now)" in done.stderr
    wrong = ["--set", "model.classes=7", "--smoke", "--restart"]
    assert "classes: received 7" in aa_keras(*arguments, *wrong, status=2).stderr
    assert json.loads((tmp_path / "run/result.json").read_text()) == result
    done = aa_keras(*arguments, "--set", "train.epochs=3", "--smoke", "--restart")
    assert "moved the earlier run to" in done.stdout
    assert json.loads((tmp_path / "run/earlier/result.json").read_text()) == result
