"""Runs that classify every cell of a map."""

import math
from typing import ClassVar

import keras

from aa_keras.data import MapPreprocessing, dense_batches
from aa_keras.tasks.task import Task


class DenseClassification(Task):
    """One class for each cell of drawn maps. The network is trained on logits."""

    preprocessing_class = MapPreprocessing
    batches: ClassVar = dense_batches
    final_activation = "softmax"
    fit_measures = True
    unused = (
        "data.augmentation",
        "data.central_crop",
        "data.cutmix",
        "data.mixup",
        "data.rand_augment",
        "data.scale_range",
        "train.attention_maps_every",
        "train.label_smoothing",
    )

    @property
    def training_options(self):
        return {"batch_size": self.experiment.data.batch_size}

    def compile_arguments(self):
        return _compile_arguments(from_logits=True)

    def measure(self, model, batches):
        """Returns `loss`, `accuracy` over `cells`, `cells` and `images`."""
        arguments = _compile_arguments(from_logits=False)
        model.compile(jit_compile=False, **arguments)
        metrics = model.evaluate(batches, verbose=0, return_dict=True)
        shapes = [tuple(labels.shape) for _, labels in batches]
        cells = sum(math.prod(shape) for shape in shapes)
        return {**metrics, "cells": cells, "images": sum(n for n, *_ in shapes)}


def _compile_arguments(**options):
    return {
        "loss": keras.losses.SparseCategoricalCrossentropy(**options),
        "metrics": [keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    }
