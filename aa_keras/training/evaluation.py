"""Finished runs: loaded into memory, and measured on a whole split."""

import dataclasses

from aa_keras.training import measuring
from aa_keras.workdir import Run, WorkDir

LOCK_SECONDS = 60  # another evaluation holds the lock for one small write


def load_run(workdir) -> Run:
    """Loads a finished work directory; see `WorkDir.load`.

    Args:
        workdir: path of the run.
    """
    return WorkDir(workdir).load()


def evaluate(workdir, split: str = "test") -> dict:
    """Measures a finished run on a whole split and adds that to its `result.json`.

    Args:
        workdir: path of the run.
        split: str, the split. Defaults to `"test"`.

    Returns:
        The metrics, each image counted exactly once, and with
        `data.corrupt_images: skip` the number `skipped`.

    Raises:
        ValueError: if the run, the split or the data set is missing.
        DamagedData: if images are missing or cannot be used, more than may be skipped.
    """
    run, folder = load_run(workdir), WorkDir(workdir)
    source = type(run.task).open(run.experiment).source
    task = dataclasses.replace(run.task, source=source)
    with source.damage.named():
        metrics = measuring.measure(task, run.model, split)
    with folder.lock(timeout=LOCK_SECONDS):
        result = folder.read_result() or run.result
        result["metrics"][split] = metrics
        if source.corrupt_images == "skip":
            earlier = result.get("skipped", {})
            result["skipped"] = {**earlier, **measuring.skipped(source)}
        folder.write_result(result)
    return metrics
