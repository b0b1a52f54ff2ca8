"""The anchors of a RetinaNet: where they are, which object each one learns, offsets.

The values are those of the first TPU RetinaNet (models/official/retinanet/anchors.py
of the TPU models), which KerasCV's layers do not support: every object has an anchor,
no anchor is ignored or clipped, and offsets are not scaled. KerasCV computes the
intersection over union and converts the formats of boxes.

Boxes are (left, top, right, bottom) in pixels. N anchors, M objects.
"""

import functools
import math

import keras_cv
import numpy as np
from keras import ops

# The levels of the pyramid: 80 x 80, 40 x 40, 20 x 20, 10 x 10 and 5 x 5 for images of
# 640 x 640.
LEVELS = (3, 4, 5, 6, 7)
SIZE = 4.0  # the side of an anchor, in strides of its level
OCTAVES = (2**0, 2**0.5)
# Factors of width and height. KerasCV's anchors have one number for both, which keeps
# the area; these do not quite.
ASPECTS = ((1.0, 1.0), (1.4, 0.7), (0.7, 1.4))
PER_POSITION = len(OCTAVES) * len(ASPECTS)
MATCH_THRESHOLD = 0.5
BACKGROUND = -1

_centers = functools.partial(
    keras_cv.bounding_box.convert_format, source="xyxy", target="center_xywh"
)
_corners = functools.partial(
    keras_cv.bounding_box.convert_format, source="center_xywh", target="xyxy"
)


@functools.lru_cache
def build_anchors(height: int, width: int) -> np.ndarray:
    """Returns the anchors of an image, float32 (N, 4), in the order of predictions.

    That is from the finest level to the coarsest, row by row, and at each position the
    shapes of the smaller octave first. Anchors may reach over the image's border.
    """
    levels = []
    for stride in (2**level for level in LEVELS):
        y, x = (
            (np.arange(math.ceil(size / stride)) + 0.5) * stride
            for size in (height, width)
        )
        centers = np.stack(np.meshgrid(x, y), axis=-1)[:, :, np.newaxis]
        sides = [np.multiply(SIZE * stride * o, a) for o in OCTAVES for a in ASPECTS]
        half = np.array(sides) / 2
        boxes = np.concatenate([centers - half, centers + half], axis=-1)
        levels.append(boxes.reshape(-1, 4))
    return np.concatenate(levels).astype("float32")


def match(overlaps, there):
    """Returns the object of each anchor, int32 (N,), or `BACKGROUND`.

    An anchor has the object that it overlaps most if that is by 0.5 or more. In
    addition each object has the anchor that it overlaps most; if that is the same
    anchor for several objects, the first of them has it.

    Args:
        overlaps: float tensor (M, N), intersections over union, M at least 1.
        there: bool tensor (M,), which rows are objects.

    Reference:
        - ArgMaxMatcher(0.5, 0.5, force_match_for_each_row=True) of the TPU models,
          models/official/retinanet/object_detection/argmax_matcher.py.
    """
    num_objects, num_anchors = ops.shape(overlaps)
    overlaps = ops.where(there[:, None], overlaps, -1.0)
    near = ops.max(overlaps, axis=0) >= MATCH_THRESHOLD
    matches = ops.where(near, ops.argmax(overlaps, axis=0), BACKGROUND)
    # The first object has the largest rank; rank 0 is no object.
    ranks = ops.where(there, num_objects - ops.arange(num_objects), 0)
    nearest = ops.argmax(overlaps, axis=1)
    forced = ops.segment_max(ranks, nearest, num_segments=num_anchors)
    matches = ops.where(forced > 0, num_objects - forced, matches)
    return ops.cast(matches, "int32")


def assign(boxes, classes, anchors):
    """Returns what each anchor has to predict for one image.

    Args:
        boxes: float tensor (M, 4).
        classes: tensor (M,), -1 where a row is no object.
        anchors: float tensor (N, 4).

    Returns:
        Offsets (N, 4) of the anchor's object, zero where it has none, and classes,
        int32 (N,), `BACKGROUND` where it has none.
    """
    overlaps = keras_cv.bounding_box.compute_iou(boxes, anchors, "xyxy")
    matches = match(overlaps, classes >= 0)
    matched, rows = matches != BACKGROUND, ops.maximum(matches, 0)
    offsets = encode(ops.take(boxes, rows, axis=0), anchors)
    labels = ops.cast(ops.take(classes, rows, axis=0), "int32")
    return (
        ops.where(matched[:, None], offsets, 0.0),
        ops.where(matched, labels, BACKGROUND),
    )


def encode(boxes, anchors):
    """Returns offsets (..., 4): of the center in sides of the anchor, and log sides."""
    boxes, anchors = _centers(boxes), _centers(anchors)
    moved = (boxes[..., :2] - anchors[..., :2]) / anchors[..., 2:]
    return ops.concatenate([moved, ops.log(boxes[..., 2:] / anchors[..., 2:])], axis=-1)


def decode(offsets, anchors):
    """Returns the boxes (..., 4) of offsets; the inverse of `encode`."""
    anchors = _centers(anchors)
    centers = offsets[..., :2] * anchors[..., 2:] + anchors[..., :2]
    sides = ops.exp(offsets[..., 2:]) * anchors[..., 2:]
    return _corners(ops.concatenate([centers, sides], axis=-1))
