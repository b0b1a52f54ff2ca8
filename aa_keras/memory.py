"""How much memory a training step needs, from the shapes of a network.

The step keeps the output of each layer for the gradient, and of an attention layer its
queries, keys and values; the listing keeps the softmax of all logits as well. While the
gradient of one layer is computed, it needs more for a moment: the constants below are
fitted to the peaks of AA-ResNet-20 and -50 and AA-Wide-ResNet-16-4 with TensorFlow on a
CPU without XLA, and give them within a fifth. All is float32.
"""

import math
from typing import NamedTuple

import keras

from aa_keras.counting import layer_calls, projected
from aa_keras.layers.augmented_conv import AugmentedConv
from aa_keras.layers.self_attention import SelfAttention

FLOAT = 4  # bytes
IMPLEMENTATIONS = ("listing", "fused")
OTHER_BYTES = 120 * 2**20  # what the other layers of a step need for a moment
LISTING_COPIES = 4  # of the logits
FUSED_BYTES = 65 * 2**20  # at most, of blocks in flight
FUSED_COPIES = 4.5  # of the relative terms, a logit for each row and column of keys


class LayerMemory(NamedTuple):
    """What one attention layer needs in a training step.

    Args:
        name: str, the name of the layer.
        size: tuple (height, width) of the map that it attends over.
        kept: dictionary from `"listing"` and `"fused"` to the bytes that are kept from
            the forward pass to the gradient.
        peak: dictionary alike of the bytes that are needed for a moment.
    """

    name: str
    size: tuple[int, int]
    kept: dict[str, int]
    peak: dict[str, int]


class StepMemory(NamedTuple):
    """What a training step needs.

    Args:
        layers: list of `LayerMemory`, one for each call of an attention layer.
        weights: int, the bytes of the weights, their gradients and their momentum.
        activations: int, the bytes of the outputs of all other layers.
        total: dictionary from `"listing"` and `"fused"` to the bytes of the step with
            all attention layers so.
    """

    layers: list[LayerMemory]
    weights: int
    activations: int
    total: dict[str, int]


def estimate_step(model, batch_size, input_shape=None) -> StepMemory:
    """Estimates the memory of a training step.

    Args:
        model: built `keras.Model`, functional or Sequential.
        batch_size: int, the images of a step.
        input_shape: tuple (height, width, channels). Defaults to the model's.
    """
    shape = model.inputs[0].shape[1:] if input_shape is None else input_shape
    layers: list[LayerMemory] = []
    activations = _collect(model, (batch_size, *shape), layers)
    weights = 3 * FLOAT * sum(math.prod(weight.shape) for weight in model.weights)
    total = {
        kind: OTHER_BYTES
        + weights
        + activations
        + sum(layer.kept[kind] for layer in layers)
        + max((layer.peak[kind] for layer in layers), default=0)
        for kind in IMPLEMENTATIONS
    }
    return StepMemory(layers, weights, activations, total)


def _collect(model, input_shape, found):
    """Appends the attention layers of a model; returns the bytes of its activations."""
    total = 0
    for layer, inputs, outputs in layer_calls(model, input_shape):
        if isinstance(layer, (keras.Sequential, keras.Function)):
            total += _collect(layer, inputs, found)
            continue
        total += FLOAT * math.prod(outputs)
        if isinstance(layer, AugmentedConv):
            attended = layer.attention_shape(inputs)
            found.append(_layer_memory(layer.name, layer.attention, attended))
        elif isinstance(layer, SelfAttention):
            found.append(_layer_memory(layer.name, layer, inputs))
    return total


def _layer_memory(name, layer, input_shape):
    size = projected(layer, input_shape).size
    positions, maps = math.prod(size), input_shape[0] * layer.num_heads
    logits = FLOAT * maps * positions**2
    terms = FLOAT * maps * positions * sum(size)
    channels = 2 * (layer.key_depth + layer.value_depth)
    projections = FLOAT * input_shape[0] * positions * channels
    kept = {"listing": projections + logits, "fused": projections}
    peak = {
        "listing": LISTING_COPIES * logits,
        "fused": min(FUSED_BYTES, LISTING_COPIES * logits) + int(FUSED_COPIES * terms),
    }
    return LayerMemory(name, size, kept, peak)
