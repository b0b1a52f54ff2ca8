"""What several folders of tests share."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.training import processes

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def aa_keras():
    """A function that runs `python -m aa_keras` in a process of its own."""

    def run(*arguments, cwd=ROOT, status=0, **options):
        done = subprocess.run(
            [sys.executable, "-m", "aa_keras", *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            **options,
        )
        assert done.returncode == status, done.stderr + done.stdout[-2000:]
        return done

    return run


@pytest.fixture(scope="session")
def uninterrupted(tmp_path_factory):
    """A finished run that was never killed, and what it printed. Tests only read it."""
    workdir = tmp_path_factory.mktemp("uninterrupted") / "run"
    return workdir, processes.run(workdir)


@pytest.fixture(scope="session")
def quickstart_run(aa_keras, tmp_path_factory):
    """The work directory of the quickstart's network with attention, trained a little.

    Tests read it; one that writes into it works on a copy.
    """
    workdir = tmp_path_factory.mktemp("quickstart") / "digits_aa_resnet"
    aa_keras(
        "train",
        "experiments/quickstart/digits_aa_resnet.yaml",
        "--workdir",
        workdir,
        "--set",
        "train.epochs=15",
    )
    return workdir


@pytest.fixture(scope="session")
def published(quickstart_run, tmp_path_factory):
    """A folder of shipped weights that has those of `quickstart_run`."""
    from tools import publish_weights

    folder = tmp_path_factory.mktemp("published") / "weights"
    assert publish_weights.publish([quickstart_run], folder) == "digits/aa_resnet_8"
    return folder


@pytest.fixture(scope="session")
def exported(quickstart_run, tmp_path_factory):
    """The version folder of the SavedModel of `quickstart_run`."""
    from aa_keras import export

    return export.export(quickstart_run, tmp_path_factory.mktemp("served") / "digits")


@pytest.fixture(scope="session")
def served(exported):
    """The export, loaded."""
    import tensorflow as tf

    return tf.saved_model.load(str(exported))


@pytest.fixture(scope="session")
def digits():
    """The test split: uint8 (images, 8, 8, 1)."""
    images = np.round(load_digits().images * (255 / 16)).astype(np.uint8)
    return images[4::5, :, :, np.newaxis]


@pytest.fixture(scope="session")
def digit_files(tmp_path_factory):
    """Files of three test digits, by class."""
    folder = tmp_path_factory.mktemp("digits")
    data = load_digits()
    files = {}
    for index in (4, 9, 14):
        pixels = np.round(data.images[index] * (255 / 16)).astype(np.uint8)
        files[str(data.target[index])] = folder / f"{index}.png"
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return files


@pytest.fixture(scope="session")
def encode():
    """A function from pixels to the bytes of a file, by Pillow."""

    def encode(pixels, file_format="PNG", mode=None, **options):
        image = Image.fromarray(pixels)
        buffer = io.BytesIO()
        (image.convert(mode) if mode else image).save(buffer, file_format, **options)
        return buffer.getvalue()

    return encode


# Where real CIFAR-100, ImageNet and COCO may be, as tensorflow-datasets stores them.
REAL_SETS = Path(os.environ.get("TFDS_DATA_DIR", ROOT.parent / "shared" / "tfds"))


@pytest.fixture(scope="session")
def real_data_dir():
    """Real sets: TFDS_DATA_DIR, or shared/tfds beside the checkout; else a skip."""
    if not (REAL_SETS / "coco").is_dir():
        pytest.skip("no real data: TFDS_DATA_DIR is not set, nor is shared/tfds there")
    return str(REAL_SETS)


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """The real sets where they are; else small ones in the same format."""
    from tests import written_sets

    if (REAL_SETS / "coco").is_dir():
        return REAL_SETS
    written = tmp_path_factory.mktemp("tfds")
    for name, splits in {
        "cifar100": {"train": 10100, "test": 4},
        "imagenet2012": {"train": 4, "validation": 4},
        "coco/2017": {"train": 4, "validation": 4},
    }.items():
        written_sets.write(written, name, splits)
    return written
