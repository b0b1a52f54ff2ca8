"""The progress that a run shows."""

import datetime
import math
import time

import keras
from rich import progress


class Console(keras.callbacks.Callback):
    """Reports a line for each epoch, and on a terminal moves bars with the steps.

    Both show images per second of the epoch's training, without the first step, in
    which TensorFlow builds its graph, and the time left for the whole run. Earlier
    processes finished `first_epoch` of all `epochs` and `first_step` steps of the next.
    Call `close` at the end.
    """

    def __init__(
        self,
        report,
        *,
        batch_size,
        first_epoch,
        epochs,
        steps,
        first_step=0,
        clock=time.monotonic,
    ):
        super().__init__()
        self.report = report
        self.batch_size = batch_size
        self.first_epoch = first_epoch
        self.epochs = epochs
        self.steps = steps
        self.first_step = first_step
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[text]}"),
            get_time=clock,
            speed_estimate_period=math.inf,
            transient=True,
        )
        self._bars.disable = not self._bars.console.is_terminal
        total = (epochs - first_epoch) * steps
        self._bars.add_task("run", total=total, completed=first_step, text="")
        self._bars.add_task("epoch", total=steps, text="")
        self._run, self._epoch = self._bars.tasks

    def close(self) -> None:
        self._bars.stop()

    def on_train_begin(self, logs=None):
        self._bars.start()

    def on_epoch_begin(self, epoch, logs=None):
        self._before = (epoch - self.first_epoch) * self.steps
        self._done = self.first_step if epoch == self.first_epoch else 0
        title = self._title(epoch)
        self._bars.reset(
            self._epoch.id, completed=self._done, description=title, text=""
        )

    def on_train_batch_end(self, batch, logs=None):
        done = self._done + batch + 1
        self._bars.update(self._run.id, completed=self._before + done)
        self._bars.update(self._epoch.id, completed=done)
        loss = f"loss {(logs or {}).get('loss', 0.0):.4f}"
        self._bars.update(self._epoch.id, text="  ".join([loss, *self._speed()]))

    def on_epoch_end(self, epoch, logs=None):
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        values = {**(logs or {}), "learning_rate": rate}
        words = [f"{name} {v:.4g}" for name, v in values.items()] + self._speed()
        if self._run.time_remaining is not None:
            words.append(f"{datetime.timedelta(seconds=self._run.time_remaining)} left")
        self.report("  ".join([self._title(epoch), *words]))

    def _title(self, epoch):
        return f"epoch {epoch + 1}/{self.epochs}"

    def _speed(self):
        speed = self._epoch.speed  # None after a single update
        return [f"{speed * self.batch_size:.0f} images/s"] if speed else []
