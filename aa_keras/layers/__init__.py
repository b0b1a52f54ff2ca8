"""Keras layers of attention-augmented networks; importing this registers them."""

from aa_keras.layers.augmented_conv import AugmentedConv2D
from aa_keras.layers.depths import attention_depths

__all__ = [
    "AugmentedConv2D",
    "attention_depths",
]
