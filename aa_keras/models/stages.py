"""Stages of blocks, and the convolution in each block that attention may augment."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import keras

from aa_keras.layers import AugmentedConv2D, attention_depths
from aa_keras.models.parts import convolution
from aa_keras.models.spec import Attention


@dataclasses.dataclass(frozen=True)
class Stage:
    """One row of a stage table; `strides` are those of the first of its `blocks`.

    `attention` is the paper's placement: `None`, `"full"`, or `"half"` for attention on
    a map of half the height and width.
    """

    filters: int
    strides: int
    attention: Literal["full", "half"] | None
    blocks: int = 1


def paper_attention(
    stages: Sequence[Stage], *, min_key_depth_per_head: int = 20, **options: Any
) -> Attention:
    """Returns the attention that a family's `None`s select, placed by its stages."""
    kinds = [(n, stage.attention) for n, stage in enumerate(stages, start=1)]
    return Attention(
        min_key_depth_per_head=min_key_depth_per_head,
        stages=tuple(n for n, kind in kinds if kind),
        downsampled_stages=tuple(n for n, kind in kinds if kind == "half"),
        **options,
    )


def build_stages(
    x: keras.KerasTensor,
    stages: Sequence[Stage],
    block: Callable[..., keras.KerasTensor],
    *,
    attention: Attention | None,
    kernel_initializer: Any,
    max_size: tuple[int, int] | None,
    stage_gate: Callable[..., keras.KerasTensor] = lambda x, name: x,
) -> keras.KerasTensor:
    """Applies the blocks of all stages to `x`.

    Args:
        x: the output of the stem.
        stages: the rows of the stage table.
        block: function `(x, stage, strides, convolution, name)` that applies one
            block. `convolution(filters, kernel_size, strides, name=)` returns the
            layer that attention may augment.
        attention: resolved `Attention` or `None`.
        kernel_initializer: the initializer of the convolutions handed to `block`.
        max_size: (height, width) of the largest `x`, or `None`.
        stage_gate: function `(x, name)`, applied behind each stage but the last.
    """
    size = max_size
    for number, stage in enumerate(stages, start=1):
        make = augmentable_convolution(attention, number)
        for index in range(stage.blocks):
            strides = stage.strides if index == 0 else 1
            x = block(
                x,
                stage,
                strides,
                partial(make, max_size=size, kernel_initializer=kernel_initializer),
                name=f"stage{number}_block{index + 1}",
            )
            size = strided_size(size, strides)
        if number < len(stages):
            x = stage_gate(x, f"stage{number}")
    return x


def augmentable_convolution(attention, stage) -> Callable:
    """Returns the function that makes a convolution of `stage`, augmented or plain."""
    if attention is None or stage not in attention.stages:
        return lambda *args, max_size, **kwargs: convolution(*args, **kwargs)

    def augmented_convolution(filters, kernel_size, strides=1, **kwargs):
        key_depth, value_depth = attention_depths(
            filters,
            key_ratio=attention.key_ratio,
            value_ratio=attention.value_ratio,
            num_heads=attention.num_heads,
            min_key_depth_per_head=attention.min_key_depth_per_head,
        )
        return AugmentedConv2D(
            filters,
            kernel_size,
            strides,
            use_bias=False,
            num_heads=attention.num_heads,
            key_depth=key_depth,
            value_depth=value_depth,
            position_encoding=attention.position_encoding,
            attention_downsampling=2 if stage in attention.downsampled_stages else 1,
            **kwargs,
        )

    return augmented_convolution


def strided_size(size: tuple[int, int] | None, strides: int) -> tuple[int, int] | None:
    """Returns the size of a "same" convolution's output, `None` for `None`."""
    if size is None:
        return None
    height, width = size
    return math.ceil(height / strides), math.ceil(width / strides)
