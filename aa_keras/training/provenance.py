"""What a process runs on: versions, revision and machine, as plain data."""

import contextlib
import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import keras
import tensorflow as tf

PACKAGES = ("aa-keras", "tensorflow", "keras", "keras-cv", "tensorflow-datasets")


def describe_process() -> dict:
    """Returns all facts of this module about the current process."""
    return {
        "backend": keras.backend.backend(),
        "versions": versions(),
        "git_revision": git_revision(),
        "hardware": hardware(),
        "host": platform.node(),
    }


def versions() -> dict:
    """Returns the versions of Python and of the packages that change results."""
    found = {"python": platform.python_version()}
    for package in dict.fromkeys((*PACKAGES, keras.backend.backend())):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def git_revision() -> str | None:
    """Returns the commit of a checkout, with `-dirty` for local changes."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():  # installed, perhaps inside another repository
        return None
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
        output = subprocess.check_output(command, cwd=here, stderr=subprocess.DEVNULL)
        return output.decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def hardware() -> dict:
    """Returns accelerators and processor cores."""
    affinity = getattr(os, "sched_getaffinity", None)  # of Linux
    return {
        "devices": _accelerators(),
        "machine": platform.machine(),
        "cores": len(affinity(0)) if affinity else os.cpu_count(),
    }


def _accelerators():
    if keras.backend.backend() == "jax":
        import jax

        return [d.device_kind for d in jax.local_devices() if d.platform != "cpu"]
    details = tf.config.experimental.get_device_details
    return [
        details(device).get("device_name", device.name)
        for device in tf.config.list_physical_devices()
        if device.device_type != "CPU"
    ]
