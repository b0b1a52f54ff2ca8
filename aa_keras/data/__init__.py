"""Images and labels as `tf.data`, and the preprocessing that export shares.

The functions here are those of classification; `data.detection_batches` has functions
of the same names for boxes, and `data.coco` measures a detector's predictions.
"""

from aa_keras.data import coco, detection_batches
from aa_keras.data.classification_batches import build_evaluation, build_training
from aa_keras.data.preprocessing import (
    DetectionPreprocessing,
    MapPreprocessing,
    Preprocessing,
)
from aa_keras.data.source import Source
from aa_keras.data.sources import open_source, register

__all__ = [
    "DetectionPreprocessing",
    "MapPreprocessing",
    "Preprocessing",
    "Source",
    "build_evaluation",
    "build_training",
    "coco",
    "detection_batches",
    "open_source",
    "register",
]
