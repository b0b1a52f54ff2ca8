"""Keras layers of attention-augmented networks; importing this registers them."""

from aa_keras.layers.augmented_conv import AugmentedConv2D
from aa_keras.layers.bam import BAM
from aa_keras.layers.cbam import CBAM
from aa_keras.layers.depths import attention_depths
from aa_keras.layers.gather_excite import GatherExcite
from aa_keras.layers.squeeze_excite import SqueezeExcite

__all__ = [
    "AugmentedConv2D",
    "attention_depths",
    "SqueezeExcite",
    "GatherExcite",
    "BAM",
    "CBAM",
]
