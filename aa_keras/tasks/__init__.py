"""Tasks: everything in which kinds of runs differ, one class each."""

import importlib

from aa_keras.tasks.task import Task

# By the `task` of a data source and of a preprocessing.
_CLASSES = {
    "classification": "classification.Classification",
    "detection": "detection.Detection",
}
_KINDS = {"retinanet": "detection"}  # by model.name; all others classify


def find_task(experiment) -> type[Task]:
    """Returns the class of an experiment's task.

    The import of that class also registers the networks of the task with Keras.
    """
    return task_of_kind(_KINDS.get(experiment.model.name, "classification"))


def task_of_kind(kind: str) -> type[Task]:
    """Returns the class of a kind of task, imported now, as KerasCV is slow to import.

    Args:
        kind: str, `"classification"` or `"detection"`.
    """
    module, _, name = _CLASSES[kind].partition(".")
    return getattr(importlib.import_module(f"aa_keras.tasks.{module}"), name)


__all__ = ["Task", "find_task", "task_of_kind"]
