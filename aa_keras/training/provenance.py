"""On what a run ran: versions, revision and machine, as plain data."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import tensorflow as tf

_PACKAGES = ("aa-keras", "tensorflow", "keras", "keras-cv", "tensorflow-datasets")


def versions():
    """Versions of Python and of the packages that shape the numbers."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def git_revision():
    """The commit of the source tree, `-dirty` with local changes, None outside one."""
    here = Path(__file__).resolve().parents[2]
    if not (here / ".git").exists():  # installed: some other project's repository
        return None
    try:
        return subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def hardware():
    """Accelerators and processor cores."""
    return {
        "devices": [
            tf.config.experimental.get_device_details(device).get(
                "device_name", device.name
            )
            for device in tf.config.list_physical_devices()
            if device.device_type != "CPU"
        ],
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
    }
