"""A run that ends inside an epoch, against one that was left alone."""

import os
import signal

import keras
import numpy as np
import pytest

from aa_keras import checkpoints
from aa_keras.training import Interrupted
from aa_keras.training.averaging import Average
from aa_keras.training.callbacks import EpochSeeds, RunState
from aa_keras.training.interruption import Signals
from aa_keras.workdir import WorkDir
from tests.training import processes

STEPS, BATCH = 6, 8
STATUS = {"SIGTERM": 143, "SIGUSR1": 75, "SIGINT": 130}
OTHERS = ("SIGUSR1", "SIGINT")
X = np.random.default_rng(0).normal(size=(STEPS * BATCH, 3)).astype("f")
Y = (X.sum(-1) > 0).astype("f")


class At(keras.callbacks.Callback):
    """Does something once, at the end of a step of an epoch."""

    def __init__(self, epoch, step, action):
        super().__init__()
        self.moment, self.action = (epoch, step), action

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch + 1) == self.moment:
            self.action()


def build(workdir, **options):
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dropout(0.5),
            keras.layers.Dense(4),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        "binary_crossentropy",
        metrics=["accuracy", keras.metrics.AUC(num_thresholds=7, name="auc")],
    )
    model.optimizer.build(model.trainable_variables)
    average = Average(model, 0.9)
    model.train_step = average.follow(model.train_step)
    state = RunState(
        WorkDir(workdir),
        average,
        configuration="this",
        process={},
        score=lambda row: None,
        keep=2,
        **options,
    )
    state.restore(model, report=[].append)
    return model, state


def fit(model, state, epochs, *callbacks, first=0):
    rows = slice(first * BATCH, None)
    if first:  # as a run does, it makes the variables of metrics
        model.evaluate(X, Y, batch_size=BATCH, verbose=0)
    model.fit(
        *(X[rows], Y[rows]),
        batch_size=BATCH,
        shuffle=False,
        verbose=0,
        initial_epoch=epochs.start,
        epochs=epochs.stop,
        callbacks=[EpochSeeds(3), *callbacks, state],
    )


def measured(state):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in state.history]


@pytest.mark.parametrize("name", STATUS)
def test_a_signal_saves_the_step_from_which_the_run_goes_on(name, tmp_path):
    whole, whole_state = build(tmp_path / "whole")
    fit(whole, whole_state, range(3))

    number = getattr(signal, name)
    before = signal.getsignal(number)
    signals = Signals()
    model, state = build(tmp_path / "run", signals=signals)
    send = At(1, 4, lambda: os.kill(os.getpid(), number))
    stopped = f"{name} after epoch 1, 4 of 6"
    with signals, pytest.raises(Interrupted, match=stopped) as caught:
        fit(model, state, range(3), send)
    assert caught.value.status == STATUS[name]
    assert signal.getsignal(number) == before

    model, state = build(tmp_path / "run")
    assert (len(state.history), state.step) == (1, 4)
    fit(model, state, range(1, 2), first=4)
    fit(model, state, range(2, 3))
    assert measured(state) == measured(whole_state)
    for one, other in (
        (model.variables, whole.variables),
        (model.optimizer.variables, whole.optimizer.variables),
    ):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b, err_msg=a.path)
    assert [p["first_epoch"] for p in state.processes] == [1, 2]
    assert [p["last_epoch"] for p in state.processes] == [2, 3]


def test_checkpoints_inside_an_epoch_go_with_its_end(tmp_path):
    model, state = build(tmp_path, minutes=1e-9)
    names = []

    def look():
        found = checkpoints.list_checkpoints(tmp_path / "checkpoints")
        names.append([folder.name for folder in found])

    fit(model, state, range(2), At(1, 5, look))
    look()
    assert names[0] == ["epoch_0001", "epoch_0001_step_3", "epoch_0001_step_4"]
    assert names[1] == ["epoch_0001", "epoch_0002"]


def test_a_damaged_checkpoint_inside_an_epoch_gives_way_to_the_one_before(tmp_path):
    model, state = build(tmp_path, minutes=1e-9)

    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(model, state, range(2), At(1, 5, fail))
    newest = tmp_path / "checkpoints/epoch_0001_step_4/state.json"
    newest.write_text(newest.read_text().replace('"step": 4', '"step": 5'))
    assert build(tmp_path)[1].step == 3


@pytest.mark.parametrize(
    "name", ["SIGTERM", *(pytest.param(n, marks=pytest.mark.slow) for n in OTHERS)]
)
def test_a_run_that_is_asked_to_stop_ends_with_the_same_bits(
    name, uninterrupted, tmp_path
):
    workdir = tmp_path / "run"
    process = processes.start(workdir)
    processes.wait_until(lambda: processes.num_epochs(workdir) > 0, process)
    process.send_signal(getattr(signal, name))
    output = processes.finish(process, STATUS[name])
    assert f"stopped by {name} after epoch" in output.splitlines()[-1]
    assert "Traceback" not in output
    assert "resuming after epoch" in processes.run(workdir)
    processes.assert_identical(uninterrupted[0], workdir)


@pytest.mark.slow
def test_a_run_killed_inside_an_epoch_goes_on_from_its_last_step(tmp_path):
    """With executions of two steps, in two parts each."""
    settings = {
        "data.batch_size": "60",  # 20 steps
        "train.steps_per_execution": "2",
        "train.accumulate_steps": "2",
    }
    processes.run(tmp_path / "whole", settings)
    workdir, every_step = tmp_path / "run", {"train.checkpoint_minutes": "1.0e-6"}

    def inside():
        return list(workdir.glob("checkpoints/epoch_000[12]_step_*"))

    process = processes.start(workdir, settings | every_step)
    assert processes.wait_until(inside, process)
    processes.kill(process)
    output = processes.run(workdir, settings)
    assert " steps of the next" in output
    processes.assert_identical(tmp_path / "whole", workdir)
