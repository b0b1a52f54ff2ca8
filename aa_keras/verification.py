"""`check`: counts, decodes and verifies data or a work directory in advance."""

import os
from pathlib import Path

from aa_keras import checkpoints, config
from aa_keras.data.full_reading import read_image_folder, read_set
from aa_keras.workdir import WorkDir

SET_DEPTH = 4  # DATA_DIR/name/config/version/dataset_info.json, or less


def verify(path) -> tuple[list[dict[str, str]], list[str]]:
    """Verifies a folder of images, a data_dir or the work directory of a run.

    Returns:
        Rows of a table, all with the same columns, and a line for each damage.

    Raises:
        ValueError: if the folder is none of these.
    """
    path = Path(path)
    workdir = WorkDir(path)
    parts = (workdir.config, workdir.checkpoints, workdir.model, workdir.result)
    if any(part.exists() for part in parts):
        return _verify_workdir(workdir)
    sets = _find_sets(path)
    if sets:
        verified = [read_set(folder) for folder in sets]
        rows = [row for rows, _ in verified for row in rows]
        return rows, [line for _, lines in verified for line in lines]
    try:
        return read_image_folder(path)
    except ValueError as error:
        raise ValueError(
            f"{path}: no work directory, no data_dir of tensorflow-datasets, and as an "
            f"image folder: {error}"
        ) from error


def _find_sets(path):
    """The folders of sets of tensorflow-datasets in a data_dir, or that is one."""
    found = []
    for depth in range(SET_DEPTH):
        pattern = "/".join([*("*" * depth), "dataset_info.json"])
        found += [file.parent for file in path.glob(pattern)]
    return sorted(found)


def _verify_workdir(workdir):
    damage: list[str] = []
    rows = []

    def attempt(path, read):
        """Calls a reader of a file and adds a row."""
        state, result = "whole", None
        try:
            result = read()
        except (ValueError, OSError) as error:
            state = "damaged"
            damage.append(str(error))
        rows.append({"file": os.path.relpath(path, workdir.path), "state": state})
        return result

    experiment = attempt(workdir.config, lambda: config.load(workdir.config))
    if workdir.metrics.exists():
        attempt(workdir.metrics, workdir.read_history)
    if workdir.result.exists():  # without it the run goes on, and writes the others
        attempt(workdir.result, workdir.read_result)
        if experiment:
            attempt(workdir.data, lambda: workdir.read_task(experiment))
            attempt(workdir.model, workdir.read_model)
    for folder in _checkpoints(workdir.checkpoints):
        attempt(folder, lambda folder=folder: _verify_checkpoint(folder))
    return rows, damage


def _checkpoints(directory):
    best = directory / checkpoints.BEST
    return [
        *checkpoints.list_checkpoints(directory),
        *([best] if best.exists() else []),
    ]


def _verify_checkpoint(folder):
    if checkpoints.read_state(folder) is None:
        raise ValueError(f"{folder}: damaged, its checksum does not match")
