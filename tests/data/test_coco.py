import numpy as np
import pytest

from aa_keras.data import DetectionPreprocessing, coco


def batch(truths, detections, size=(100, 100)):
    """One image: truths (box, class, crowd), detections (box, class, confidence)."""
    boxes, classes, crowds = zip(*truths, strict=True)
    boxes = np.float32([boxes])
    targets = {
        "boxes": boxes,
        "classes": np.array([classes]),
        "is_crowd": np.array([crowds], np.int64),
        "area": (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1]),
        "image_id": np.array([7]),
        "height": np.array([size[0]]),
        "width": np.array([size[1]]),
    }
    boxes, classes, confidence = zip(*detections, strict=True)
    predictions = {
        "boxes": np.float32([boxes]),
        "classes": np.array([classes]),
        "confidence": np.float32([confidence]),
        "num_detections": np.array([len(boxes)]),
    }
    return targets, predictions


def measure(batches, image_size):
    return coco.measure(batches, preprocessing(image_size))


def preprocessing(image_size):
    return DetectionPreprocessing(image_size, (0.5,) * 3, (0.5,) * 3)


ONE = pytest.approx(1)
BOX, OTHER = (10, 10, 50, 50), (60, 60, 90, 90)


def test_a_perfect_detector():
    metrics = measure([batch([(BOX, 0, 0)], [(BOX, 0, 0.9)])], 100)
    assert list(metrics)[:3] == ["mAP", "mAP50", "mAP75"]
    assert metrics["mAP"] == ONE
    assert metrics["mAP50"] == ONE
    assert metrics["recall_100"] == ONE
    assert metrics["mAP_small"] == -1  # 40 x 40 pixels are medium
    assert metrics["mAP_medium"] == ONE


def test_half_of_the_objects_found():
    one = batch([(BOX, 0, 0), (OTHER, 0, 0)], [(BOX, 0, 0.9), ((0, 0, 5, 5), 0, 0.8)])
    # Precision is 1 at the recalls 0, 0.01, ..., 0.5 of the 101.
    assert measure([one], 100)["mAP"] == pytest.approx(51 / 101)


def test_overlap_decides_by_threshold():
    # 40 x 27 pixels of 40 x 40: an overlap of 0.675, above four of the ten thresholds.
    metrics = measure([batch([(BOX, 0, 0)], [((10, 10, 50, 37), 0, 0.9)])], 100)
    assert metrics["mAP50"] == ONE
    assert metrics["mAP75"] == 0
    assert metrics["mAP"] == pytest.approx(0.4)


def test_classes_are_averaged_and_those_without_objects_left_out():
    one = batch(
        [(BOX, 0, 0), (OTHER, 89, 0)], [(BOX, 0, 0.9), (OTHER, 3, 0.9), (BOX, -1, -1)]
    )
    assert measure([one], 100)["mAP"] == pytest.approx(0.5)


def test_crowds_are_neither_missed_nor_counted():
    one = batch([(BOX, 0, 0), (OTHER, 0, 1)], [(BOX, 0, 0.5), (OTHER, 0, 0.9)])
    assert measure([one], 100)["mAP"] == ONE


def test_no_detections_and_no_batches():
    nothing = batch([(BOX, 0, 0)], [(BOX, -1, -1)])
    assert measure([nothing], 100)["mAP"] == 0
    with pytest.raises(ValueError, match="received none"):
        measure([], 100)


def test_boxes_go_back_to_the_original_image():
    # 50 x 200 scaled by 0.64 to 32 x 128; what reaches into the padding is cut off.
    boxes = np.float32([[0, 0, 128, 32], [64, 16, 96, 64]])
    original = preprocessing(128).to_original(boxes, (50, 200))
    np.testing.assert_allclose(
        original, [[0, 0, 200, 50], [100, 25, 150, 50]], rtol=1e-6
    )


def test_the_original_size_decides_about_a_match():
    wide = batch([((0, 0, 200, 50), 0, 0)], [((0, 0, 128, 32), 0, 0.9)], size=(50, 200))
    assert measure([wide], 128)["mAP"] == ONE
