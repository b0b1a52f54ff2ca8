"""What a person who watches a run wants to know."""

import datetime
import time

import keras
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn


class Console(keras.callbacks.Callback):
    """A line an epoch, and on a terminal a bar that moves with the steps.

    Both tell images per second (of training alone; the first step, in which TensorFlow
    builds its graph, left out) and the time left for the whole run. `close` it.

    Args:
        report: Called with each line.
        batch_size: Images of a step.
        first_epoch: Number of epochs that an earlier call finished.
        epochs: Number of all epochs.
        steps: Steps of an epoch.
        clock: Function that gives seconds.
    """

    def __init__(
        self, report, *, batch_size, first_epoch, epochs, steps, clock=time.monotonic
    ):
        super().__init__()
        self.report = report
        self.batch_size = batch_size
        self.total = (epochs - first_epoch) * steps
        self.epochs = epochs
        self.steps = steps
        self.clock = clock
        self._first_epoch = first_epoch
        self._start = None  # steps of this call and time, after its first step
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}"),
            transient=True,
        )
        self._bar.disable = not self._bar.console.is_terminal
        self._task = self._bar.add_task("", total=steps, text="")

    def close(self):
        self._bar.stop()

    def on_train_begin(self, logs=None):
        self._bar.start()

    def on_epoch_begin(self, epoch, logs=None):
        self._first = self._last = None  # step and time of this epoch
        self._before = (epoch - self._first_epoch) * self.steps
        title = f"epoch {epoch + 1}/{self.epochs}"
        self._bar.reset(self._task, description=title, text="")

    def on_train_batch_end(self, batch, logs=None):
        self._last = (batch + 1, self.clock())
        self._first = self._first or self._last
        self._start = self._start or (self._before + batch + 1, self._last[1])
        loss = (logs or {}).get("loss", 0.0)
        text = "  ".join([f"loss {loss:.4f}", *self._pace()])
        self._bar.update(self._task, completed=batch + 1, text=text)

    def on_epoch_end(self, epoch, logs=None):
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        values = {**(logs or {}), "learning_rate": rate}
        numbers = [f"{name} {value:.4g}" for name, value in values.items()]
        title = f"epoch {epoch + 1}/{self.epochs}"
        self.report("  ".join([title, *numbers, *self._pace()]))

    def _pace(self):
        steps, seconds = (b - a for a, b in zip(self._first, self._last, strict=True))
        if steps and seconds:
            yield f"{steps * self.batch_size / seconds:.0f} images/s"
        done = self._before + self._last[0]
        if done > self._start[0]:
            pace = (self.clock() - self._start[1]) / (done - self._start[0])
            left = datetime.timedelta(seconds=round(pace * (self.total - done)))
            yield f"{left} left"
