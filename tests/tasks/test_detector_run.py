"""A detector from training to each command, and what it says of a picture."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from aa_keras import config, data
from aa_keras.tasks import find_task
from tests import written_sets
from tests.conftest import ROOT

EXPERIMENT = "experiments/coco/aa_retinanet_50.yaml"
SIZE = 64


@pytest.fixture
def detection():
    """The task of a finished detector of three classes, for 64 x 64 pixels."""
    experiment = config.load(ROOT / EXPERIMENT, [f"data.image_size={SIZE}"])
    preprocessing = {"image_size": SIZE, "mean": [0.5] * 3, "std": [0.25] * 3}
    description = {"class_names": ["cat", "dog", "owl"], "preprocessing": preprocessing}
    return find_task(experiment).load(experiment, description)


class TwoBoxes:
    """A detector that always finds the same two, in pixels of its own input."""

    num_classes = 3

    def __call__(self, images, training):
        assert images.shape == (1, SIZE, SIZE, 3)

    def decode_predictions(self, outputs, images):
        return {
            "boxes": np.array([[[0, 0, 32, 16], [16, 8, 64, 32], [-1] * 4]], "f"),
            "confidence": np.array([[0.25, 0.75, -1]], "f"),
            "classes": np.array([[2, 0, -1]]),
        }


def test_boxes_are_in_pixels_of_the_picture(detection):
    # 128 x 256 becomes the upper half of a square of 64: a pixel is four.
    picture = np.zeros((128, 256, 3), np.uint8)
    (found,) = detection.predict(TwoBoxes(), [picture])
    assert found["class_names"] == ["cat", "owl"]
    assert found["scores"] == [0.75, 0.25]
    assert found["boxes"] == [[64, 32, 256, 128], [0, 0, 128, 64]]
    line = detection.describe(found, top=1)
    assert line == "cat 0.7500 [64.0, 32.0, 256.0, 128.0]"
    drawn = detection.draw(picture, found)
    assert (picture.shape, drawn.dtype) == (drawn.shape, np.uint8)
    lime = (drawn == (0, 255, 0)).all(-1)
    assert lime[127, 100]
    assert lime[40, 127]
    assert not lime[90, 30]
    nothing = {"class_names": [], "scores": [], "boxes": []}
    assert detection.describe(nothing, top=3) == "no object"


def test_a_detector_reads_a_picture_with_its_aspect_ratio(detection, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (32, SIZE, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    inputs, picture = detection.read(tmp_path / "wide.png")
    np.testing.assert_array_equal(picture[:32], pixels)
    np.testing.assert_allclose(inputs[:32], (pixels / 255 - 0.5) / 0.25, atol=1e-6)
    assert (inputs[32:] == 0).all()
    assert (picture[32:] == 128).all()


def coco(kind, folder):
    """The folder of a set, the real one where it is."""
    if kind == "written":
        written_sets.write(folder, "coco/2017", {"train": 4, "validation": 4})
        return folder
    real = Path(os.environ.get("TFDS_DATA_DIR", ROOT.parent / "shared" / "tfds"))
    if not (real / "coco").is_dir():
        pytest.skip("the real COCO set is not on this machine")
    return real


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["written", "real"])
def test_every_command_works_on_a_finished_detector(kind, aa_keras, tmp_path):
    """Each command runs in a process that has not imported the network's class."""
    run, served = tmp_path / "run", tmp_path / "served"
    settings = {"data.data_dir": coco(kind, tmp_path / "set"), "data.image_size": SIZE}
    pairs = [word for k, v in settings.items() for word in ("--set", f"{k}={v}")]
    aa_keras("train", EXPERIMENT, "--workdir", run, "--smoke", *pairs)
    picture = tmp_path / "wide.png"
    pixels = np.full((40, 90, 3), 100, np.uint8)
    Image.fromarray(pixels).save(picture)

    done = aa_keras("evaluate", run)
    source = data.open_source(
        "coco/2017", data_dir=settings["data.data_dir"], download=False
    )
    measured = json.loads((run / "result.json").read_text())["metrics"]["test"]
    assert measured["images"] == source.count("test") > 2
    assert f"images {measured['images']}" in done.stdout

    drawn = tmp_path / "drawn.png"
    lines = aa_keras("predict", run, picture, "--out", drawn).stdout.splitlines()
    assert lines[0].startswith(f"{picture}: ")
    assert lines[1] == str(drawn)
    assert Image.open(drawn).size == (90, 40)

    aa_keras("maps", run, picture, "--out", tmp_path / "maps.png", "--query", "9,9")
    assert Image.open(tmp_path / "maps.png").size[0] > 0
    aa_keras("maps", run, picture, "--out", tmp_path / "maps.html")
    assert "stage4_block1_conv2" in (tmp_path / "maps.html").read_text()

    assert aa_keras("export", run, served).stdout.strip() == str(served / "1")
    assert (served / "1" / "saved_model.pb").is_file()
