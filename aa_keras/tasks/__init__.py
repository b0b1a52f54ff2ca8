"""Tasks: everything in which kinds of runs differ, one class each."""

import importlib

from aa_keras.tasks.task import PictureTask, Task


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


def require_pictures(task: Task) -> PictureTask:
    """Returns the task if its inputs are pictures, else raises ValueError."""
    if isinstance(task, PictureTask):
        return task
    raise ValueError(
        f"received a run of {task.preprocessing.task}, whose inputs are not pictures; "
        "allowed: runs of classification or detection"
    )


__all__ = ["PictureTask", "Task", "find_task", "require_pictures", "task_of_kind"]
