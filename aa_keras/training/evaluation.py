"""Finished runs: loaded into memory, and measured on a whole split."""

import dataclasses

from aa_keras.finished_runs import find_run
from aa_keras.training import measuring
from aa_keras.workdir import Run, WorkDir

LOCK_SECONDS = 60  # another evaluation holds the lock for one small write


def load_run(workdir) -> Run:
    """Loads a finished run; see `WorkDir.load`.

    Args:
        workdir: path of the run's work directory, or the name of shipped weights.
    """
    return find_run(workdir).load()


def evaluate(workdir, split: str = "test", data_dir: str | None = None) -> dict:
    """Measures a finished run on a whole split and adds that to its `result.json`.

    With other data than the run's nothing is written.

    Args:
        workdir: path of the run's work directory, or the name of shipped weights, for
            which nothing is written either.
        split: str, the split. Defaults to `"test"`.
        data_dir: str, the folder of the data. Defaults to that of the run.

    Returns:
        The metrics, each image counted exactly once, and with
        `data.corrupt_images: skip` the number `skipped`.

    Raises:
        ValueError: if the run, the split or the data set is missing, or the data have
            other classes.
        DamagedData: if images are missing or cannot be used, more than may be skipped.
    """
    folder = find_run(workdir)
    run = folder.load()
    metrics, source = measure_run(run, split, data_dir)
    if not isinstance(folder, WorkDir) or data_dir is not None:
        return metrics
    with folder.lock(timeout=LOCK_SECONDS):
        result = folder.read_result() or run.result
        result["metrics"][split] = metrics
        if source.corrupt_images == "skip":
            earlier = result.get("skipped", {})
            result["skipped"] = {**earlier, **measuring.skipped(source)}
        folder.write_result(result)
    return metrics


def measure_run(run: Run, split: str, data_dir: str | None = None) -> tuple:
    """Returns the metrics of a run on a split, and the `data.Source` of that."""
    experiment = run.experiment
    if data_dir is not None:
        changed: dict = {"data_dir": data_dir}
        if split != "validation":  # the other data may have a validation split
            changed["validation_examples"] = 0
        data = experiment.data.model_copy(update=changed)
        experiment = experiment.model_copy(update={"data": data})
    opened = type(run.task).open(experiment)
    opened.refuse_other_classes(run.task.class_names)
    task = dataclasses.replace(run.task, source=opened.source)
    with opened.source.damage.named():
        return measuring.measure(task, run.model, split), opened.source
