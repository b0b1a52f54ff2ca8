"""Checkpoints that are whole or not there, with everything that a run needs to resume.

A checkpoint is a folder `epoch_0007` of the weights and optimiser in one file, and of
the run's state with that file's checksum in another. `best` is a copy of the best one.

Keras' BackupAndRestore overwrites in place and restores only the epoch. Its
OrbaxCheckpoint has no checksum, so that a damaged file ends the run.
"""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

from aa_keras.whole_writes import whole_folder

WEIGHTS, STATE, BEST = "state.weights.h5", "state.json", "best"
_NAME = re.compile(r"epoch_\d{4,}")


def save(directory, epoch: int, model, state: dict) -> None:
    """Writes the checkpoint of a compiled model after `epoch` finished epochs.

    `state` is plain data, with the digest of the run's `configuration`.

    Raises:
        OSError: if it cannot be written; earlier ones are unchanged.
    """
    try:
        with whole_folder(_folder(directory, epoch), replace=True) as folder:
            model.save_weights(folder / WEIGHTS)
            state = {**state, "epoch": epoch, "sha256": _checksum(folder / WEIGHTS)}
            (folder / STATE).write_text(json.dumps(state), encoding="utf-8")
    except (OSError, RuntimeError) as error:  # h5py raises the latter
        raise OSError(
            f"{directory}: the checkpoint of epoch {epoch} cannot be written: "
            f"{_reason(error)}; earlier ones are intact, and the same command resumes "
            "from the newest"
        ) from error


def keep_best(directory, epoch: int, score: float, score_of) -> None:
    """Copies the checkpoint of `epoch` to `best` if its score is larger.

    `score_of` is a function from a checkpoint's state to its score.
    """
    best = Path(directory) / BEST
    state = read_state(best, verify=False)
    if state and score_of(state) >= score:
        return
    try:
        with whole_folder(best, replace=True) as folder:
            shutil.copytree(_folder(directory, epoch), folder, dirs_exist_ok=True)
    except OSError as error:
        raise OSError(
            f"{best}: cannot be written: {_reason(error)}; the checkpoints are intact"
        ) from error


def restore(directory, model, configuration: str, report=print) -> dict | None:
    """Loads the newest whole checkpoint into a compiled model.

    Args:
        directory: the run's folder of checkpoints.
        model: a model whose optimiser is built.
        configuration: str, the digest of the run's configuration.
        report: callable, called with a line for each checkpoint that was tried.
            Defaults to `print`.

    Returns:
        The state that was saved with it; `None` if there is no checkpoint.

    Raises:
        ValueError: if the checkpoint is of another configuration.
    """
    for folder in reversed(list_checkpoints(directory)):
        state = read_state(folder)
        if state is None:
            report(f"{folder} is damaged; using the one before")
            continue
        if state.get("configuration") != configuration:
            raise ValueError(
                f"{folder}: received a checkpoint of another configuration; allowed: "
                "checkpoints of this run; choose another --workdir"
            )
        model.load_weights(folder / WEIGHTS)
        report(f"restored {folder}")
        return state
    return None


def prune(directory, keep: int) -> None:
    """Removes all but the newest `keep` checkpoints."""
    for folder in list_checkpoints(directory)[:-keep]:
        shutil.rmtree(folder)


def list_checkpoints(directory) -> list[Path]:
    """Returns the checkpoint folders, oldest first."""
    directory = Path(directory)
    if not directory.is_dir():
        return []
    return sorted(
        (path for path in directory.iterdir() if _NAME.fullmatch(path.name)),
        key=lambda path: int(path.name.removeprefix("epoch_")),
    )


def read_state(folder, *, verify: bool = True) -> dict | None:
    """Returns the state beside a checkpoint's weights; `None` if it is damaged.

    `verify` compares the checksum, for which all weights are read.
    """
    weights = folder / WEIGHTS
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        whole = not verify or state["sha256"] == _checksum(weights)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if whole and weights.is_file() else None


def _folder(directory, epoch):
    return Path(directory) / f"epoch_{epoch:04d}"


def _checksum(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error):
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else " ".join(str(error).split())
