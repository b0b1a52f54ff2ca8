"""What happens at the edges of an epoch."""

import csv
import io
import time

import keras
import numpy as np

from aa_keras import checkpoints
from aa_keras.workdir import write_text


class RunState(keras.callbacks.Callback):
    """Keeps a run's history, checkpoints and `metrics.csv` in step.

    The history lies in the checkpoint and the table is written from it, so that after
    a kill at any moment no epoch is missing from the table or stands in it twice.

    Args:
        workdir: The run's folder.
        history: One dict per finished epoch.
        score: Function of such a dict that says how good the epoch was, larger is
            better, or gives None. The best epoch's checkpoint is kept apart.
        keep: Number of checkpoints to keep.
        smoke: Whether the run is one, for the checkpoint to say so.
    """

    def __init__(self, workdir, *, history, score, keep, smoke=False):
        super().__init__()
        self.workdir = workdir
        self.history = list(history)
        self.score = score
        self.keep = keep
        self.smoke = smoke
        spent = self.history[-1]["seconds"] if self.history else 0.0
        self._started = time.monotonic() - spent

    @property
    def seconds(self):
        return time.monotonic() - self._started

    def on_train_begin(self, logs=None):
        if self.history:  # a kill may have come between these and the checkpoint
            self._write_table()
            self._keep_best()

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **{k: float(v) for k, v in (logs or {}).items()}}
        rate = self.model.optimizer.learning_rate
        row["learning_rate"] = float(keras.ops.convert_to_numpy(rate))
        row["seconds"] = round(self.seconds, 3)
        self.history.append(row)
        state = {"history": self.history, "smoke": self.smoke}
        directory = self.workdir / "checkpoints"
        checkpoints.save(directory, epoch + 1, self.model, state)
        self._keep_best()
        checkpoints.prune(directory, self.keep)
        self._write_table()

    def _keep_best(self):
        row = self.history[-1]
        score = self.score(row)
        if score is not None:
            checkpoints.keep_best(
                self.workdir / "checkpoints", row["epoch"], score, self._best_score
            )

    def _best_score(self, state):
        return self.score(state["history"][-1])

    def _write_table(self):
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.history[0]))
        writer.writeheader()
        writer.writerows(self.history)
        write_text(self.workdir / "metrics.csv", text.getvalue())


class EpochSeeds(keras.callbacks.Callback):
    """Sets the generators of dropout from seed and epoch.

    They are no part of saved weights: so a resumed run draws what a whole one drew.

    Args:
        seed: The run's seed.
        worker: Index of this worker, so that workers drop different units.
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
    """Ends the run with the step at which the loss stopped being a number.

    Stands before what writes checkpoints, so that none holds weights that are not
    numbers.
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


class AverageWhileValidating(keras.callbacks.Callback):
    """Validates the average of the weights and puts the trained ones back.

    `keras.callbacks.SwapEMAWeights` swaps by adding and subtracting, which rounds.
    """

    def on_test_begin(self, logs=None):
        optimizer = self.model.optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)
        variables = self.model.trainable_variables
        self._trained = [keras.ops.convert_to_numpy(v) for v in variables]
        optimizer.finalize_variable_values(variables)

    def on_test_end(self, logs=None):
        variables = self.model.trainable_variables
        for variable, value in zip(variables, self._trained, strict=True):
            variable.assign(value)
        self._trained = None
