"""Keras layers of attention-augmented networks; importing this registers them."""

from aa_keras.layers.added_attention import AddedAttentionConv2D
from aa_keras.layers.attention_gamma import AttentionGamma  # noqa: F401  registers it
from aa_keras.layers.attention_stem import AttentionStem2D
from aa_keras.layers.augmented_conv import AugmentedConv1D, AugmentedConv2D
from aa_keras.layers.compared.bam import BAM
from aa_keras.layers.compared.cbam import CBAM
from aa_keras.layers.compared.gala import GALA
from aa_keras.layers.compared.gather_excite import GatherExcite
from aa_keras.layers.compared.squeeze_excite import SqueezeExcite
from aa_keras.layers.depths import attention_depths, default_depths
from aa_keras.layers.inspection import (
    attention_layers,
    record_projections,
    use_implementation,
    use_platform,
)
from aa_keras.layers.self_attention import Projections, SelfAttention1D, SelfAttention2D
from aa_keras.layers.stand_alone import StandAloneAttention2D
from aa_keras.layers.transfer import copy_weights, resize_relative_embeddings

__all__ = [
    "AugmentedConv2D",
    "AugmentedConv1D",
    "AddedAttentionConv2D",
    "SelfAttention2D",
    "SelfAttention1D",
    "StandAloneAttention2D",
    "AttentionStem2D",
    "attention_depths",
    "default_depths",
    "attention_layers",
    "Projections",
    "record_projections",
    "use_implementation",
    "use_platform",
    "resize_relative_embeddings",
    "copy_weights",
    "SqueezeExcite",
    "GatherExcite",
    "BAM",
    "CBAM",
    "GALA",
]
