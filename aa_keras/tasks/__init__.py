"""Tasks: everything in which kinds of runs differ, one class each."""

import importlib

from aa_keras.tasks.task import Task


def find_task(experiment) -> type[Task]:
    """Returns the class of an experiment's task.

    The import of that class also registers the networks of the task with Keras.
    """
    return task_of_kind(experiment.model.task)


def task_of_kind(kind: str) -> type[Task]:
    """Returns the class of a kind of task, imported now, as KerasCV is slow to import.

    Args:
        kind: str, the name of a module of this package, such as `"classification"`, in
            which the class has the same name.
    """
    module = importlib.import_module(f"aa_keras.tasks.{kind}")
    return getattr(module, kind.title().replace("_", ""))


__all__ = ["Task", "find_task", "task_of_kind"]
