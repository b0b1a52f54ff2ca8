"""What happens at the edges of an epoch."""

import csv
import io
import os
import time

import keras
import tensorflow as tf

from aa_keras.training import checkpoints


class RunState(keras.callbacks.Callback):
    """Keeps a run's history, checkpoints and `metrics.csv` in step.

    The history lies in the checkpoint and the table is written from it, so that after
    a kill at any moment no epoch is missing from the table or stands in it twice.

    Args:
        workdir: The run's folder.
        history: One dict per finished epoch.
        seconds: Time spent on them.
        seed: The run's seed.
        monitor: The metric whose best epoch is kept apart, or None; larger is better.
        keep: Number of checkpoints to keep.
    """

    def __init__(self, workdir, *, history, seconds, seed, monitor, keep):
        super().__init__()
        self.workdir = workdir
        self.history = list(history)
        self.seed = seed
        self.monitor = monitor
        self.keep = keep
        self._started = time.monotonic() - seconds

    @property
    def seconds(self):
        return time.monotonic() - self._started

    def on_train_begin(self, logs=None):
        self._write_table()

    def on_epoch_begin(self, epoch, logs=None):
        # Dropout's generators are no part of saved weights. Their state follows from
        # seed and epoch instead, so that a resumed run draws what a whole one drew.
        for position, variable in enumerate(self.model.non_trainable_variables):
            if variable.name == "seed_generator_state":
                variable.assign([self.seed + position, epoch])

    def on_epoch_end(self, epoch, logs=None):
        row = {"epoch": epoch + 1, **{k: float(v) for k, v in (logs or {}).items()}}
        rate = self.model.optimizer.learning_rate
        row["learning_rate"] = float(keras.ops.convert_to_numpy(rate))
        row["seconds"] = round(self.seconds, 3)
        self.history.append(row)
        directory = self.workdir / "checkpoints"
        if self.monitor and row is max(self.history, key=lambda r: r[self.monitor]):
            self._keep_best(directory)
        state = {"history": self.history, "seconds": self.seconds}
        checkpoints.save(directory, epoch + 1, self.model, state)
        checkpoints.prune(directory, self.keep)
        self._write_table()

    def _keep_best(self, directory):
        directory.mkdir(parents=True, exist_ok=True)
        unfinished = directory / ".best.weights.h5"
        self.model.save_weights(unfinished)
        os.replace(unfinished, directory / "best.weights.h5")

    def _write_table(self):
        if not self.history:
            return
        text = io.StringIO()
        writer = csv.DictWriter(text, fieldnames=list(self.history[0]))
        writer.writeheader()
        writer.writerows(self.history)
        write_text(self.workdir / "metrics.csv", text.getvalue())


class NonFiniteLoss(RuntimeError):
    """The loss became infinite or not a number."""


class StopOnNonFiniteLoss(keras.callbacks.Callback):
    """Ends the run with the step at which the loss stopped being a number."""

    def on_train_batch_end(self, batch, logs=None):
        loss = float((logs or {}).get("loss", 0.0))
        if not tf.math.is_finite(loss):
            step = int(self.model.optimizer.iterations)
            rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
            raise NonFiniteLoss(
                f"the loss is {loss} at step {step}, learning rate {rate:.4g}; "
                "lower train.optimizer.learning_rate_per_256 or lengthen the warm-up"
            )


def write_text(path, text):
    """Writes a file so that it is whole at every moment."""
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_text(text)
    os.replace(unfinished, path)
