"""From a detector's predictions to the metrics of COCO."""

import contextlib
import io

import numpy as np

# The order of pycocotools' `stats`, under the names of the paper's tables.
METRICS = (
    "mAP",
    "mAP50",
    "mAP75",
    "mAP_small",
    "mAP_medium",
    "mAP_large",
    "recall_1",
    "recall_10",
    "recall_100",
    "recall_small",
    "recall_medium",
    "recall_large",
)
# COCO numbers its 80 categories from 1 to 90 and leaves these out.
UNUSED_CATEGORIES = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)


def measure(batches, image_size):
    """COCO's metrics of predictions, on coordinates of the original images.

    Args:
        batches: Pairs (targets, predictions) for all batches of a split: targets as
            `detection.build_evaluation` gives them, predictions as KerasCV decodes
            them, a dictionary of `boxes` (batch, most, 4), left, top, right, bottom
            in pixels of the network's input, `confidence` and `classes` (batch,
            most); class -1 where there is no box.
        image_size: Side of the network's input in pixels.

    Returns:
        A dictionary of `METRICS`, floats in 0..1. Without any object of a size its
        metrics are -1, as pycocotools has it.

    Raises:
        ValueError: If there is no batch.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images, objects, detections = [], [], []
    for targets, predictions in batches:
        targets = {key: np.asarray(value) for key, value in targets.items()}
        predictions = {key: np.asarray(value) for key, value in predictions.items()}
        for row in range(len(targets["image_id"])):
            image = {key: value[row] for key, value in targets.items()}
            predicted = {
                key: value[row]
                for key, value in predictions.items()
                if key in ("boxes", "confidence", "classes")
            }
            images.append(
                {
                    "id": int(image["image_id"]),
                    "height": int(image["height"]),
                    "width": int(image["width"]),
                }
            )
            objects += _objects(image)
            detections += _detections(image, predicted, image_size)
    if not images:
        raise ValueError("batches: received none; allowed: at least one batch")
    for number, annotation in enumerate(objects, start=1):
        annotation["id"] = number  # 0 would count as no match
    categories = {a["category_id"] for a in objects + detections}
    with contextlib.redirect_stdout(io.StringIO()):  # pycocotools prints tables
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": images,
            "annotations": objects,
            "categories": [{"id": number} for number in sorted(categories)],
        }
        truth.createIndex()
        found = truth.loadRes(detections) if detections else COCO()
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(METRICS, map(float, evaluation.stats), strict=True))


def to_original(boxes, height, width, image_size):
    """Boxes in pixels of the network's input in those of the original image.

    Args:
        boxes: (boxes, 4), left, top, right, bottom.
        height, width: Of the original image.
        image_size: Side of the network's input.
    """
    # The scaled size is in whole pixels, so that the two axes differ a little.
    scale = np.float32(image_size) / np.float32(max(height, width))
    size = np.maximum(np.round(np.float32([width, height]) * scale), 1)
    boxes = boxes * np.tile(np.float32([width, height]) / size, 2)
    return np.clip(boxes, 0, np.tile(np.float32([width, height]), 2))


def category_names(names):
    """The names of COCO's 80 categories at its own numbers less 1, 90 in all."""
    numbers = category_numbers(len(names))
    complete = [f"unused {number}" for number in range(1, max(numbers) + 1)]
    for number, name in zip(numbers, names, strict=True):
        complete[number - 1] = name
    return complete


def category_numbers(num_names):
    """COCO's own numbers of its categories, in their order."""
    numbers = (n for n in range(1, 91) if n not in UNUSED_CATEGORIES)
    return [next(numbers) for _ in range(num_names)]


def _objects(image):
    for box, label, crowd, area in zip(
        *(image[key] for key in ("boxes", "classes", "is_crowd", "area")), strict=True
    ):
        if label >= 0:
            yield {
                "image_id": int(image["image_id"]),
                "category_id": int(label) + 1,
                "bbox": _corner_and_size(box),
                "area": float(area),
                "iscrowd": int(crowd),
            }


def _detections(image, predicted, image_size):
    boxes = to_original(predicted["boxes"], image["height"], image["width"], image_size)
    for box, score, label in zip(
        boxes, predicted["confidence"], predicted["classes"], strict=True
    ):
        if label >= 0:
            yield {
                "image_id": int(image["image_id"]),
                "category_id": int(label) + 1,
                "bbox": _corner_and_size(box),
                "score": float(score),
            }


def _corner_and_size(box):
    left, top, right, bottom = map(float, box)
    return [left, top, right - left, bottom - top]
