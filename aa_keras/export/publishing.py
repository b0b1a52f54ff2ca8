"""Version folders as a model server polls them: whole, or not there at all."""

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

import tensorflow as tf


class ExportError(ValueError):
    """An export that could not be made, told in one line."""


def publish(write, out, version=None):
    """Makes `OUT/<version>/` in one step out of what `write` leaves.

    The content is written into a hidden folder beside OUT and renamed when `write`
    has returned, so that a server that polls OUT never sees a part of it. What a
    killed export left beside OUT is removed by the next one.

    Args:
        write: Function of a path, an empty folder, that fills it.
        out: Folder of the versions; made if it is not there.
        version: Number of the new version; one more than the largest if left out.

    Returns:
        Path of the new version folder.

    Raises:
        ExportError: If `version` is there already, OUT cannot be a folder, or
            writing fails, for example on a full disk. Nothing is left then.
    """
    out = Path(out)
    if version is not None and (isinstance(version, bool) or int(version) < 1):
        raise ExportError(f"version: received {version!r}; allowed: 1, 2, 3, ...")
    try:
        _refuse_existing(out, version)
        with _staging(out) as staging:
            target = staging / "version"
            target.mkdir()
            write(target)
            return _rename(target, out, version)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", error)
        raise ExportError(
            f"{out}: cannot be written: {' '.join(str(reason).split())}; no version "
            "was made"
        ) from error


def versions(out):
    """The numbers of the versions in a folder, smallest first."""
    out = Path(out)
    names = os.listdir(out) if out.is_dir() else []
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _refuse_existing(out, version):
    if out.exists() and not out.is_dir():
        raise ExportError(f"{out}: is a file; allowed: a folder, or a path not in use")
    if version is not None and (out / str(version)).exists():
        raise ExportError(
            f"version: received {version}; allowed: a number not in use, {out} holds "
            f"{', '.join(map(str, versions(out)))}; a version is never changed"
        )


@contextlib.contextmanager
def _staging(out):
    place = out.absolute().parent
    while not place.is_dir():  # the folders above OUT are made with OUT, at the end
        place = place.parent
    if out.is_dir() and out.stat().st_dev != place.stat().st_dev:
        place = out  # a mounted folder: nothing can be renamed into it from outside
    prefix = f".{out.absolute().name}-export-"
    for leftover in place.glob(f"{prefix}*"):
        with contextlib.suppress(OSError), _locked(leftover):
            shutil.rmtree(leftover)
    staging = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    try:
        with _locked(staging):
            yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder):
    """Holds a lock that ends with the process, however that ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _rename(folder, out, version):
    folder.chmod(0o755)  # made by tempfile, for its owner alone
    out.mkdir(parents=True, exist_ok=True)
    while True:
        target = out / str(version or max(versions(out), default=0) + 1)
        _refuse_existing(out, version)
        try:
            os.rename(folder, target)
        except OSError as error:  # another export took the number at this moment
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        else:
            return target
