"""The folder of one run: the names of its files, its lock, its configuration."""

import contextlib
import csv
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from aa_keras import config
from aa_keras.options import Section, check
from aa_keras.whole_writes import locked, unused, whole_file, write_json, write_text

if TYPE_CHECKING:
    from aa_keras.tasks import Task


class Run(NamedTuple):
    """A finished run: its experiment, task, trained Keras model and result."""

    experiment: config.Experiment
    task: "Task"
    model: Any
    result: dict


class Result(Section, extra="ignore"):
    """What the commands need of `result.json`."""

    name: str
    epochs: int
    metrics: dict[str, dict[str, Any]]
    processes: list[dict[str, Any]] = Field(default=[])


class Description(Section, extra="ignore"):
    """The content of `data.json`."""

    class_names: list[str]
    preprocessing: dict[str, Any]


class WorkDir:
    """A run's folder. It belongs to one configuration and one process at a time."""

    def __init__(self, path):
        if not os.fspath(path):  # as of a variable that is not set in a shell
            raise ValueError("workdir: received ''; allowed: the path of a folder")
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.metrics = self.path / "metrics.csv"
        self.checkpoints = self.path / "checkpoints"
        self.tensorboard = self.path / "tensorboard"
        self.data = self.path / "data.json"
        self.model = self.path / "model.keras"
        self.result = self.path / "result.json"
        self._lock = self.path / ".lock"

    def __str__(self):
        return str(self.path)

    @contextlib.contextmanager
    def lock(self, timeout: float = 0) -> Iterator[None]:
        """Locks the folder, or raises ValueError after `timeout` seconds.

        A new folder is removed if nothing was written to it.
        """
        is_new = not self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)
        advice = "wait until it ends or choose another --workdir"
        refusal = f"{self}: another process uses it; {advice}"
        with locked(self._lock, refusal, timeout=timeout):
            try:
                yield
            finally:
                if is_new and list(self.path.iterdir()) == [self._lock]:
                    shutil.rmtree(self.path)

    def set_aside(self) -> Path | None:
        """Moves the files of an earlier run into a folder `earlier` of this one.

        Returns:
            That folder, `earlier_2` if there is one already; `None` with nothing to
            move.
        """
        paths = [self.config, self.metrics, self.checkpoints, self.tensorboard]
        paths += [self.data, self.model, self.result]
        left = [path for path in paths if path.exists()]
        if not left:
            return None
        folder = unused(self.path / "earlier")
        folder.mkdir()
        for path in left:
            path.rename(folder / path.name)
        return folder

    def refuse_other(self, experiment: config.Experiment) -> None:
        """Raises ValueError if the folder belongs to another configuration."""
        if not self.config.exists():
            return
        earlier = config.load(self.config)
        changeable = config.changeable_keys(experiment)
        differing = config.differences(earlier, experiment, ignore=changeable)
        epochs = earlier.train.epochs, experiment.train.epochs
        if epochs[1] < epochs[0]:
            differing["train.epochs"] = epochs
        if differing:
            pairs = differing.items()
            changes = ", ".join(f"{k} ({a!r} there, {b!r} now)" for k, (a, b) in pairs)
            raise ValueError(
                f"{self} belongs to a run of another configuration: {changes}; choose "
                f"another --workdir; these may change: {', '.join(sorted(changeable))}"
            )

    def write_config(self, experiment: config.Experiment) -> None:
        write_text(self.config, config.dump(experiment))

    def write_data(self, task: "Task") -> None:
        """Writes what `load` needs to know of the data; a run keeps its classes.

        Raises:
            ValueError: if the run began with other classes.
        """
        if self.data.exists():
            task.refuse_other_classes(_read_json(self.data, Description)["class_names"])
        write_json(self.data, task.description())

    def write_model(self, model) -> None:
        with whole_file(self.model) as unfinished:
            model.save(unfinished)

    def read_result(self) -> dict | None:
        """Returns the content of `result.json`; `None` if the run is not finished."""
        return _read_json(self.result, Result) if self.result.exists() else None

    def read_finished(self, epochs: int) -> dict | None:
        """Returns the result of a run that has trained `epochs`, else `None`.

        A smoke run trains two steps, whatever its epochs.
        """
        result = self.read_result()
        if result and (result.get("smoke") or result["epochs"] >= epochs):
            return result
        return None

    def read_history(self) -> list[dict[str, str]]:
        """Returns the rows of `metrics.csv`, one for each finished epoch."""
        if not self.metrics.exists():
            return []
        with _named(self.metrics):
            with open(self.metrics, encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            if not all(float(row["seconds"]) >= 0 for row in rows):
                raise ValueError("a time is negative")
            # Empty where an epoch was not measured.
            [float(value) for row in rows for value in row.values() if value != ""]
        return rows

    def write_result(self, result: dict) -> None:
        write_json(self.result, result)

    def require_finished(self) -> None:
        """Raises ValueError if a file of a finished run is missing."""
        for path in (self.config, self.data, self.model, self.result):
            if not path.is_file():
                raise ValueError(
                    f"{self}: contains no {path.name}; allowed: the --workdir of a "
                    "finished `aa-keras train`"
                )

    def weights_file(self) -> Path:
        """Returns the file that has the weights of the finished run."""
        return self.model

    def read_experiment(self) -> config.Experiment:
        return config.load(self.config)

    def load(self) -> Run:
        """Loads the finished run; the data set itself need not be there."""
        self.require_finished()
        experiment, result = self.read_experiment(), self.read_result()
        task = self.read_task(experiment)
        return Run(experiment, task, self.read_model(), result or {})

    def read_task(self, experiment: config.Experiment) -> "Task":
        """Returns the task of the finished run, without its data set."""
        from aa_keras.tasks import find_task

        task_class = find_task(experiment)  # registers the task's networks
        description = _read_json(self.data, Description)
        with _named(self.data):
            return task_class.load(experiment, description)

    def read_model(self):
        """Returns the finished run's network; `read_task` registers its parts."""
        import keras

        from aa_keras import layers  # noqa: F401  registers the layers

        with _named(self.model):
            return keras.models.load_model(self.model, compile=False)


def _read_json(path, section):
    """Returns the content of a file that must fit a `Section`."""
    with _named(path):
        content = json.loads(path.read_text(encoding="utf-8"))
        check(section, content)
    return content


@contextlib.contextmanager
def _named(path):
    """Names the file in every error of reading it, in one line."""
    try:
        yield
    except OSError as error:
        raise OSError(f"{path}: cannot be read: {error.strerror or error}") from error
    except Exception as error:  # damaged or another version's, it may cause any
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{path}: damaged, or written by another version of aa-keras: "
            f"{type(error).__name__}: {reason}"
        ) from error
