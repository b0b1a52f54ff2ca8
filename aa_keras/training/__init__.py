"""Runs: an experiment in, a work directory out, on `model.fit`."""

from aa_keras.training.evaluation import evaluate, load_run
from aa_keras.training.interruption import Interrupted
from aa_keras.training.run import build_model, train

__all__ = ["Interrupted", "build_model", "evaluate", "load_run", "train"]
