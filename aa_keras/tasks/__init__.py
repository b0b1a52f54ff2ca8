"""Tasks: everything in which kinds of runs differ, one class each."""

import importlib

from aa_keras.tasks.task import Task, read_picture

# By model.name; a task is imported when it is used, because KerasCV is slow to import.
_TASKS = {"retinanet": "detection.Detection"}
_DEFAULT = "classification.Classification"


def find_task(experiment) -> type[Task]:
    """Returns the class of an experiment's task.

    The import of that class also registers the networks of the task with Keras.
    """
    module, _, name = _TASKS.get(experiment.model.name, _DEFAULT).partition(".")
    return getattr(importlib.import_module(f"aa_keras.tasks.{module}"), name)


__all__ = ["Task", "find_task", "read_picture"]
