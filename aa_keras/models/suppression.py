"""Non-maximum suppression for each class: from predictions to the boxes of an image.

KerasCV's `NonMaxSuppression` lets a box suppress those of other classes. This one is
written in `keras.ops` alone, so that it runs wherever the network does, also in an
export. KerasCV computes the intersection over union.

Shape letters: B batch, N anchors, C classes, K candidates.
"""

import keras_cv
from keras import ops

NO_OBJECT = -1


def suppress(
    boxes, logits, *, score_threshold, iou_threshold, max_boxes, max_candidates
) -> dict:
    """Selects the boxes of objects, those of an image in descending order of score.

    A box is dropped if a box of the same class with a larger score overlaps it.

    Args:
        boxes: float tensor (B, N, 4), left, top, right, bottom.
        logits: float tensor (B, N, C).
        score_threshold: float, the score that a box must exceed.
        iou_threshold: float, the intersection over union that drops a box.
        max_boxes: int, the most boxes of an image.
        max_candidates: int, the pairs of an anchor and a class with the largest scores
            that are looked at.

    Returns:
        A dictionary of `boxes` (B, max_boxes, 4), `confidence` and `classes` (B,
        max_boxes), all -1 where there is no box, and `num_detections` (B,).
    """
    num_anchors, num_classes = logits.shape[1:]
    pairs = ops.reshape(logits, (-1, num_anchors * num_classes))
    logits, pairs = ops.top_k(pairs, min(max_candidates, num_anchors * num_classes))
    classes = pairs % num_classes
    boxes = ops.take_along_axis(boxes, (pairs // num_classes)[..., None], axis=1)
    scores = ops.sigmoid(logits)
    scores = ops.where(scores > score_threshold, scores, NO_OBJECT)

    def keep_best(step, open_scores, kept, kept_scores):
        best = ops.argmax(open_scores, axis=1, keepdims=True)
        score = ops.take_along_axis(open_scores, best, axis=1)
        box = ops.take_along_axis(boxes, best[..., None], axis=1)
        overlaps = keras_cv.bounding_box.compute_iou(box, boxes, "xyxy")[:, 0]
        same_class = classes == ops.take_along_axis(classes, best, axis=1)
        done = (ops.arange(scores.shape[1]) == best) | (
            same_class & (overlaps > iou_threshold)
        )
        now = ops.arange(max_boxes) == step
        return (
            step + 1,
            ops.where(done, NO_OBJECT, open_scores),
            ops.where(now, best, kept),
            ops.where(now, score, kept_scores),
        )

    kept = ops.repeat(ops.zeros_like(pairs[:, :1]), max_boxes, axis=1)
    *_, kept, scores = ops.while_loop(
        lambda step, open_scores, *_: ops.any(open_scores > score_threshold),
        keep_best,
        (0, scores, kept, ops.cast(kept, scores.dtype) + NO_OBJECT),
        maximum_iterations=max_boxes,
    )
    there = scores > score_threshold
    classes = ops.take_along_axis(classes, kept, axis=1)
    boxes = ops.take_along_axis(boxes, kept[..., None], axis=1)
    return {
        "boxes": ops.where(there[..., None], boxes, NO_OBJECT),
        "confidence": scores,
        "classes": ops.where(there, classes, NO_OBJECT),
        "num_detections": ops.sum(ops.cast(there, "int32"), axis=1),
    }
