"""A detector from training to each command, and what it says of a picture."""

import csv
import dataclasses
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from aa_keras import config, data
from aa_keras.cli.commands import cli
from aa_keras.data import detection_batches
from aa_keras.tasks import find_task
from aa_keras.training.run import build_model
from aa_keras.workdir import WorkDir
from tests.conftest import ROOT
from tests.models import tpu_retinanet

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

    def decode_predictions(self, outputs, images, serving):
        assert serving
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


def test_the_best_epoch_is_that_of_the_largest_mAP_or_the_smallest_loss(detection):
    """Without the decay of the weights, which is in `val_loss`."""
    row = {"val_loss": 9.0, "val_box_loss": 0.01, "val_classification_loss": 0.25}
    assert detection.score(row) == pytest.approx(-0.75)
    assert detection.score({"loss": 9.0}) is None  # no validation split
    experiment = config.load(ROOT / EXPERIMENT, ["train.measure_every=2"])
    measured = dataclasses.replace(detection, experiment=experiment)
    assert measured.score(row | {"val_mAP": 0.3}) == 0.3
    assert measured.score(row) is None


EXACT = """
import: [tests.tasks.exact_detector]
import_from: {root}
name: exact_detector
model: {{name: exact_detector, classes: 90, score: {score}, data_dir: {data_dir}}}
data: {{name: coco/2017, batch_size: 5, image_size: {size}, data_dir: {data_dir}}}
train:
  epochs: 1
  optimizer: {{name: sgd, learning_rate_per_256: 0.1}}
  schedule: {{name: constant}}
"""


@pytest.fixture(scope="module")
def exact_run(real_data_dir, tmp_path_factory):
    """A function from a score to a run whose network is exact, and that sure."""

    def write(score):
        folder = tmp_path_factory.mktemp("exact")
        options = {"score": score, "size": 128, "data_dir": real_data_dir}
        path = folder / "exact_detector.yaml"
        path.write_text(EXACT.format(root=ROOT, **options))
        experiment = config.load(path)
        workdir = WorkDir(folder)
        task = find_task(experiment).open(experiment)
        model = build_model(experiment, task.preprocessing.output_shape)
        workdir.write_config(experiment)
        workdir.write_data(task)
        workdir.write_model(model)
        workdir.write_result({"name": "exact", "epochs": 1, "metrics": {}})
        return folder

    return write


@pytest.mark.parametrize("score", [0.05, 0.45, 0.9])
def test_exact_predictions_have_an_mAP_of_one(score, exact_run):
    run = exact_run(score)
    answer = CliRunner().invoke(cli, ["evaluate", str(run)])
    assert answer.exit_code == 0, answer.output
    metrics = json.loads((run / "result.json").read_text())["metrics"]["test"]
    assert metrics["images"] == 32
    assert metrics["mAP"] == pytest.approx(1, abs=1e-6)
    assert "mAP 1.0000" in answer.output


def test_no_object_of_the_sample_is_dropped_by_another(real_data_dir):
    """What an mAP of one needs, whatever the network."""
    source = data.open_source("coco/2017", real_data_dir)
    preprocessing = data.DetectionPreprocessing(8, source.mean, source.std)
    count = 0
    batches = detection_batches.build_evaluation(
        source, preprocessing, split="test", batch_size=1
    )
    for _, targets in batches.as_numpy_iterator():
        kept = targets["classes"][0] >= 0
        boxes, classes = targets["boxes"][0][kept], targets["classes"][0][kept]
        overlaps = tpu_retinanet.overlaps(boxes, boxes) - np.eye(len(boxes))
        same_class = classes[:, None] == classes
        assert overlaps[same_class].max(initial=0) <= 0.5
        assert len(boxes) <= 100
        count += len(boxes)
    assert count == 225


@pytest.mark.slow
def test_every_command_works_on_a_finished_detector(aa_keras, tmp_path, data_dir):
    """Each command runs in a process that has not imported the network's class."""
    run, served = tmp_path / "run", tmp_path / "served"
    settings = {"data.data_dir": data_dir, "data.image_size": SIZE}
    settings |= {"data.validation_examples": 2, "train.measure_every": 5}
    settings["model.depth"] = 34  # builds and traces faster; the rest is the file's
    # Two steps leave all scores near 0.01.
    settings["model.decoding.serving_score_threshold"] = 0.001
    pairs = [word for k, v in settings.items() for word in ("--set", f"{k}={v}")]
    aa_keras("train", EXPERIMENT, "--workdir", run, "--smoke", *pairs)
    assert json.loads((run / "result.json").read_text())["best_epoch"] == 1
    with (run / "metrics.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert "val_mAP" in row  # of the last epoch, too
    losses = 50 * float(row["val_box_loss"]) + float(row["val_classification_loss"])
    assert 0 < losses < float(row["val_loss"])  # which has the decay
    picture = tmp_path / "wide.png"
    pixels = np.full((45, 90, 3), 100, np.uint8)
    Image.fromarray(pixels).save(picture)

    done = aa_keras("evaluate", run)
    source = data.open_source(
        "coco/2017", data_dir=settings["data.data_dir"], download=False
    )
    measured = json.loads((run / "result.json").read_text())["metrics"]["test"]
    assert measured["images"] == source.count("test") > 2
    assert f"images {measured['images']}" in done.stdout

    drawn = tmp_path / "drawn.png"
    told = aa_keras("predict", run, picture, "--json", "--top", 100, "--out", drawn)
    answer = json.loads(told.stdout)
    assert answer["boxes"]
    assert told.stderr.splitlines()[-1] == str(drawn)
    assert Image.open(drawn).size == (90, 45)

    aa_keras("maps", run, picture, "--out", tmp_path / "maps.png", "--query", "9,9")
    assert Image.open(tmp_path / "maps.png").size[0] > 0
    aa_keras("maps", run, picture, "--out", tmp_path / "maps.html")
    text = (tmp_path / "maps.html").read_text()
    page = json.loads(re.search(r'type="application/json".*?>(.*)</script>', text)[1])
    assert "stage4_block1_conv1" in [layer["name"] for layer in page["layers"]]
    # The same boxes as `predict` finds, in pixels of the network's square.
    shown = page["images"][0]["prediction"]
    assert shown["class_names"] == answer["class_names"]
    square, found = (np.reshape(one["boxes"], (-1, 4)) for one in (shown, answer))
    scaled = np.clip(square * (90 / SIZE), 0, [90, 45, 90, 45])
    np.testing.assert_allclose(scaled, found, atol=0.01)

    assert aa_keras("export", run, served).stdout.strip() == str(served / "1")
    assert (served / "1" / "saved_model.pb").is_file()
