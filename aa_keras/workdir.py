"""Files of a run's folder: whole at every moment, of one run and one process."""

import contextlib
import json
import os

from aa_keras import checkpoints, config

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None


def write_text(path, text):
    """Writes a file so that it is whole at every moment."""
    unfinished = path.with_name(f".{path.name}")
    unfinished.write_text(text, encoding="utf-8")
    os.replace(unfinished, path)


def write_json(path, value):
    write_text(path, json.dumps(value, indent=2) + "\n")


def read_result(workdir):
    """The content of `result.json`, or None while a run is not finished."""
    path = workdir / "result.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def refuse_other_run(workdir, experiment, smoke):
    """Raises ValueError if the folder belongs to a run of another configuration."""
    path = workdir / "config.yaml"
    if not path.exists():
        return
    earlier, now = (config.flatten(e) for e in (config.load(path), experiment))
    state = read_result(workdir) or checkpoints.newest_state(workdir / "checkpoints")
    if state:
        earlier["--smoke"], now["--smoke"] = state["smoke"], smoke
    movable = {"data.data_dir", "data.download"}  # where data lies changes no result
    differing = sorted(
        key
        for key in (earlier.keys() | now.keys()) - movable
        if earlier.get(key) != now.get(key)
    )
    if differing:
        changes = ", ".join(
            f"{key} ({earlier.get(key)!r} there, {now.get(key)!r} now)"
            for key in differing
        )
        raise ValueError(
            f"{workdir} belongs to a run of another configuration: {changes}; "
            "choose another --workdir"
        )


@contextlib.contextmanager
def held(workdir):
    """Holds a folder against a second process that would train in it.

    The lock is the process's: however it ends, the system lets go of it.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    with (workdir / ".lock").open("w") as file:
        if fcntl:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(
                    f"{workdir}: another process trains in it; wait for its end or "
                    "choose another --workdir"
                ) from None
            except OSError:  # a file system without locks
                pass
        yield
