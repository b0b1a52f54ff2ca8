"""Callbacks: what a run does between its epochs, and at some of its steps."""

import csv
import io
import time

import keras
import numpy as np

from aa_keras import checkpoints
from aa_keras.training.interruption import Interrupted, Signals
from aa_keras.whole_writes import write_text


class RunState(keras.callbacks.Callback):
    """Keeps a run's history, checkpoints and `metrics.csv` in step.

    The history is part of each checkpoint and the table is written from it: after a
    kill at any moment no epoch is missing from the table or in it twice.

    `score` says how good an epoch's dict of the history is, larger is better, or
    returns `None`. The best epoch's checkpoint is kept apart, beside the last `keep`.

    Inside an epoch a checkpoint is saved every `minutes`, and after a signal, which
    then ends the run. It also has the accumulators of the metrics and the states of the
    generators of dropout, so that the rest of the epoch does not differ. `step` is the
    number of steps of the current epoch that are done.

    `skipped` has the names of the images that were skipped, by split. A resumed run
    knows those of the earlier processes.

    The model of a checkpoint has the weights that were validated, those of `average`.
    The trained ones are in their place among the variables of the optimiser.
    """

    def __init__(
        self,
        workdir,
        average,
        *,
        configuration,
        process,
        score,
        keep,
        minutes=None,
        signals=None,
        skipped=None,
    ):
        super().__init__()
        self.workdir = workdir
        self.average = average
        self.configuration = configuration
        self.process = process
        self.score = score
        self.keep = keep
        self.seconds_between = 60 * minutes if minutes else float("inf")
        self.signals = signals or Signals()
        self.step = 0
        self.history = []
        self.processes = []
        self.skipped = {} if skipped is None else skipped
        self._inside = None  # what a checkpoint inside an epoch has on top
        self._first_step, self._is_begun = 0, False
        self._started = self._saved = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def restore(self, model, report, *, inside_epochs=True) -> None:
        """Loads the newest checkpoint, if any, into the model and this object."""
        state = checkpoints.restore(
            self.workdir.checkpoints,
            model,
            self.configuration,
            report,
            inside_epochs=inside_epochs,
        )
        if state:
            self.average.exchange()
            self.history, self.processes = state["history"], state["processes"]
            self.skipped.update(state.get("skipped", {}))
            self.step, self._inside = state.get("step", 0), state.get("inside")
            last = self._inside or self.history[-1]
            self._started -= last["seconds"]

    def on_train_begin(self, logs=None):
        if self._is_begun:  # `fit` is called again after the rest of an epoch
            return
        self._is_begun = True
        if self.history:  # a kill may have come between these and the checkpoint
            self._write_table()
            self._keep_best()
        self.processes.append({"first_epoch": len(self.history) + 1, **self.process})

    def on_epoch_begin(self, epoch, logs=None):
        self._first_step = self.step
        if self._inside:
            for variable, value in zip(
                _running_values(self.model), self._inside["values"], strict=True
            ):
                variable.assign(value)
            self._inside = None

    def on_train_batch_end(self, batch, logs=None):
        self.step = self._first_step + batch + 1
        if batch + 1 == self.params["steps"]:  # the end of the epoch saves
            return
        due = time.monotonic() - self._saved > self.seconds_between
        if due or self.signals.received:
            check_weights(self.model)
            values = [
                keras.ops.convert_to_numpy(variable).tolist()
                for variable in _running_values(self.model)
            ]
            seconds = round(self.seconds, 3)
            self._save(inside={"values": values, "seconds": seconds})
            steps = self._first_step + self.params["steps"]
            self._stop_if_asked(f", {self.step} of {steps} steps of the next")

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **{k: float(v) for k, v in (logs or {}).items()}}
        rate = self.model.optimizer.learning_rate
        row["learning_rate"] = float(keras.ops.convert_to_numpy(rate))
        row["seconds"] = round(self.seconds, 3)
        self.history.append(row)
        self.step = 0
        self._save()
        self._write_table()
        self._stop_if_asked()

    def _save(self, **more):
        epoch = len(self.history)
        self.processes[-1]["last_epoch"] = epoch + bool(more)
        kept = ("configuration", "history", "processes", "skipped")
        state = {**{name: getattr(self, name) for name in kept}, **more}
        folder = self.workdir.checkpoints
        with self.average.in_model():
            checkpoints.save(folder, epoch, self.model, state, self.step)
        if not more:
            self._keep_best()
        checkpoints.prune(folder, self.keep)
        self._saved = time.monotonic()

    def _stop_if_asked(self, more=""):
        if self.signals.received:
            moment = f"epoch {len(self.history)}{more}"
            raise Interrupted(self.signals.received, moment)

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
        for position, variable in _seed_generators(self.model).items():
            first = (self.seed + 1009 * position + 100_003 * self.worker) % 2**31
            # The second number counts draws: an epoch has fewer than 2**20.
            variable.assign([first, epoch * 2**20 % 2**31])


def _seed_generators(model):
    """Returns the states of generators by their place among the variables."""
    variables = enumerate(model.non_trainable_variables)
    return {n: v for n, v in variables if v.name == "seed_generator_state"}


def _running_values(model):
    """Returns the variables that an epoch begins with anew: metrics, generators."""
    return [*model.metrics_variables, *_seed_generators(model).values()]


class NonFiniteLoss(RuntimeError):
    """The loss became infinite or not a number."""


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Ends the run at the step whose loss is not finite, and names it.

    It must come before `RunState`, so that no checkpoint contains such weights.
    """

    def on_train_batch_end(self, batch, logs=None):
        _check_number(self.model, "loss", (logs or {}).get("loss", 0.0))

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            _check_number(self.model, name, value)
        check_weights(self.model)


def check_weights(model) -> None:
    """Raises `NonFiniteLoss` if a weight is not a finite number."""
    for variable in model.trainable_variables:
        worst = keras.ops.max(keras.ops.abs(keras.ops.convert_to_tensor(variable)))
        _check_number(model, f"weight {variable.path}", worst)


def _check_number(model, name, value):
    if np.isfinite(value):
        return
    rate = float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))
    raise NonFiniteLoss(
        f"{name} is {float(value)} at step {int(model.optimizer.iterations)}, learning "
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
