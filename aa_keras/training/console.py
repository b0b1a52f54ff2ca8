"""The progress that a run shows."""

import datetime
import math
import time

import keras
from rich import progress

_WIDTH = 7  # of a column: the table of a classifier fits into a terminal of 80
# Parts of what stands in another column; metrics.csv has them.
_LEFT_OUT = {"top_5_accuracy", "box_loss", "classification_loss"}
_SHORT = {"top_5_accuracy": "top5", "accuracy": "acc", "classification": "class"}


class Console(keras.callbacks.Callback):
    """Reports a table with a line for each epoch; on a terminal also bars of the steps.

    A column is a metric of `model.fit`, with `acc` for accuracy. `img/s` is the
    speed of the epoch's training in images per second, without the first step, in which
    TensorFlow builds its graph, and `left` the time that the rest of the run needs.
    Earlier processes finished `first_epoch` of all `epochs`, and `first_step` steps of
    the next. Call `close` at the end.
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
        self.batch_size = batch_size
        self.first_epoch = first_epoch
        self.epochs = epochs
        self.steps = steps
        self._columns: dict[str, int] = {}
        self.first_step = first_step
        self._bars = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(bar_width=20),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.fields[text]}"),
            get_time=clock,
            speed_estimate_period=math.inf,
            transient=True,
        )
        is_terminal = self._bars.console.is_terminal
        self._bars.disable = not is_terminal
        # Other lines would run into the bars, which are drawn anew below this one.
        self.report = self._print_above_bars if is_terminal else report
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
        title = f"epoch {epoch + 1}"
        self._bars.reset(
            self._epoch.id, completed=self._done, description=title, text=""
        )

    def on_train_batch_end(self, batch, logs=None):
        done = self._done + batch + 1
        self._bars.update(self._run.id, completed=self._before + done)
        self._bars.update(self._epoch.id, completed=done)
        words = [f"loss {(logs or {}).get('loss', 0.0):.4f}"]
        words += [f"{self._speed():.0f} images/s"] if self._speed() else []
        self._bars.update(self._epoch.id, text="  ".join(words))

    def on_epoch_end(self, epoch, logs=None):
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        left = self._run.time_remaining
        row = {
            "epoch": f"{epoch + 1}/{self.epochs}",
            **{
                _title(name): f"{value:.4g}"
                for name, value in (logs or {}).items()
                if name not in _LEFT_OUT
            },
            "rate": f"{rate:.3g}",
            "img/s": f"{self._speed():.0f}" if self._speed() else "",
            "left": "" if left is None else str(datetime.timedelta(seconds=left)),
        }
        if not row.keys() <= self._columns.keys():  # not every epoch is measured
            self._columns |= {name: max(_WIDTH, len(name)) for name in row}
            self.report(self._line({name: name for name in self._columns}))
        self.report(self._line(row))

    def _line(self, row):
        cells = (f"{row.get(k, ''):>{width}}" for k, width in self._columns.items())
        return " ".join(cells)

    def _print_above_bars(self, line):
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _speed(self):
        speed = self._epoch.speed  # None after a single update
        return speed and speed * self.batch_size


def _title(name):
    for long, short in _SHORT.items():
        name = name.replace(long, short)
    return name
