"""Checkpoints that are whole or not there.

A checkpoint is a folder `epoch_0007` that holds everything a run needs to go on:
weights and optimiser in one file, and the history with that file's checksum in
another. It is written under another name and gets its own by one rename.
"""

import hashlib
import json
import re
import shutil
from pathlib import Path

WEIGHTS, STATE = "state.weights.h5", "state.json"
_NAME = re.compile(r"epoch_\d{4,}")


def save(directory, epoch, model, state):
    """Writes the checkpoint after `epoch` whole epochs.

    Args:
        directory: The run's folder of checkpoints.
        epoch: Number of finished epochs.
        model: A compiled model: `save_weights` stores its optimiser too.
        state: Plain data that JSON holds.
    """
    directory = Path(directory)
    unfinished = directory / ".unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    model.save_weights(unfinished / WEIGHTS)
    state = {**state, "epoch": epoch, "sha256": _checksum(unfinished / WEIGHTS)}
    (unfinished / STATE).write_text(json.dumps(state))
    final = directory / f"epoch_{epoch:04d}"
    shutil.rmtree(final, ignore_errors=True)
    unfinished.rename(final)


def restore(directory, model, report=print):
    """Loads the newest whole checkpoint into a compiled model.

    Args:
        directory: The run's folder of checkpoints.
        model: A model whose optimiser is built.
        report: Called with a line of text for every damaged one that is passed over.

    Returns:
        The state that was saved with it, or None where there is no checkpoint.
    """
    for folder in reversed(list_checkpoints(directory)):
        state = _read_state(folder)
        if state is None:
            report(f"{folder} is damaged; using the one before")
            continue
        model.load_weights(folder / WEIGHTS)
        return state
    return None


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


def _read_state(folder):
    try:
        state = json.loads((folder / STATE).read_text())
        whole = state["sha256"] == _checksum(folder / WEIGHTS)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state if whole else None


def _checksum(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
