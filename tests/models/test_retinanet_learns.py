"""A detector learns a handful of real images: anchors, losses and decoding together."""

import keras
import numpy as np
import pytest

from aa_keras import data
from aa_keras.data import coco, detection_batches
from aa_keras.models import build

SIZE, STEPS = 256, 24


@pytest.mark.slow
def test_it_finds_the_objects_that_it_was_trained_on(real_data_dir):
    """The eight images of COCO's sample whose smallest object is the largest."""
    source = data.open_source("coco/2017", real_data_dir)
    preprocessing = data.DetectionPreprocessing(SIZE, source.mean, source.std)
    batches = detection_batches.build_evaluation(
        source, preprocessing, split="train", batch_size=1
    )
    examples = [batch for batch in batches.as_numpy_iterator() if sides(batch).size]
    examples = sorted(examples, key=lambda batch: -sides(batch).min())[:8]
    images = np.concatenate([image for image, _ in examples])
    most = max(len(sides(batch)) for batch in examples)
    boxes = np.full((8, most, 4), -1, "f")
    classes = np.full((8, most), -1, "f")
    for row, (_, targets) in enumerate(examples):
        scale = SIZE / max(targets["height"][0], targets["width"][0])
        count = len(targets["boxes"][0])
        boxes[row, :count] = targets["boxes"][0] * scale
        classes[row, :count] = targets["classes"][0]

    keras.utils.set_random_seed(0)
    model = build("retinanet", depth=34, input_shape=(SIZE, SIZE, 3), classes=90)
    # Every step has the same images, so that their statistics need no long average.
    for layer in [*model.layers, *model.feature_extractor.layers]:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.5
    rate = keras.optimizers.schedules.CosineDecay(
        2e-4, STEPS - 10, warmup_target=2e-3, warmup_steps=10
    )
    model.compile(keras.optimizers.Adam(rate), jit_compile=False)
    for _ in range(STEPS):
        model.train_on_batch(images, {"boxes": boxes, "classes": classes})
    found = model.decode_predictions(model(images, training=False), images)
    predictions = [
        (targets, {name: value[row : row + 1] for name, value in found.items()})
        for row, (_, targets) in enumerate(examples)
    ]
    assert coco.measure(predictions, preprocessing)["mAP"] > 0.9


def sides(batch):
    """The shorter sides of the objects of an image, in pixels of the input."""
    _, targets = batch
    boxes = targets["boxes"][0][targets["classes"][0] >= 0]
    scale = SIZE / max(targets["height"][0], targets["width"][0])
    return scale * (boxes[:, 2:] - boxes[:, :2]).min(axis=1)
