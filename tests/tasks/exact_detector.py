"""A network that finds the objects of COCO's sample exactly, for `import:`.

It looks an image up among those of the test split. What follows it is the detector's
own: the decoding, the measuring and the commands.
"""

import keras
import numpy as np
from keras import ops

from aa_keras import data, models
from aa_keras.data import detection_batches
from aa_keras.models import spec
from aa_keras.models.retinanet import RetinaNet
from tests.models import tpu_retinanet

BACKGROUND = -30.0


class Options(spec.RetinaNet):
    depth: int = 34
    score: float
    data_dir: str


class Lookup(keras.layers.Layer):
    """Returns the predictions of the most similar of the known images."""

    def __init__(self, images, predictions, **options):
        super().__init__(**options)
        self.images, self.predictions = images, predictions

    def call(self, inputs):
        differences = ops.abs(inputs[:, None] - self.images)
        nearest = ops.argmin(ops.sum(differences, axis=(2, 3, 4)), axis=1)
        return {k: ops.take(v, nearest, axis=0) for k, v in self.predictions.items()}


@keras.saving.register_keras_serializable(package="tests")
class ExactDetector(RetinaNet):
    def __init__(self, *, input_shape, classes, score, data_dir, name=None, **options):
        inputs = keras.Input(input_shape)
        lookup = Lookup(*exact_predictions(input_shape[0], classes, score, data_dir))
        super(RetinaNet, self).__init__(inputs, lookup(inputs), name=name)
        self.num_classes, self.bounding_box_format = classes, "xyxy"
        self.decoding = spec.RetinaNet(depth=34, classes=classes).decoding
        self.options = {"input_shape": input_shape, "classes": classes}
        self.options |= {"score": score, "data_dir": data_dir}

    def get_config(self):
        return self.options


def exact_predictions(size, classes, score, data_dir):
    """The images of the test split, and offsets and logits that are exact for them."""
    source = data.open_source("coco/2017", data_dir)
    preprocessing = data.DetectionPreprocessing(size, source.mean, source.std)
    batches = detection_batches.build_evaluation(
        source, preprocessing, split="test", batch_size=1
    )
    places = tpu_retinanet.anchors(size)
    images, offsets, logits = [], [], []
    for image, targets in batches.as_numpy_iterator():
        objects = targets["boxes"][0]
        sides = np.array([targets["width"][0], targets["height"][0]])
        factors = np.maximum(np.round(sides * size / sides.max()), 1) / sides
        offset = np.zeros_like(places)
        logit = np.full((len(places), classes), BACKGROUND)
        count = int((targets["classes"][0] >= 0).sum())
        rows = np.arange(count)
        boxes = objects[:count] * np.tile(factors, 2)
        offset[rows] = tpu_retinanet.offsets(boxes, places[rows])
        logit[rows, targets["classes"][0, :count]] = np.log(score / (1 - score))
        images.append(image[0])
        offsets.append(offset)
        logits.append(logit)
    predictions = {"box": offsets, "classification": logits}
    return np.stack(images), {k: np.float32(v) for k, v in predictions.items()}


def build(classifier_activation=None, name=None, depth=None, **options):
    kept = ("input_shape", "classes", "score", "data_dir")
    return ExactDetector(name=name, **{key: options[key] for key in kept})


models.register("exact_detector", build, options=Options)
