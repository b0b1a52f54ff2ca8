"""Checkpoints that are whole or not there, with everything that a run needs to resume.

A checkpoint is a folder `epoch_0007` of the weights and optimiser in one file, and of
the run's state with the checksum of both in another. `best` is a copy of the best one.
`epoch_0007_step_120` comes 120 steps after the seventh epoch.

Keras' BackupAndRestore overwrites in place and restores only the epoch. Its
OrbaxCheckpoint has no checksum, so that a damaged file ends the run.
"""

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

from aa_keras.keras_internals import serialize_weights
from aa_keras.whole_writes import unused, whole_folder

WEIGHTS, STATE, BEST = "state.weights.h5", "state.json", "best"
_NAME = re.compile(r"epoch_(\d{4,})(?:_step_(\d+))?")


def save(directory, epoch: int, model, state: dict, step: int = 0) -> None:
    """Writes the checkpoint of model and optimiser after `epoch` finished epochs.

    `step` is the number of steps of the next epoch that are done as well.
    `state` is a dict of plain data; its `configuration` is the digest of the run's.

    Raises:
        RuntimeError: if it cannot be written. Earlier checkpoints are intact.
    """
    try:
        with whole_folder(_folder(directory, epoch, step), replace=True) as folder:
            (folder / WEIGHTS).write_bytes(serialize_weights(model))
            state = {**state, "epoch": epoch, "step": step}
            state["sha256"] = _checksum(folder / WEIGHTS, state)
            (folder / STATE).write_text(json.dumps(state), encoding="utf-8")
    except OSError as error:
        raise RuntimeError(
            f"{directory}: the checkpoint of epoch {epoch + (step > 0)} cannot be "
            f"written: {_reason(error)}; earlier ones are intact, and the same command "
            "resumes from the newest"
        ) from error


def keep_best(directory, epoch: int, score: float, score_of) -> None:
    """Copies the checkpoint of `epoch` to `best` if its score is larger.

    A larger `score` is better. `score_of` computes it from a checkpoint's state.

    Raises:
        RuntimeError: if it cannot be written. The checkpoints are intact.
    """
    best = Path(directory) / BEST
    state = read_state(best, verify=False)
    earlier = score_of(state) if state else None
    # None also where the run measured nothing before that it compares now.
    if earlier is not None and earlier >= score:
        return
    try:
        with whole_folder(best, replace=True) as folder:
            for name in (WEIGHTS, STATE):
                shutil.copyfile(_folder(directory, epoch) / name, folder / name)
    except OSError as error:
        raise RuntimeError(
            f"{best}: cannot be written: {_reason(error)}; the checkpoints are intact"
        ) from error


def restore(
    directory, model, configuration: str, report=print, *, inside_epochs=True
) -> dict | None:
    """Loads the newest whole checkpoint into a model whose optimiser is built.

    Returns the state that was saved with it, or `None` if there is no checkpoint.
    `configuration` is the digest of the run's. `report` is called with a line of text
    for each damaged checkpoint, which is renamed, and for the restored one. `best` is
    the last resort. Without `inside_epochs` only those at the end of an epoch count.

    Raises:
        ValueError: if there are checkpoints, but each is damaged, or the newest whole
            one is of another configuration.
        OSError: if a file is there, but the system cannot read it.
    """
    best = Path(directory) / BEST
    numbered = list_checkpoints(directory)
    if not inside_epochs:
        every, numbered = numbered, [p for p in numbered if _moment(p)[1] == 0]
        if every and every[-1] not in numbered:
            report(f"{every[-1]} is skipped: this run resumes at the end of an epoch")
    found = [*([best] if best.exists() else []), *numbered]
    damaged = []
    for folder in reversed(found):
        state = read_state(folder)
        if state is None:
            damaged.append(folder)
            continue
        if state.get("configuration") != configuration:
            raise ValueError(
                f"{folder}: received a checkpoint of another configuration; allowed: "
                "checkpoints of this run; choose another --workdir"
            )
        for other in damaged:
            report(f"{other} is damaged; moved to {_set_aside(other)}")
        model.load_weights(folder / WEIGHTS)
        report(f"restored {folder}")
        return state
    if damaged:
        raise ValueError(
            f"{directory}: all checkpoints are damaged: "
            f"{', '.join(folder.name for folder in damaged)}; nothing was changed; "
            "--restart keeps them in another folder and starts anew"
        )
    return None


def prune(directory, keep: int) -> None:
    """Removes all but the newest `keep` checkpoints of finished epochs.

    Those inside an epoch go with its end; before that the newest `keep` stay.
    """
    found = list_checkpoints(directory)
    finished = [folder for folder in found if _moment(folder)[1] == 0]
    after = found[found.index(finished[-1]) + 1 :] if finished else found
    for folder in set(found) - {*finished[-keep:], *after[-keep:]}:
        shutil.rmtree(folder)


def list_checkpoints(directory) -> list[Path]:
    """Returns the checkpoint folders, oldest first."""
    found = [p for p in Path(directory).glob("epoch_*") if _NAME.fullmatch(p.name)]
    return sorted(found, key=_moment)


def read_state(folder, *, verify: bool = True) -> dict | None:
    """Returns the state beside a checkpoint's weights; `None` if it is damaged.

    `verify` reads the weights as well and compares their checksum.
    """
    weights = folder / WEIGHTS
    try:
        state = json.loads((folder / STATE).read_text(encoding="utf-8"))
        checksum = state.pop("sha256")
        # Earlier versions took the weights' alone, which no new checkpoint equals.
        if verify:
            whole = checksum in (_checksum(weights, state), _checksum(weights))
        else:
            whole = weights.is_file()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except (ValueError, KeyError, TypeError, AttributeError):  # no JSON, or no state
        return None
    except OSError as error:  # a permission or a lost server: it may be whole
        raise OSError(
            f"{error.filename or folder}: cannot be read: {_reason(error)}; nothing "
            "was changed"
        ) from error
    return state if whole else None


def _set_aside(folder):
    """Renames a damaged checkpoint to a name that no run uses, and returns it."""
    aside = unused(folder.with_name(f"damaged_{folder.name}"))
    return folder.rename(aside)


def _folder(directory, epoch, step=0):
    return Path(directory) / (f"epoch_{epoch:04d}" + (f"_step_{step}" if step else ""))


def _moment(folder):
    """Returns the finished epochs of a checkpoint, and the steps after them."""
    match = _NAME.fullmatch(folder.name)
    return int(match[1]), int(match[2] or 0)


def _checksum(path, state=None):
    """Returns the SHA-256 of the weights, followed by that of the state as JSON."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    if state is not None:
        digest.update(json.dumps(state).encode())
    return digest.hexdigest()


def _reason(error):
    return os.strerror(error.errno) if error.errno else str(error)
