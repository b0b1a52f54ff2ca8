"""Images and labels as `tf.data`, and the preprocessing that export shares."""

from aa_keras.data.pipeline import build_evaluation, build_training
from aa_keras.data.preprocessing import Preprocessing
from aa_keras.data.sources import Source, open_source

__all__ = [
    "Preprocessing",
    "Source",
    "build_evaluation",
    "build_training",
    "open_source",
]
