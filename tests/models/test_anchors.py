"""Which object each anchor learns, on the boxes of real images."""

import keras_cv
import numpy as np
import pytest

from aa_keras import data
from aa_keras.data import detection_batches
from aa_keras.models.anchors import assign, build_anchors, decode, encode, match
from tests.models import tpu_retinanet

SIZE = 640


def test_anchors():
    places = build_anchors(256, 256)
    np.testing.assert_allclose(places, tpu_retinanet.anchors(256), rtol=1e-6)
    assert places.min() < 0  # not clipped
    assert places.max() > 256


def test_offsets():
    places = build_anchors(128, 128)[::17]
    boxes = places + np.random.default_rng(0).normal(size=places.shape).astype("f")
    expected = tpu_retinanet.offsets(boxes, places)
    np.testing.assert_allclose(encode(boxes, places), expected, atol=1e-5)
    np.testing.assert_allclose(decode(np.float32(expected), places), boxes, atol=1e-3)


@pytest.fixture(scope="module")
def objects(real_data_dir):
    """The boxes (M, 4) of each image of the sample, in pixels of a square."""
    source = data.open_source("coco/2017", real_data_dir)
    # The pictures are not looked at.
    preprocessing = data.DetectionPreprocessing(8, source.mean, source.std)
    found = []
    for split in ("train", "test"):
        for _, targets in detection_batches.build_evaluation(
            source, preprocessing, split=split, batch_size=1
        ).as_numpy_iterator():
            longest = max(targets["height"][0], targets["width"][0])
            boxes = targets["boxes"][0] * SIZE / longest
            found.append(boxes[targets["classes"][0] >= 0])
    return found


def test_every_object_of_the_sample_has_an_anchor(objects):
    places = build_anchors(SIZE, SIZE)
    num_objects = shared = far = 0
    for boxes in filter(len, objects):
        padded = np.full((len(boxes) + 2, 4), -1, "f")
        padded[:-2] = boxes
        there = np.arange(len(padded)) < len(boxes)
        # In float32, where two anchors may be equally near.
        similarity = keras_cv.bounding_box.compute_iou(padded, places, "xyxy").numpy()
        found = match(similarity, there).numpy()
        similarity = similarity[:-2]
        np.testing.assert_allclose(
            similarity, tpu_retinanet.overlaps(boxes, places), atol=1e-5
        )
        np.testing.assert_array_equal(found, tpu_retinanet.argmax_matcher(similarity))
        # An object without an anchor has lost its best one to an earlier object.
        best = similarity.argmax(axis=1)
        for row in set(range(len(boxes))) - set(found):
            assert found[best[row]] < row
            shared += 1
        num_objects += len(boxes)
        far += int((similarity.max(axis=1) < 0.5).sum())
    # Of 929 objects these would learn nothing without the forced match.
    assert (num_objects, far, shared) == (929, 256, 2)


def test_an_image_without_objects():
    places = build_anchors(64, 64)
    offsets, classes = assign(np.full((3, 4), -1.0, "f"), np.full(3, -1.0, "f"), places)
    assert (classes.numpy() == -1).all()
    assert (offsets.numpy() == 0).all()
