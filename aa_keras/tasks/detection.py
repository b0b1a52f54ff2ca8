"""Runs that detect objects."""

import keras_cv
import numpy as np
import tensorflow as tf

from aa_keras import data
from aa_keras.models import retinanet  # noqa: F401  registers it for load_model
from aa_keras.tasks import detector_signatures
from aa_keras.tasks.task import Task, draw_labels


class Detection(Task):
    """Boxes, classes and scores of objects. KerasCV decodes the network's logits."""

    kind = "detection"
    preprocessing_class = data.detection_batches.DetectionPreprocessing
    final_activation = None

    def build_training(self, epochs):
        return self._build_batches(epochs, **self.experiment.data.detection_options)

    def build_validation(self):
        """Returns images without augmentation, boxes in the network's pixels."""
        return self._build_batches(
            range(1),
            augmentation="none",
            batch_size=self.experiment.data.batch_size,
            split="validation",
        )

    def build_evaluation(self, split):
        return data.detection_batches.build_evaluation(
            self.source,
            self.preprocessing,
            split=split,
            batch_size=self.experiment.data.batch_size,
        )

    def compile_arguments(self):
        """Returns the losses: focal, and smooth L1 for boxes.

        Reference:
            - Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017; with the
              alpha and gamma of the first TPU RetinaNet.
        """
        return {
            "box_loss": "smoothl1",
            "classification_loss": keras_cv.losses.FocalLoss(
                alpha=0.25, gamma=1.5, from_logits=True, reduction="sum"
            ),
            # KerasCV's targets do not compile with XLA.
            "jit_compile": False,
        }

    def score(self, row):
        return -row["val_loss"] if "val_loss" in row else None

    def measure(self, model, batches):
        """Returns the metrics of `data.coco.METRICS`, and `images`."""
        num_images = []

        @tf.function(reduce_retracing=True)
        def detect(images):
            return model.decode_predictions(model(images, training=False), images)

        def predictions():
            for images, targets in batches:
                num_images.append(len(images))
                yield targets, detect(images)

        metrics = data.coco.measure(predictions(), self.preprocessing.image_size)
        return {**metrics, "images": sum(num_images)}

    def predict(self, model, pictures):
        predictions = []
        for picture in pictures:
            inputs = self.preprocessing(picture)[None].numpy()
            found = {
                key: np.asarray(values[0])
                for key, values in self.expect(model, inputs, [picture]).items()
            }
            kept = found["classes"] >= 0
            order = np.argsort(-found["scores"][kept], kind="stable")
            predictions.append(
                {
                    "class_names": [
                        self.class_names[int(c)] for c in found["classes"][kept][order]
                    ],
                    "scores": found["scores"][kept][order].tolist(),
                    "boxes": found["boxes"][kept][order].tolist(),
                }
            )
        return predictions

    def describe(self, prediction, top):
        objects = [
            f"{label} [{', '.join(f'{side:.1f}' for side in box)}]"
            for box, label in _labels(prediction)
        ]
        return "  ".join(objects[:top]) or "no object"

    def draw(self, picture, prediction):
        return draw_labels(picture, _labels(prediction))

    def build_signatures(self, model, attention_layer=None):
        return detector_signatures.build_signatures(
            model, self.preprocessing, self.class_names, attention_layer
        )

    def expect(self, model, inputs, images):
        return detector_signatures.expect(
            model, inputs, images, self.preprocessing, self.class_names
        )

    def compare(self, answer, expected, on_inputs):
        return detector_signatures.compare(answer, expected, on_inputs)

    def _build_batches(self, epochs, **options):
        return data.detection_batches.build_training(
            self.source,
            self.preprocessing,
            seed=self.experiment.train.seed,
            epochs=epochs,
            **options,
        )


def _labels(prediction):
    keys = ("boxes", "class_names", "scores")
    for box, name, score in zip(*(prediction[key] for key in keys), strict=True):
        yield box, f"{name} {score:.4f}"
