"""Batch normalisation and its statistics, in one process and over replicas."""

import keras

from aa_keras import keras_internals


def batch_normalizations(model) -> list[keras.layers.BatchNormalization]:
    return [
        layer
        for layer in keras_internals.sublayers(model, recursive=True)
        if isinstance(layer, keras.layers.BatchNormalization)
    ]


def statistics(layers) -> list[keras.Variable]:
    """Returns the moving means and variances of layers."""
    return [v for layer in layers for v in (layer.moving_mean, layer.moving_variance)]


def synchronize(model) -> None:
    """Makes batch normalisation use the batch of all replicas, as one process does.

    Otherwise each replica normalises with its own part of the batch.
    """
    for layer in batch_normalizations(model):
        layer.synchronized = True
