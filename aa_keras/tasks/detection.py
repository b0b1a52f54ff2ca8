"""Runs that detect objects."""

from typing import ClassVar

import numpy as np
import tensorflow as tf

from aa_keras.data import DetectionPreprocessing, coco, detection_batches
from aa_keras.models import retinanet  # noqa: F401  registers it for load_model
from aa_keras.models.detection_losses import LOSS_WEIGHTS
from aa_keras.tasks import detector_signatures
from aa_keras.tasks.task import PictureTask, draw_labels


class Detection(PictureTask):
    """Boxes, classes and scores of objects."""

    preprocessing_class = DetectionPreprocessing
    batches: ClassVar = detection_batches
    signatures: ClassVar = detector_signatures
    final_activation = None
    fit_measures = False
    unused = (
        "data.central_crop",
        "data.cutmix",
        "data.mixup",
        "data.rand_augment",
        "train.label_smoothing",
    )

    @property
    def training_options(self):
        return self.experiment.data.detection_options

    def build_validation(self):
        """Returns whole batches without augmentation, boxes in the network's pixels.

        A last batch that is not full is left out. Its images are the same in every
        epoch.
        """
        return self.build_training(range(1), split="validation", augmentation="none")

    def compile_arguments(self):
        """Returns nothing but XLA's absence: a `RetinaNet` has its losses itself."""
        return {"jit_compile": False}

    def score(self, row):
        """Returns the mean average precision, or minus the loss.

        That is the loss without the decay of the weights, which falls as they shrink,
        whatever the network finds.
        """
        if self.experiment.train.measure_every:
            return row.get("val_mAP")
        losses = [f"val_{name}_loss" for name in LOSS_WEIGHTS]
        if not all(name in row for name in losses):
            return None
        weighted = zip(LOSS_WEIGHTS.values(), losses, strict=True)
        return -sum(weight * row[name] for weight, name in weighted)

    def measure(self, model, batches):
        """Returns the metrics of `coco.METRICS`, and `images`."""
        num_images = []

        @tf.function(reduce_retracing=True)
        def detect(images):
            return model.decode_predictions(model(images, training=False), images)

        def predictions():
            for images, targets in batches:
                num_images.append(len(images))
                yield targets, detect(images)

        metrics = coco.measure(predictions(), self.preprocessing)
        return {**metrics, "images": sum(num_images)}

    def predict(self, model, pictures):
        inputs = (self.preprocessing(picture).numpy() for picture in pictures)
        return [
            self._find(model, one, picture, "boxes")
            for one, picture in zip(inputs, pictures, strict=True)
        ]

    def predict_inputs(self, model, inputs):
        return [self._find(model, one, one, "input_boxes") for one in inputs]

    def _find(self, model, inputs, picture, boxes_name):
        found = self.expect(model, inputs[None], [picture])
        scores, classes, boxes = (
            np.asarray(found[key][0]) for key in ("scores", "classes", boxes_name)
        )
        order = np.argsort(-scores, kind="stable")
        order = order[classes[order] >= 0]  # -1 where there is no box
        return {
            "class_names": [self.class_names[int(c)] for c in classes[order]],
            "scores": scores[order].tolist(),
            "boxes": boxes[order].tolist(),
        }

    def describe(self, prediction, top):
        objects = [
            f"{label} [{', '.join(f'{side:.1f}' for side in box)}]"
            for box, label in _labels(prediction)
        ]
        return "  ".join(objects[:top]) or "no object"

    def draw(self, picture, prediction):
        return draw_labels(picture, _labels(prediction))

    def expect(self, model, inputs, images):
        return self.signatures.expect(
            model, inputs, images, self.preprocessing, self.class_names
        )


def _labels(prediction):
    keys = ("boxes", "class_names", "scores")
    for box, name, score in zip(*(prediction[key] for key in keys), strict=True):
        yield box, f"{name} {score:.4f}"
