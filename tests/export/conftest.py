"""One trained run and one export of it, shared by all tests of exports."""

import io
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits, load_sample_images

from aa_keras import export, training


@pytest.fixture(scope="session")
def workdir(quickstart_run):
    return quickstart_run


@pytest.fixture(scope="session")
def run(workdir):
    return training.load_run(workdir)


@pytest.fixture(scope="session")
def exported(workdir, tmp_path_factory):
    """The version folder of the run's SavedModel."""
    return export.export(workdir, tmp_path_factory.mktemp("served") / "digits")


@pytest.fixture(scope="session")
def served(exported):
    """The export, loaded."""
    return tf.saved_model.load(str(exported))


@pytest.fixture(scope="session")
def digits():
    """The test split: uint8 (images, 8, 8, 1)."""
    images = np.round(load_digits().images * (255 / 16)).astype(np.uint8)
    return images[4::5, :, :, np.newaxis]


@pytest.fixture(scope="session")
def photograph():
    """A part of one: uint8 (54, 80, 3)."""
    return load_sample_images().images[0][200:254, 300:380]


@pytest.fixture(scope="session")
def encode():
    """A function from pixels to the bytes of a file, by Pillow."""

    def encode(pixels, file_format="PNG", mode=None, **options):
        image = Image.fromarray(pixels)
        buffer = io.BytesIO()
        (image.convert(mode) if mode else image).save(buffer, file_format, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture(scope="session")
def run_python():
    """A function that runs a program text in a process of its own."""

    def run_python(program, *arguments, **options):
        done = subprocess.run(
            [sys.executable, "-P", "-c", program, *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        assert done.returncode == 0, done.stderr
        return done

    return run_python
