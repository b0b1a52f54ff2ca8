"""COCO's categories, and its metrics of a detector's predictions."""

import contextlib
import io

import numpy as np

# The order of pycocotools' `stats`, under the names of the paper's tables.
METRICS = (
    *("mAP", "mAP50", "mAP75", "mAP_small", "mAP_medium", "mAP_large"),
    *("recall_1", "recall_10", "recall_100"),
    *("recall_small", "recall_medium", "recall_large"),
)
# COCO numbers its 80 categories from 1 to 90 and leaves these out.
UNUSED_CATEGORIES = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
_PREDICTED = ("classes", "confidence")


def measure(batches, preprocessing) -> dict[str, float]:
    """Computes COCO's `METRICS` of predictions, -1 for a size without any object.

    Args:
        batches: iterable of pairs (targets, predictions): targets as
            `detection_batches.build_evaluation` returns them, predictions as
            `RetinaNet.decode_predictions` returns them, `boxes` (batch, most, 4) in
            pixels of the network's input, `confidence` and `classes` (batch, most);
            class -1 where there is no box.
        preprocessing: a `DetectionPreprocessing`.
    """
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    images: list[dict] = []
    objects: list[dict] = []
    detections: list[dict] = []
    for targets, predictions in batches:
        sizes = np.stack([targets["height"], targets["width"]], axis=-1)
        boxes = preprocessing.to_original(predictions["boxes"], sizes)
        predictions = {"boxes": boxes, **{k: predictions[k] for k in _PREDICTED}}
        for image, predicted in zip(_rows(targets), _rows(predictions), strict=True):
            images.append({"id": int(image["image_id"])})
            objects += _objects(image)
            detections += _detections(image["image_id"], predicted)
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


def category_names(names) -> list[str]:
    """Places the names of COCO's 80 categories at its own numbers less 1."""
    numbers = category_numbers(len(names))
    complete = [f"unused {number}" for number in range(1, max(numbers) + 1)]
    for number, name in zip(numbers, names, strict=True):
        complete[number - 1] = name
    return complete


def category_numbers(num_names) -> list[int]:
    """Returns COCO's own numbers of its categories, in their order."""
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


def _detections(image_id, predicted):
    for box, label, score in zip(
        *(predicted[key] for key in ("boxes", *_PREDICTED)), strict=True
    ):
        if label >= 0:
            yield {
                "image_id": int(image_id),
                "category_id": int(label) + 1,
                "bbox": _corner_and_size(box),
                "score": float(score),
            }


def _rows(batch):
    """The rows of a dictionary of arrays, each a dictionary."""
    columns = [np.asarray(column) for column in batch.values()]
    return (dict(zip(batch, row, strict=True)) for row in zip(*columns, strict=True))


def _corner_and_size(box):
    left, top, right, bottom = map(float, box)
    return [left, top, right - left, bottom - top]
