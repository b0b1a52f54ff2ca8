"""Version folders for a model server: each appears whole, by one rename."""

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path

import tensorflow as tf

from aa_keras.whole_writes import locked


def publish(write, out, version=None) -> Path:
    """Creates `OUT/<version>/` in one step from what `write(folder)` leaves.

    The content is written into a hidden folder beside OUT, which is renamed when
    `write` has returned: a server that polls OUT never sees a part of it. The next
    export removes what a killed one left beside OUT. `version` defaults to the largest
    plus one.

    Raises:
        ValueError: if `version` exists, OUT cannot be a folder, or writing fails, for
            example on a full disk. Nothing is left then.
    """
    out = Path(out)
    if version is not None and (isinstance(version, bool) or int(version) < 1):
        raise ValueError(f"version: received {version!r}; allowed: 1, 2, 3, ...")
    try:
        _refuse_existing(out, version)
        with _staging(out) as staging:
            target = staging / "version"
            target.mkdir()
            write(target)
            return _rename(target, out, version)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", error)
        raise ValueError(
            f"{out}: cannot be written: {' '.join(str(reason).split())}; no version "
            "was made"
        ) from error


def versions(out) -> list[int]:
    """Returns the numbers of the versions in a folder, smallest first."""
    out = Path(out)
    names = os.listdir(out) if out.is_dir() else []
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def _refuse_existing(out, version):
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out}: is a file; allowed: a folder, or a path not in use")
    if version is not None and (out / str(version)).exists():
        raise ValueError(
            f"version: received {version}; allowed: a number not in use, {out} "
            f"contains {', '.join(map(str, versions(out)))}; a version is never changed"
        )


@contextlib.contextmanager
def _staging(out):
    place = out.absolute().parent
    while not place.is_dir():  # the folders above OUT are created with OUT, at the end
        place = place.parent
    if out.is_dir() and out.stat().st_dev != place.stat().st_dev:
        place = out  # mounted: nothing can be renamed into it from outside
    prefix = f".{out.absolute().name}-export-"
    for leftover in place.glob(f"{prefix}*"):
        with contextlib.suppress(OSError, ValueError), _lock(leftover):
            shutil.rmtree(leftover)
    staging = Path(tempfile.mkdtemp(prefix=prefix, dir=place))
    try:
        with _lock(staging):
            yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _lock(folder):
    return locked(folder / "lock", f"{folder}: another process writes to it")


def _rename(folder, out, version):
    folder.chmod(0o755)  # tempfile restricts it to its owner
    out.mkdir(parents=True, exist_ok=True)
    while True:
        target = out / str(version or max(versions(out), default=0) + 1)
        _refuse_existing(out, version)
        try:
            os.rename(folder, target)
        except OSError as error:  # another export took the number
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        else:
            return target
