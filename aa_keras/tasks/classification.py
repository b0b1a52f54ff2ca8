"""Runs that classify images."""

from typing import ClassVar

import keras
import numpy as np

from aa_keras.data import Preprocessing, classification_batches
from aa_keras.tasks import classifier_signatures
from aa_keras.tasks.task import PictureTask, draw_labels


class Classification(PictureTask):
    """One class for each image. The network is trained on logits."""

    preprocessing_class = Preprocessing
    batches: ClassVar = classification_batches
    signatures: ClassVar = classifier_signatures
    final_activation = "softmax"
    fit_measures = True
    unused = ("data.scale_range",)

    @property
    def training_options(self):
        return self.experiment.data.training_options

    def compile_arguments(self):
        label_smoothing = self.experiment.train.label_smoothing
        return _compile_arguments(from_logits=True, label_smoothing=label_smoothing)

    def measure(self, model, batches):
        """Returns `loss`, `accuracy`, `top_5_accuracy` and `images`."""
        arguments = _compile_arguments(from_logits=False)
        model.compile(jit_compile=False, **arguments)
        metrics = model.evaluate(batches, verbose=0, return_dict=True)
        accuracy, _ = arguments["metrics"]
        return {**metrics, "images": int(accuracy.count)}

    def predict(self, model, pictures):
        if not pictures:
            return []
        inputs = np.stack([self.preprocessing(picture) for picture in pictures])
        return self.predict_inputs(model, inputs)

    def predict_inputs(self, model, inputs):
        predictions = []
        for scores in np.asarray(model(inputs, training=False), "float32"):
            order = np.argsort(-scores, kind="stable")
            names = [self.class_names[index] for index in order]
            predictions.append({"class_names": names, "scores": scores[order].tolist()})
        return predictions

    def describe(self, prediction, top):
        pairs = zip(prediction["class_names"], prediction["scores"], strict=True)
        return "  ".join(f"{name} {score:.4f}" for name, score in list(pairs)[:top])

    def draw(self, picture, prediction):
        height, width, _ = picture.shape
        box = (0, 0, width - 1, height - 1)
        return draw_labels(picture, [(box, self.describe(prediction, top=1))])

    def expect(self, model, inputs, images):
        return self.signatures.expect(model, inputs, images, self.class_names)


def _compile_arguments(**options):
    return {
        "loss": keras.losses.CategoricalCrossentropy(**options),
        "metrics": [
            keras.metrics.CategoricalAccuracy(name="accuracy"),
            keras.metrics.TopKCategoricalAccuracy(5, name="top_5_accuracy"),
        ],
    }
