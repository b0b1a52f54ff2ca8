"""Files and folders that appear whole or not at all, and locks.

Content is written under a hidden name beside the final one and reaches the disk before
one rename publishes it. A kill at any moment leaves the earlier content or the new one.
The rename is on the disk as well before a function returns.
"""

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import filelock


@contextlib.contextmanager
def whole_file(path) -> Iterator[Path]:
    """Yields a temporary path with the suffix of `path`, then renames it to `path`."""
    path = Path(path)
    unfinished = path.with_name(f".unfinished-{path.name}")
    try:
        yield unfinished
        _sync(unfinished)
        unfinished.replace(path)
        _sync(path.parent)
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def whole_folder(path, *, replace=False) -> Iterator[Path]:
    """Yields an empty folder, then renames it to `path`.

    An existing `path` that is not empty is replaced with `replace`, else an OSError.
    """
    path = Path(path)
    unfinished = path.with_name(f".unfinished-{path.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        for content in [*unfinished.rglob("*"), unfinished]:
            _sync(content)
        if replace and path.exists():
            # A folder has no atomic replacement: a kill between these leaves none, but
            # never a half of one.
            earlier = path.with_name(f".earlier-{path.name}")
            shutil.rmtree(earlier, ignore_errors=True)
            path.rename(earlier)
            unfinished.rename(path)
            shutil.rmtree(earlier, ignore_errors=True)
        else:
            unfinished.rename(path)
        _sync(path.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def unused(path) -> Path:
    """Returns `path`, or where it exists the path with the first free number."""
    path, number = Path(path), 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}_{number}")
    return free


def write_text(path, text: str) -> None:
    """Writes a text file in UTF-8, whole or not at all."""
    with whole_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")


def write_json(path, value) -> None:
    """Writes plain data as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def locked(path, refusal: str, *, timeout: float = 0) -> Iterator[None]:
    """Holds a lock file, or raises ValueError(`refusal`) after `timeout` seconds.

    The system releases it when the process ends, in any way. The file stays.
    """
    try:
        lock = filelock.FileLock(path).acquire(timeout=timeout)
    except filelock.Timeout:
        raise ValueError(refusal) from None
    with lock:
        yield


def _sync(path):
    """Waits until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name == "nt":  # Windows opens no folders
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
