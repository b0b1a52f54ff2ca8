"""Non-maximum suppression for each class, against TensorFlow's own."""

import numpy as np
import pytest
import tensorflow as tf

from aa_keras.models.suppression import suppress

CLASSES = 5
OPTIONS = {
    "score_threshold": 0.1,
    "iou_threshold": 0.5,
    "max_boxes": 30,
    "max_candidates": 400,
}


@pytest.fixture(scope="module")
def predictions():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 60, (2, 90, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(20, 40, (2, 90, 2))], -1)
    logits = rng.normal(-2, 2, (2, 90, CLASSES))
    return boxes.astype("f"), logits.astype("f")


@pytest.mark.parametrize("changed", [{}, {"max_boxes": 200}, {"max_candidates": 50}])
def test_it_is_that_of_tensorflow(changed, predictions):
    options = OPTIONS | changed
    boxes, logits = predictions
    scores = 1 / (1 + np.exp(-logits))
    ranks = (-logits.reshape(2, -1)).argsort(axis=1).argsort(axis=1)
    looked_at = ranks.reshape(logits.shape) < options["max_candidates"]
    expected = tf.image.combined_non_max_suppression(
        boxes[:, :, None],
        np.where(looked_at, scores, 0),
        max_output_size_per_class=options["max_boxes"],
        max_total_size=options["max_boxes"],
        iou_threshold=options["iou_threshold"],
        score_threshold=options["score_threshold"],
        clip_boxes=False,
    )
    counts = expected.valid_detections.numpy()
    assert counts.min() > 20
    for call in (suppress, tf.function(suppress)):
        found = call(*predictions, **options)
        np.testing.assert_array_equal(found["num_detections"], counts)
        for row, count in enumerate(counts):
            for ours, theirs in (
                ("boxes", expected.nmsed_boxes),
                ("confidence", expected.nmsed_scores),
                ("classes", expected.nmsed_classes),
            ):
                values = found[ours][row].numpy()
                np.testing.assert_allclose(values[:count], theirs[row][:count], 1e-5)
                assert (values[count:] == -1).all()


def test_boxes_of_two_classes_do_not_suppress_each_other():
    boxes = np.float32([[[0, 0, 10, 10], [0, 0, 10, 9], [0, 0, 9, 10], [0, 0, 3, 3]]])
    logits = np.full((1, 4, 2), -9, "f")
    logits[0, :, 0] = [2, 1, -9, -9]
    logits[0, 2, 1] = 0
    found = suppress(boxes, logits, **OPTIONS)
    assert found["classes"][0, :3].numpy().tolist() == [0, 1, -1]
    np.testing.assert_array_equal(found["boxes"][0, :2], boxes[0, [0, 2]])
