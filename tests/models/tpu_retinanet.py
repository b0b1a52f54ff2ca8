"""What the TPU RetinaNet computes, in NumPy and float64, written from its equations."""

import numpy as np


def anchors(size):
    """The anchors of a square image, (N, 4), left, top, right, bottom."""
    boxes = []
    for stride in (8, 16, 32, 64, 128):
        for y in np.arange(stride / 2, size, stride):
            for x in np.arange(stride / 2, size, stride):
                for octave in (0, 0.5):
                    for across, down in ((1.0, 1.0), (1.4, 0.7), (0.7, 1.4)):
                        width = 4.0 * stride * 2**octave * across
                        height = 4.0 * stride * 2**octave * down
                        left, top = x - width / 2, y - height / 2
                        boxes.append([left, top, left + width, top + height])
    return np.array(boxes)


def overlaps(boxes, others):
    """The intersection over union of each pair, (M, N)."""
    boxes, others = np.float64(boxes)[:, None], np.float64(others)[None]
    sides = np.minimum(boxes[..., 2:], others[..., 2:]) - np.maximum(
        boxes[..., :2], others[..., :2]
    )
    common = np.prod(np.maximum(sides, 0), axis=-1)
    areas = [np.prod(b[..., 2:] - b[..., :2], axis=-1) for b in (boxes, others)]
    return common / (areas[0] + areas[1] - common)


def argmax_matcher(similarity):
    """ArgMaxMatcher(0.5, 0.5, force_match_for_each_row=True): the row of each column.

    Of rows that force the same column, the first one has it.
    """
    matches = similarity.argmax(axis=0)
    matches[similarity.max(axis=0) < 0.5] = -1
    for row in reversed(range(len(similarity))):
        matches[similarity[row].argmax()] = row
    return matches


def offsets(boxes, places):
    """FasterRcnnBoxCoder without scale factors, as (x, y, width, height)."""
    boxes, places = np.float64(boxes), np.float64(places)
    sizes, scales = (b[:, 2:] - b[:, :2] for b in (boxes, places))
    centers = [(b[:, 2:] + b[:, :2]) / 2 for b in (boxes, places)]
    return np.hstack([(centers[0] - centers[1]) / scales, np.log(sizes / scales)])


def losses(labels, outputs, places):
    """The box loss, before its weight of 50, and the focal loss of a batch."""
    box_sum = focal_sum = positives = 0.0
    for boxes, classes, box, logits in zip(
        labels["boxes"],
        labels["classes"],
        np.float64(outputs["box"]),
        np.float64(outputs["classification"]),
        strict=True,
    ):
        truth = np.zeros_like(logits)
        boxes, classes = boxes[classes >= 0], classes[classes >= 0].astype(int)
        if len(boxes):
            matches = argmax_matcher(overlaps(boxes, places))
            (chosen,) = np.nonzero(matches >= 0)
            rows = matches[chosen]
            truth[chosen, classes[rows]] = 1
            error = np.abs(box[chosen] - offsets(boxes[rows], places[chosen]))
            huber = np.where(error <= 0.1, error**2 / 2, 0.1 * error - 0.1**2 / 2)
            box_sum += huber.sum() / 4
            positives += len(chosen)
        right = 1 / (1 + np.exp(np.where(truth == 1, -logits, logits)))
        weights = np.where(truth == 1, 0.25, 0.75)
        focal_sum += (weights * (1 - right) ** 1.5 * -np.log(right)).sum()
    return box_sum / (positives + 1), focal_sum / (positives + 1)
