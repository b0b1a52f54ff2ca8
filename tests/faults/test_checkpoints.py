"""Damage to the checkpoints of a run: what the next process resumes from."""

import errno
import os
import re
import shutil

import keras
import numpy as np
import pytest

from aa_keras import checkpoints
from aa_keras.workdir import WorkDir

EPOCHS = 4


def build_model():
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


@pytest.fixture(scope="module")
def model():
    return build_model()


@pytest.fixture
def folder(model, tmp_path):
    """The checkpoints 2 to 4 of a run whose best epoch was the first."""
    folder = tmp_path / "checkpoints"
    for epoch in range(1, EPOCHS + 1):
        model.layers[-1].bias.assign([epoch])
        checkpoints.save(folder, epoch, model, {"configuration": "this"})
        checkpoints.keep_best(folder, epoch, -epoch, lambda state: -state["epoch"])
    checkpoints.prune(folder, keep=3)
    return folder


def damage(folder, *names, file=checkpoints.WEIGHTS):
    """Changes one bit in the middle of a file of each of these checkpoints."""
    for name in names:
        content = bytearray((folder / name / file).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name / file).write_bytes(content)


def test_a_score_that_was_not_measured_before_is_the_best(folder):
    """As when `measure_every` is turned on: the state of `best` has no such score."""
    checkpoints.keep_best(folder, EPOCHS, -9.0, lambda state: None)
    best = checkpoints.read_state(folder / checkpoints.BEST, verify=False)
    assert best["epoch"] == EPOCHS


NUMBERED = [f"epoch_{epoch:04d}" for epoch in range(2, EPOCHS + 1)]


def cut(folder):
    path = folder / "epoch_0004" / checkpoints.STATE
    path.write_bytes(path.read_bytes()[:-1])


def rewrite(path):
    path.write_text(path.read_text().replace('"epoch": 4', '"epoch": 5'))


# A fault, and the epoch from which the run goes on.
FAULTS = {
    "nothing": (lambda folder: None, 4),
    "a bit of the weights": (lambda folder: damage(folder, "epoch_0004"), 3),
    "a bit of the state": (
        lambda folder: damage(folder, "epoch_0004", file=checkpoints.STATE),
        3,
    ),
    "a number of the state": (
        lambda folder: rewrite(folder / "epoch_0004" / checkpoints.STATE),
        3,
    ),
    "the end of the state": (cut, 3),
    "weights gone": (
        lambda folder: (folder / "epoch_0004" / checkpoints.WEIGHTS).unlink(),
        3,
    ),
    "state gone": (
        lambda folder: (folder / "epoch_0004" / checkpoints.STATE).unlink(),
        3,
    ),
    "two of three": (lambda folder: damage(folder, *NUMBERED[1:]), 2),
    "all numbered ones": (lambda folder: damage(folder, *NUMBERED), 1),
    "all numbered ones gone": (
        lambda folder: [shutil.rmtree(folder / name) for name in NUMBERED],
        1,
    ),
}


@pytest.mark.parametrize(("fault", "epoch"), FAULTS.values(), ids=FAULTS)
def test_a_run_goes_on_from_the_newest_whole_checkpoint(fault, epoch, folder, model):
    fault(folder)
    before = {path.name for path in folder.iterdir()}
    lines = []
    state = checkpoints.restore(folder, model, "this", lines.append)
    assert state["epoch"] == epoch
    np.testing.assert_array_equal(model.layers[-1].bias, [epoch])
    # A damaged one is still there, under another name; the others are as they were.
    damaged = {name for name in before if name > f"epoch_{epoch:04d}"}
    after = {path.name for path in folder.iterdir()}
    assert after == before - damaged | {f"damaged_{name}" for name in damaged}
    assert len(lines) == len(damaged) + 1
    for name in damaged:
        assert any(f"{name} is damaged; moved to" in line for line in lines)


def test_with_damaged_checkpoints_alone_a_run_does_not_start_anew(folder, model):
    damage(folder, *NUMBERED, checkpoints.BEST)
    before = sorted(folder.rglob("*"))
    with pytest.raises(ValueError, match=r"all checkpoints are damaged: .*--restart"):
        checkpoints.restore(folder, model, "this")
    assert sorted(folder.rglob("*")) == before


def test_a_second_damage_does_not_overwrite_the_first(folder, model):
    for _ in range(2):
        damage(folder, "epoch_0004")
        checkpoints.restore(folder, model, "this", [].append)
        checkpoints.save(folder, 4, model, {"configuration": "this"})
    names = {path.name for path in folder.iterdir()}
    assert {"epoch_0004", "damaged_epoch_0004", "damaged_epoch_0004_2"} <= names


def test_a_distributed_run_resumes_at_the_end_of_an_epoch(folder, model):
    checkpoints.save(folder, EPOCHS, model, {"configuration": "this"}, step=7)
    lines, here = [], (folder, model, "this")
    assert checkpoints.restore(*here, [].append)["step"] == 7
    assert checkpoints.restore(*here, lines.append, inside_epochs=False)["step"] == 0
    assert "epoch_0004_step_7 is skipped" in lines[0]


@pytest.mark.parametrize("file", [checkpoints.WEIGHTS, checkpoints.STATE])
def test_what_the_system_cannot_read_is_not_damaged(file, folder, model):
    path = folder / "epoch_0004" / file
    kept = path.rename(path.with_name("kept"))
    path.symlink_to(path)  # as a lost server does, it fails for every user
    message = re.escape(f"{path}: cannot be read: {os.strerror(errno.ELOOP)}")
    with pytest.raises(OSError, match=message):
        checkpoints.restore(folder, model, "this")
    path.unlink()
    kept.rename(path)
    assert checkpoints.restore(folder, model, "this", [].append)["epoch"] == 4


def test_a_restart_keeps_what_was_there(tmp_path):
    workdir = WorkDir(tmp_path / "run")
    for number in (1, 2):
        with workdir.lock():
            workdir.config.write_text(f"run {number}")
            workdir.checkpoints.mkdir()
            (tmp_path / "run" / "thesis.tex").touch()  # is not the run's
            earlier = workdir.set_aside()
            assert workdir.set_aside() is None
        assert (earlier / "config.yaml").read_text() == f"run {number}"
        assert (earlier / "checkpoints").is_dir()
        left = {path.name for path in workdir.path.iterdir()}
        assert left == {".lock", "thesis.tex", "earlier", "earlier_2"} - (
            {"earlier_2"} if number == 1 else set()
        )
