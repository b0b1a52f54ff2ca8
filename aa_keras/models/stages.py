"""Stages of blocks, and the convolution in each block that attention may augment."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras

from aa_keras.layers import AugmentedConv2D, attention_depths
from aa_keras.layers.attention_gamma import AttentionGamma
from aa_keras.layers.shapes import ceil_divide
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

    @property
    def block_strides(self) -> tuple[int, ...]:
        """The strides of each block."""
        return (self.strides, *(1,) * (self.blocks - 1))


def paper_attention(
    stages: Sequence[Stage], *, min_key_depth_per_head: int = 20, **options: Any
) -> Attention:
    """Returns the attention that a family's `None`s select, placed by its stages."""
    kinds = [(n, stage.attention) for n, stage in enumerate(stages, start=1)]
    options.setdefault(
        "downsampled_stages", tuple(n for n, kind in kinds if kind == "half")
    )
    return Attention(
        min_key_depth_per_head=min_key_depth_per_head,
        stages=tuple(n for n, kind in kinds if kind),
        **options,
    )


@dataclasses.dataclass(frozen=True)
class BlockConvolution:
    """Makes the convolution of one block that attention may augment.

    Args:
        attention: resolved `Attention`, or `None` for a plain convolution.
        replacement: a callable like `keras.layers.Conv2D` in place of both, or `None`.
        stage: int, the number of the block's stage.
        size: (height, width) of the input, the largest one where sizes are open.
        max_size: (height, width) of the largest input, or `None`.
        kernel_initializer: the initializer of the kernels.
    """

    attention: Attention | None
    replacement: Callable[..., Any] | None
    stage: int
    size: tuple[int | None, int | None]
    max_size: tuple[int, int] | None
    kernel_initializer: Any

    def __call__(self, filters: int, kernel_size: int, strides: int = 1, *, name: str):
        """Returns the layer: "same" padding, and no bias as a batch norm follows."""
        common = {
            "strides": strides,
            "padding": "same",
            "use_bias": False,
            "kernel_initializer": self.kernel_initializer,
            "name": name,
        }
        if self.attention is None:
            make = self.replacement or keras.layers.Conv2D
            return make(filters, kernel_size, **common)
        key_depth, value_depth = self._depths(filters)
        scale, initializer = self.attention.relative_scale, None
        if scale != 1:
            deviation = scale * (key_depth // self.attention.num_heads) ** -0.5
            initializer = keras.initializers.RandomNormal(stddev=deviation)
        attended = ceil_divide(self.size, (strides, strides))
        return AugmentedConv2D(
            filters,
            kernel_size,
            num_heads=self.attention.num_heads,
            key_depth=key_depth,
            value_depth=value_depth,
            position_encoding=self.attention.position_encoding,
            attention_downsampling=1 + self.attention.downsamples(self.stage, attended),
            strided=self.attention.strided,
            relative_initializer=initializer,
            max_size=self.max_size,
            **common,
        )

    def gamma(self, filters: int):
        """Returns the initial gamma of the batch normalisation that follows."""
        if self.attention is None or self.attention.normalization_scale == 1:
            return "ones"
        _, value_depth = self._depths(filters)
        return AttentionGamma(value_depth, self.attention.normalization_scale)

    def _depths(self, filters):
        attention: Any = self.attention
        defaults = attention_depths(
            filters,
            key_ratio=attention.key_ratio or 1.0,
            value_ratio=attention.value_ratio or 1.0,
            num_heads=attention.num_heads,
            min_key_depth_per_head=attention.min_key_depth_per_head,
        )
        given = attention.key_depth, attention.value_depth
        return tuple(g or d for g, d in zip(given, defaults, strict=True))


def build_stages(
    x: keras.KerasTensor,
    stages: Sequence[Stage],
    block: Callable[..., keras.KerasTensor],
    *,
    attention: Attention | None,
    convolution: Callable[..., Any] | None,
    kernel_initializer: Any,
    max_size: tuple[int, int] | None,
    stage_gate: Callable[..., keras.KerasTensor] = lambda x, name: x,
) -> keras.KerasTensor:
    """Applies the blocks of all stages to `x`.

    Args:
        x: the output of the stem.
        stages: the rows of the stage table.
        block: function `(x, stage, strides, convolution, name)` that applies one
            block, where `convolution` is a `BlockConvolution`.
        attention: resolved `Attention` or `None`.
        convolution: callable like `keras.layers.Conv2D` in place of each block's
            `BlockConvolution`, or `None`.
        kernel_initializer: the initializer of the convolutions handed to `block`.
        max_size: (height, width) of the largest `x`, or `None`.
        stage_gate: function `(x, name)`, applied behind each stage but the last.
    """
    if attention is not None and convolution is not None:
        raise ValueError(
            f"convolution: received {convolution!r} beside attention; allowed: one of "
            "them"
        )
    size = max_size
    for number, stage in enumerate(stages, start=1):
        for index, strides in enumerate(stage.block_strides, start=1):
            augmented = attention and attention.augments(number, index, strides)
            made = BlockConvolution(
                attention if augmented else None,
                convolution,
                stage=number,
                size=size or x.shape[1:3],
                max_size=size,
                kernel_initializer=kernel_initializer,
            )
            x = block(x, stage, strides, made, name=f"stage{number}_block{index}")
            size = strided_size(size, strides)
        if number < len(stages):
            x = stage_gate(x, f"stage{number}")
    return x


def strided_size(size: tuple[int, int] | None, strides: int) -> tuple[int, int] | None:
    """Returns the size of a "same" convolution's output, `None` for `None`."""
    return None if size is None else ceil_divide(size, (strides, strides))
