"""Keras layers of attention-augmented networks; importing this registers them."""

from aa_keras.layers.augmented_conv import AugmentedConv1D, AugmentedConv2D
from aa_keras.layers.bam import BAM
from aa_keras.layers.cbam import CBAM
from aa_keras.layers.depths import attention_depths
from aa_keras.layers.gather_excite import GatherExcite
from aa_keras.layers.resize import copy_weights, resize_relative_embeddings
from aa_keras.layers.self_attention import SelfAttention2D
from aa_keras.layers.squeeze_excite import SqueezeExcite

__all__ = [
    "AugmentedConv2D",
    "AugmentedConv1D",
    "SelfAttention2D",
    "attention_depths",
    "resize_relative_embeddings",
    "copy_weights",
    "SqueezeExcite",
    "GatherExcite",
    "BAM",
    "CBAM",
]
