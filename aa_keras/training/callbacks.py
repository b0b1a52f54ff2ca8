"""Callbacks: what a run does between its epochs."""

import csv
import io
import time

import keras
import numpy as np

from aa_keras import checkpoints
from aa_keras.whole_writes import write_text


class RunState(keras.callbacks.Callback):
    """Keeps a run's history, checkpoints and `metrics.csv` in step.

    The history is part of each checkpoint and the table is written from it: after a
    kill at any moment no epoch is missing from the table or in it twice.

    `score` says how good an epoch's dict of the history is, larger is better, or
    returns `None`. The best epoch's checkpoint is kept apart, beside the last `keep`.

    The model of a checkpoint has the weights that were validated, those of `average`.
    The trained ones are in their place among the variables of the optimiser.
    """

    def __init__(self, workdir, average, *, configuration, process, score, keep):
        super().__init__()
        self.workdir = workdir
        self.average = average
        self.configuration = configuration
        self.process = process
        self.score = score
        self.keep = keep
        self.history = []
        self.processes = []
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def restore(self, model, report) -> None:
        """Loads the newest checkpoint, if any, into the model and this object."""
        folder = self.workdir.checkpoints
        state = checkpoints.restore(folder, model, self.configuration, report)
        if state:
            self.average.exchange()
            self.history, self.processes = state["history"], state["processes"]
            self._started -= self.history[-1]["seconds"]

    def on_train_begin(self, logs=None):
        if self.history:  # a kill may have come between these and the checkpoint
            self._write_table()
            self._keep_best()
        self.processes.append({"first_epoch": len(self.history) + 1, **self.process})

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **{k: float(v) for k, v in (logs or {}).items()}}
        rate = self.model.optimizer.learning_rate
        row["learning_rate"] = float(keras.ops.convert_to_numpy(rate))
        row["seconds"] = round(self.seconds, 3)
        self.history.append(row)
        self.processes[-1]["last_epoch"] = epoch + 1
        kept = ("configuration", "history", "processes")
        state = {name: getattr(self, name) for name in kept}
        with self.average.in_model():
            checkpoints.save(self.workdir.checkpoints, epoch + 1, self.model, state)
        self._keep_best()
        checkpoints.prune(self.workdir.checkpoints, self.keep)
        self._write_table()

    def best_epoch(self) -> int | None:
        """Returns the epoch of the checkpoint kept as the best one."""
        best = self.workdir.checkpoints / checkpoints.BEST
        state = checkpoints.read_state(best, verify=False)
        return state["epoch"] if state else None

    def _keep_best(self):
        row = self.history[-1]
        score = self.score(row)
        if score is not None:
            checkpoints.keep_best(
                self.workdir.checkpoints,
                row["epoch"],
                score,
                lambda state: self.score(state["history"][-1]),
            )

    def _write_table(self):
        text = io.StringIO()
        # Not every epoch is measured.
        columns = dict.fromkeys(name for row in self.history for name in row)
        writer = csv.DictWriter(text, fieldnames=list(columns))
        writer.writeheader()
        writer.writerows(self.history)
        write_text(self.workdir.metrics, text.getvalue())


class Measure(keras.callbacks.Callback):
    """Adds metrics that `fit` does not compute to the validation of some epochs.

    `measure` is called with the model, which has the weights of `average` then, and
    returns a dict of numbers; `epochs` are counted from 0. It must come before
    `RunState`, which stores the metrics.
    """

    def __init__(self, measure, epochs, average):
        super().__init__()
        self.measure = measure
        self.epochs = epochs
        self.average = average

    def on_epoch_end(self, epoch, logs=None):
        if epoch in self.epochs:
            with self.average.in_model():
                metrics = self.measure(self.model)
            logs.update({f"val_{name}": value for name, value in metrics.items()})


class EpochSeeds(keras.callbacks.Callback):
    """Seeds the generators of dropout at each epoch.

    Saved weights do not contain their state, so that only this makes a resumed run draw
    the same numbers as an uninterrupted one. Each `worker` drops other units.
    """

    def __init__(self, seed, worker=0):
        super().__init__()
        self.seed = seed
        self.worker = worker

    def on_epoch_begin(self, epoch, logs=None):
        for position, variable in enumerate(self.model.non_trainable_variables):
            if variable.name == "seed_generator_state":
                first = (self.seed + 1009 * position + 100_003 * self.worker) % 2**31
                # The second number counts draws: an epoch has fewer than 2**20.
                variable.assign([first, epoch * 2**20 % 2**31])


class NonFiniteLoss(RuntimeError):
    """The loss became infinite or not a number."""


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Ends the run at the step whose loss is not finite, and names it.

    It must come before `RunState`, so that no checkpoint contains such weights.
    """

    def on_train_batch_end(self, batch, logs=None):
        self._check("loss", (logs or {}).get("loss", 0.0))

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self._check(name, value)
        for variable in self.model.trainable_variables:
            worst = keras.ops.max(keras.ops.abs(keras.ops.convert_to_tensor(variable)))
            self._check(f"weight {variable.path}", worst)

    def _check(self, name, value):
        if np.isfinite(value):
            return
        optimizer = self.model.optimizer
        rate = float(keras.ops.convert_to_numpy(optimizer.learning_rate))
        raise NonFiniteLoss(
            f"{name} is {float(value)} at step {int(optimizer.iterations)}, learning "
            f"rate {rate:.4g}; lower train.optimizer.learning_rate_per_256, lengthen "
            "train.schedule.warmup_epochs or set train.optimizer.clip_norm"
        )


class ValidateAverage(keras.callbacks.Callback):
    """Validates with the average of the weights, then trains on with the weights.

    `keras.callbacks.SwapEMAWeights` swaps by adding and subtracting. That rounds, so
    that a run with validation would differ from one without.
    """

    def __init__(self, average):
        super().__init__()
        self.average = average

    def on_test_begin(self, logs=None):
        self.average.exchange()

    def on_test_end(self, logs=None):
        self.average.exchange()
