"""What of a data set is missing or cannot be used: an error, or skipped and noted."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator

import tensorflow as tf

from aa_keras.plain_text import printable


class DamagedData(RuntimeError):
    """Data is missing or cannot be read; a single line that names it."""


class Damage:
    """The examples of one source that a process skipped, by split.

    Each is reported once. `reason` says what stopped the pipeline: what Python raises
    within a graph arrives inside a long message of TensorFlow.
    """

    def __init__(self):
        self.skipped: dict[str, list[str]] = {}
        self.reason: str | None = None
        self._lock = threading.Lock()

    def count(self, split) -> int:
        return len(self.skipped.get(split, ()))

    def stop(self, message) -> None:
        # A pipeline reads ahead and may meet the next damage before it stops.
        self.reason = self.reason or message
        raise DamagedData(self.reason)

    def skip(self, split, name, limit) -> None:
        """Notes an example of a split, or stops if `limit` are skipped already."""
        with self._lock:  # training and validation read at the same time
            names = self.skipped.setdefault(split, [])
            if name in names:
                return
            if len(names) >= limit:
                self.stop(
                    f"split {split!r}: {len(names) + 1} images cannot be used, the "
                    f"last is {name}; allowed: at most "
                    f"{limit} (data.max_skipped; one image must remain)"
                )
            names.append(name)
        print(f"Skipped a corrupt image: {name}", file=sys.stderr, flush=True)

    @contextlib.contextmanager
    def named(self) -> Iterator[None]:
        """Raises the error that stopped a pipeline in place of TensorFlow's."""
        try:
            yield
        except Exception as error:
            if self.reason is None or isinstance(error, DamagedData):
                raise
            raise DamagedData(self.reason) from error


def describe_file(name: bytes) -> str:
    """Returns the name of a file whose picture cannot be used, and why."""
    path = os.fsdecode(name)
    if os.path.islink(path) and not os.path.exists(path):
        reason = f"a link to {os.readlink(path)}, which is not there"
    elif os.path.isdir(path):
        reason = "a folder"
    else:
        reason = "its picture cannot be decoded"
        try:
            with open(path, "rb") as file:
                reason = reason if file.read(1) else "empty"
        except OSError as error:
            reason = f"cannot be read: {error.strerror}"
    return printable(f"{path} ({reason})")


def describe_record(name: bytes) -> str:
    """Returns the name of a record whose picture cannot be used."""
    return printable(os.fsdecode(name))


def empty(spec) -> tf.Tensor:
    """Returns a tensor of zeros or empty texts that fits a spec."""
    return tf.zeros([size or 0 for size in spec.shape], spec.dtype)
