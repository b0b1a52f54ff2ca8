"""A run that is continued with other settings than those that it began with."""

import pytest

from aa_keras import config
from aa_keras.training.plan import Plan, check_rest
from aa_keras.workdir import WorkDir
from tests.training import processes

CONSTANT = {"train.schedule": "{name: constant}"}
STEP = {"train.schedule": "{name: step, epochs: [2]}"}
EXPONENTIAL = {"train.schedule": "{name: exponential, factor: 0.9}"}
TO_A_RATE = {
    "train.schedule": "{name: exponential, final_learning_rate_per_256: 0.001}"
}
MORE, FEWER = {"train.epochs": "50"}, {"train.epochs": "30"}  # the file has 40


def load(settings):
    pairs = [f"{key}={value}" for key, value in settings.items()]
    return config.load(processes.EXPERIMENT, pairs)


# What the run began with, what changes, and whether it may.
CHANGES = {
    "checkpoints that are kept": ({}, {"train.keep_checkpoints": "5"}, True),
    "maps that are drawn": ({}, {"train.attention_maps_every": "5"}, True),
    "steps of an execution": ({}, {"train.steps_per_execution": "2"}, True),
    "devices": ({}, {"train.distribution": "mirrored"}, True),
    "place of the data": ({}, {"data.data_dir": "elsewhere"}, True),
    "seed": ({}, {"train.seed": "1"}, False),
    "batch": ({}, {"data.batch_size": "32"}, False),
    "more epochs of a cosine": ({}, MORE, False),
    "more epochs to a final rate": (TO_A_RATE, MORE, False),
    "more epochs of a constant rate": (CONSTANT, MORE, True),
    "more epochs of steps": (STEP, MORE, True),
    "more epochs of a factor": (EXPONENTIAL, MORE, True),
    "fewer epochs": (CONSTANT, FEWER, False),
    "another schedule": (CONSTANT, STEP, False),
}


@pytest.mark.parametrize(("first", "change", "allowed"), CHANGES.values(), ids=CHANGES)
def test_only_what_changes_no_step_may_change(first, change, allowed, tmp_path):
    workdir, began, now = WorkDir(tmp_path), load(first), load(first | change)
    workdir.write_config(began)
    same_checkpoints = len(
        {config.digest(e, config.changeable_keys(e)) for e in (began, now)}
    )
    if allowed:
        workdir.refuse_other(now)
        assert same_checkpoints == 1
    else:
        (key,) = change
        with pytest.raises(ValueError, match=rf"another configuration: {key}.* there,"):
            workdir.refuse_other(now)


def test_executions_must_divide_what_an_interrupted_epoch_has_left():
    plan = Plan(epochs=1, steps=20)
    check_rest(plan, step=15, steps_per_execution=5)
    with pytest.raises(ValueError, match=r"received 2; allowed: .* the 5 .*\[1, 5\]"):
        check_rest(plan, step=15, steps_per_execution=2)


@pytest.mark.slow
def test_a_finished_run_goes_on_for_more_epochs(tmp_path):
    settings = {**CONSTANT, "train.epochs": "3"}
    processes.run(tmp_path / "whole", settings)
    processes.run(tmp_path / "longer", settings | {"train.epochs": "1"})
    changed = settings | {"train.keep_checkpoints": "1"}
    output = processes.run(tmp_path / "longer", changed)
    assert "resuming after epoch 1 of 3" in output
    processes.assert_identical(tmp_path / "whole", tmp_path / "longer", epochs=3)
    assert "is finished" in processes.run(tmp_path / "longer", changed)
