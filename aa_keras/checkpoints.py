"""Checkpoints that are whole or not there.

A checkpoint is a folder `epoch_0007` that holds everything a run needs to go on:
weights and optimiser in one file, and the history with that file's checksum in
another. It is written under another name and gets its own by one rename. `best` is a
copy of the best one.
"""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

WEIGHTS, STATE, BEST = "state.weights.h5", "state.json", "best"
_NAME = re.compile(r"epoch_\d{4,}")


def save(directory, epoch, model, state):
    """Writes the checkpoint after `epoch` whole epochs.

    Args:
        directory: The run's folder of checkpoints.
        epoch: Number of finished epochs.
        model: A compiled model: `save_weights` stores its optimiser too.
        state: Plain data that JSON holds.

    Raises:
        OSError: If it cannot be written; the older ones are as they were.
    """
    unfinished = Path(directory) / ".unfinished"
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        model.save_weights(unfinished / WEIGHTS)
        state = {**state, "epoch": epoch, "sha256": _checksum(unfinished / WEIGHTS)}
        (unfinished / STATE).write_text(json.dumps(state), encoding="utf-8")
        _appear(unfinished, _folder(directory, epoch))
    except (OSError, RuntimeError) as error:  # h5py knows no other than the latter
        shutil.rmtree(unfinished, ignore_errors=True)
        raise OSError(
            f"{directory}: the checkpoint of epoch {epoch} cannot be written: "
            f"{_reason(error)}; older ones are intact, and the same command goes on "
            "from the newest"
        ) from error


def keep_best(directory, epoch, score, score_of):
    """Copies the checkpoint of `epoch` to `best` if it is better than what is there.

    Args:
        directory: The run's folder of checkpoints.
        epoch: Number of finished epochs.
        score: How good that epoch was; larger is better.
        score_of: Function of a checkpoint's state that gives its score.
    """
    best = Path(directory) / BEST
    state = read_state(best)
    if state and score_of(state) >= score:
        return
    unfinished = best.with_name(".unfinished_best")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        shutil.copytree(_folder(directory, epoch), unfinished)
        _appear(unfinished, best)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise OSError(
            f"{best}: cannot be written: {_reason(error)}; the checkpoints are intact"
        ) from error


def restore(directory, model, report=print):
    """Loads the newest whole checkpoint into a compiled model.

    Args:
        directory: The run's folder of checkpoints.
        model: A model whose optimiser is built.
        report: Called with a line of text for every damaged one that is passed over,
            and for the one that is used.

    Returns:
        The state that was saved with it, or None where there is no checkpoint.
    """
    for folder in reversed(list_checkpoints(directory)):
        state = read_state(folder)
        if state is None:
            report(f"{folder} is damaged; using the one before")
            continue
        model.load_weights(folder / WEIGHTS)
        report(f"restored {folder}")
        return state
    return None


def newest_state(directory):
    """The state of the newest whole checkpoint, or None."""
    states = map(read_state, reversed(list_checkpoints(directory)))
    return next((state for state in states if state), None)


def prune(directory, keep):
    """Removes all but the newest `keep` checkpoints."""
    for folder in list_checkpoints(directory)[:-keep]:
        shutil.rmtree(folder)


def list_checkpoints(directory):
    """The checkpoint folders, oldest first."""
    directory = Path(directory)
    if not directory.is_dir():
        return []
    return sorted(
        (path for path in directory.iterdir() if _NAME.fullmatch(path.name)),
        key=lambda path: int(path.name.removeprefix("epoch_")),
    )


def read_state(folder):
    """What was saved beside a checkpoint's weights; None if anything is damaged."""
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        whole = state["sha256"] == _checksum(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if whole else None


def _folder(directory, epoch):
    return Path(directory) / f"epoch_{epoch:04d}"


def _appear(unfinished, final):
    """Gives a folder its name once its files are on the disk, not only written."""
    for path in unfinished.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
    # A kill here leaves no `final`. It was a damaged one, or `best` is made again.
    shutil.rmtree(final, ignore_errors=True)
    unfinished.rename(final)


def _checksum(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _reason(error):
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else " ".join(str(error).split())
