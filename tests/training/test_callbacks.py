"""What happens at the edges of an epoch, on models of a few numbers."""

import keras
import numpy as np
import pytest

from aa_keras import checkpoints
from aa_keras.training.averaging import Average
from aa_keras.training.callbacks import (
    EpochSeeds,
    NonFiniteLoss,
    RunState,
    StopOnNonFiniteLoss,
)
from aa_keras.training.console import Console
from aa_keras.training.measuring import Measure
from aa_keras.training.optimizers import build_optimizer
from aa_keras.workdir import WorkDir

SGD = {"name": "sgd", "momentum": 0.9, "nesterov": False, "clip_norm": None}
X = np.random.default_rng(0).normal(size=(32, 3)).astype("f")
Y = X @ np.array([[1.0], [2.0], [3.0]], "f")


def build_model(dropout=0.0, rate=0.1):
    keras.utils.set_random_seed(1)
    layers = [keras.layers.Dropout(dropout)] if dropout else []
    model = keras.Sequential([keras.Input((3,)), *layers, keras.layers.Dense(1)])
    model.compile(build_optimizer(SGD, learning_rate=rate), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def fit(model, *callbacks, epochs=1, initial_epoch=0, **options):
    model.fit(
        *(X, Y),
        batch_size=8,
        shuffle=False,
        verbose=0,
        epochs=epochs,
        initial_epoch=initial_epoch,
        callbacks=list(callbacks),
        **options,
    )


def run_state(folder, model=None):
    """The state of a run, restored into a model where there is one."""
    state = RunState(
        WorkDir(folder),
        Average(model or build_model(), None),
        configuration="this",
        process={"host": "here"},
        score=lambda row: row.get("val_accuracy"),
        keep=2,
    )
    if model:
        state.restore(model, report=[].append)
    return state


def live(state, model, accuracies):
    """Epochs that end with these accuracies; a weight says which epoch it was."""
    state.set_model(model)
    state.on_train_begin()
    for epoch, accuracy in enumerate(accuracies, start=len(state.history)):
        model.layers[-1].bias.assign([epoch + 1])
        state.on_epoch_end(epoch, {"loss": 1.0, "val_accuracy": accuracy})


def best_epoch(workdir, model):
    folder = workdir / "checkpoints" / checkpoints.BEST
    model.load_weights(folder / checkpoints.WEIGHTS)
    assert checkpoints.read_state(folder)["epoch"] == float(model.layers[-1].bias[0])
    return checkpoints.read_state(folder)["epoch"]


def test_only_measured_epochs_compete_for_the_best(tmp_path):
    model, state = build_model(), run_state(tmp_path)
    state.score = lambda row: row.get("val_mAP")
    answers = iter([0.4, 0.2])
    measure = Measure(lambda model: {"mAP": next(answers)}, {1, 3}, state.average)
    fit(model, measure, state, epochs=4, validation_data=(X, Y))
    assert [row.get("val_mAP") for row in state.history] == [None, 0.4, None, 0.2]
    assert state.best_epoch() == 2
    table = WorkDir(tmp_path).read_history()
    assert [row["val_mAP"] for row in table] == ["", "0.4", "", "0.2"]
    assert all(float(row["val_loss"]) > 0 for row in table)


def test_the_best_checkpoint_is_kept_apart_and_stays_so_after_a_resume(tmp_path):
    model = build_model()
    live(run_state(tmp_path), model, [0.5, 0.9, 0.7, 0.9, 0.8])
    kept = [
        path.name for path in checkpoints.list_checkpoints(tmp_path / "checkpoints")
    ]
    assert kept == ["epoch_0004", "epoch_0005"]
    assert best_epoch(tmp_path, model) == 2
    live(run_state(tmp_path, model), model, [0.85])
    assert best_epoch(tmp_path, model) == 2
    live(run_state(tmp_path, model), model, [0.95])
    assert best_epoch(tmp_path, model) == 7


def test_each_process_that_trained_epochs_is_in_the_checkpoint(tmp_path):
    model = build_model()
    live(run_state(tmp_path), model, [0.5, 0.9])
    live(run_state(tmp_path, model), model, [])  # trained nothing
    live(run_state(tmp_path, model), model, [0.7])
    state = checkpoints.read_state(tmp_path / "checkpoints" / "epoch_0003")
    assert state["processes"] == [
        {"first_epoch": 1, "last_epoch": 2, "host": "here"},
        {"first_epoch": 3, "last_epoch": 3, "host": "here"},
    ]


def test_a_checkpoint_of_another_configuration_is_refused(tmp_path):
    model = build_model()
    live(run_state(tmp_path), model, [0.5])
    before = model.get_weights()
    with pytest.raises(ValueError, match="checkpoint of another configuration"):
        checkpoints.restore(tmp_path / "checkpoints", model, "other")
    np.testing.assert_array_equal(model.get_weights()[0], before[0])


def test_a_kill_between_a_checkpoint_and_its_copy_as_the_best(tmp_path):
    model = build_model()
    live(run_state(tmp_path), model, [0.5, 0.9])
    for path in (tmp_path / "checkpoints" / checkpoints.BEST).iterdir():
        path.unlink()
    (tmp_path / "metrics.csv").unlink()
    live(run_state(tmp_path, model), model, [])
    assert best_epoch(tmp_path, model) == 2
    assert len((tmp_path / "metrics.csv").read_text().splitlines()) == 3


def test_without_validation_nothing_is_the_best(tmp_path):
    model = build_model()
    state = run_state(tmp_path)
    fit(model, state)
    assert state.history[0].keys() == {"epoch", "loss", "learning_rate", "seconds"}
    assert not (tmp_path / "checkpoints" / checkpoints.BEST).exists()


def test_a_checkpoint_that_cannot_be_written_is_reported_in_one_line(tmp_path):
    (tmp_path / "checkpoints").write_text("no folder")
    with pytest.raises(
        RuntimeError, match=r"checkpoint of epoch 1 cannot be written: Not a"
    ):
        fit(build_model(), run_state(tmp_path))


def test_a_folder_has_one_run_at_a_time(tmp_path):
    folder = tmp_path / "run"
    with WorkDir(folder).lock():
        with pytest.raises(ValueError, match="another process uses it"):
            WorkDir(folder).lock().__enter__()
        assert (folder / ".lock").is_file()
    assert not folder.exists()  # new, and nothing was written
    folder.mkdir()
    with WorkDir(folder).lock():
        (folder / "config.yaml").touch()
    assert (folder / "config.yaml").exists()


def test_dropout_of_a_resumed_run_is_that_of_a_whole_one():
    whole, first, second = (build_model(dropout=0.5) for _ in range(3))
    fit(whole, EpochSeeds(3), epochs=4)
    fit(first, EpochSeeds(3), epochs=2)
    second.set_weights(first.get_weights())
    second.optimizer.set_weights(first.optimizer.variables)
    fit(second, EpochSeeds(3), epochs=4, initial_epoch=2)
    np.testing.assert_array_equal(whole.layers[-1].kernel, second.layers[-1].kernel)
    other = build_model(dropout=0.5)
    fit(other, EpochSeeds(3, worker=1), epochs=4)
    assert not np.allclose(whole.layers[-1].kernel, other.layers[-1].kernel)


def test_a_loss_that_is_no_number_stops_with_step_and_rate():
    with pytest.raises(
        NonFiniteLoss, match=r"^loss is (inf|nan) at step \d+, .*1e\+30"
    ):
        fit(build_model(rate=1e30), StopOnNonFiniteLoss())


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    model = build_model(rate=1e38)
    with pytest.raises(NonFiniteLoss, match="weight"):
        # One step: its loss is a number, the weights that it leaves are not.
        fit(model, StopOnNonFiniteLoss(), run_state(tmp_path), steps_per_epoch=1)
    assert not (tmp_path / "checkpoints").exists()


def test_the_console_shows_speed_and_time_left():
    lines, seconds = [], iter(range(0, 1000, 2))
    now = [0.0]

    class Tick(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            now[0] = next(seconds)

    console = Console(
        lines.append,
        batch_size=8,
        first_epoch=1,
        epochs=3,
        steps=4,
        clock=lambda: now[0],
    )
    fit(build_model(), Tick(), console, epochs=3, initial_epoch=1)
    console.close()
    # A step takes 2 s; 4 of 8 steps remain after the first line.
    assert lines[0].split() == ["epoch", "loss", "rate", "img/s", "left"]
    assert lines[1].startswith("    2/3 ")
    assert lines[1].endswith("    0.1       4 0:00:08")
    assert lines[2].endswith("    0.1       4 0:00:00")
    assert len(lines) == 3
    assert len({len(line) for line in lines}) == 1
    console.on_epoch_end(1, {"loss": 1.0, "val_mAP": 0.25})
    assert lines[3].split()[-1] == "val_mAP"
    assert lines[4].split()[-1] == "0.25"
