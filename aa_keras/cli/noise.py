"""TensorFlow without what its libraries write to the terminal."""

import contextlib
import os
import sys


@contextlib.contextmanager
def silenced():
    """Silences what TensorFlow's libraries write to stderr while they are imported.

    They write before they read any log level. Exceptions are not affected.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


@contextlib.contextmanager
def quiet_import():
    """Imports TensorFlow, and what a command imports after it, without their noise."""
    with silenced():
        import absl.logging
        import tensorflow as tf

        # tensorflow-datasets warns of its own use of deprecated parts.
        absl.logging.set_verbosity(absl.logging.ERROR)
        tf.config.list_physical_devices()  # looks for accelerators, and says so
        yield
