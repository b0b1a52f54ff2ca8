"""Where a network has attention, and the convolution that follows from it."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from aa_keras.layers import AugmentedConv2D, attention_depths
from aa_keras.layers.self_attention import POSITION_ENCODINGS


@dataclasses.dataclass(frozen=True)
class Attention:
    """The attention of a network: how much, and in which of its stages.

    Args:
        key_ratio: the paper's kappa, share of `filters` that become `key_depth`.
        value_ratio: the paper's upsilon, share of `filters` that attention makes.
        num_heads: number of heads, N_h.
        min_key_depth_per_head: lower bound of the key depth of one head.
        stages: the stages (counted from 1, as in the family's stage table) whose
            blocks have an augmented convolution.
        downsampled_stages: those of `stages` where attention runs on a map of half
            the height and width.
        position_encoding: `"relative"`, `"none"`, `"sine"` or `"coordconv"`.

    Raises:
        ValueError: if a value is out of its range.

    Reference:
        - Bello et al., "Attention Augmented Convolutional Networks", section 3.3 and
          section 4.
    """

    key_ratio: float
    value_ratio: float
    num_heads: int
    min_key_depth_per_head: int
    stages: tuple[int, ...]
    downsampled_stages: tuple[int, ...] = ()
    position_encoding: str = "relative"

    def __post_init__(self):
        for name in ("stages", "downsampled_stages"):
            stages = getattr(self, name)
            if (
                not isinstance(stages, Sequence)
                or isinstance(stages, str)
                or not all(_is_integer(stage) for stage in stages)
            ):
                raise ValueError(
                    f"attention.{name} must be a list of stage numbers; "
                    f"received {stages!r}"
                )
            # A list from YAML and a tuple from Python are the same placement.
            object.__setattr__(self, name, tuple(stages))
        for name in ("key_ratio", "value_ratio"):
            ratio = getattr(self, name)
            if not _is_number(ratio) or not 0 < ratio <= 1:
                raise ValueError(
                    f"attention.{name} must be above 0 and at most 1; "
                    f"received {ratio!r}"
                )
        for name, least in (("num_heads", 1), ("min_key_depth_per_head", 0)):
            number = getattr(self, name)
            if not _is_integer(number) or number < least:
                raise ValueError(
                    f"attention.{name} must be an integer of at least {least}; "
                    f"received {number!r}"
                )
        if self.position_encoding not in POSITION_ENCODINGS:
            raise ValueError(
                f"attention.position_encoding must be one of {POSITION_ENCODINGS}; "
                f"received {self.position_encoding!r}"
            )
        if not set(self.downsampled_stages) <= set(self.stages):
            raise ValueError(
                "attention.downsampled_stages must be among attention.stages "
                f"{list(self.stages)}; received {list(self.downsampled_stages)}"
            )


def resolve_attention(
    attention: Attention | Mapping[str, Any] | None,
    defaults: Attention,
    num_stages: int,
) -> Attention | None:
    """Returns `attention` with what it leaves out taken from the family's defaults.

    Args:
        attention: `None` (the plain network), a mapping of the fields of `Attention`
            (an empty one is the paper's placement), or an `Attention`.
        defaults: the paper's setting for the family.
        num_stages: number of stages of the network.

    Raises:
        ValueError: for an unknown key, a value out of range, a stage that the
            network does not have.
    """
    if attention is None:
        return None
    if not isinstance(attention, Attention):
        if not isinstance(attention, Mapping):
            raise ValueError(
                "attention must be None, a mapping or an Attention; "
                f"received {attention!r}"
            )
        allowed = [field.name for field in dataclasses.fields(Attention)]
        unknown = sorted(set(attention) - set(allowed), key=str)
        if unknown:
            raise ValueError(
                f"attention has the unknown key {unknown[0]!r}. Allowed: {allowed}"
            )
        attention = dict(attention)
        if "stages" in attention and "downsampled_stages" not in attention:
            # The default is a fact of the stage's resolution, so it holds for
            # whichever of those stages are still augmented.
            attention["downsampled_stages"] = tuple(
                stage
                for stage in defaults.downsampled_stages
                if stage in tuple(attention["stages"])
            )
        attention = dataclasses.replace(defaults, **attention)
    out_of_range = [s for s in attention.stages if not 1 <= s <= num_stages]
    if out_of_range:
        raise ValueError(
            f"attention.stages must be between 1 and {num_stages}; "
            f"received {list(attention.stages)}"
        )
    return attention


def convolution(filters, kernel_size, strides=1, *, name, max_size=None, **kwargs):
    """Returns the plain convolution: "same" padding, no bias (a batch norm follows).

    It ignores `max_size`, so that it and `augmented_convolution` are called alike.
    """
    del max_size
    return keras.layers.Conv2D(
        filters,
        kernel_size,
        strides=strides,
        padding="same",
        use_bias=False,
        name=name,
        **kwargs,
    )


def stage_convolution(attention: Attention | None, stage: int) -> Callable[..., Any]:
    """Returns what makes the convolution of `stage` that attention may augment.

    Args:
        attention: the placement, or `None`.
        stage: the number of the stage, counted from 1.

    Returns:
        `convolution`, or a function with the same signature that returns an
        `AugmentedConv2D`.
    """
    if attention is None or stage not in attention.stages:
        return convolution

    def augmented_convolution(filters, kernel_size, strides=1, *, name, **kwargs):
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
            strides=strides,
            use_bias=False,
            num_heads=attention.num_heads,
            key_depth=key_depth,
            value_depth=value_depth,
            position_encoding=attention.position_encoding,
            attention_downsampling=2 if stage in attention.downsampled_stages else 1,
            name=name,
            **kwargs,
        )

    return augmented_convolution


def strided_size(size: tuple[int, int] | None, strides: int):
    """Returns the size of a "same" convolution's output, `None` for `None`."""
    return None if size is None else tuple(math.ceil(side / strides) for side in size)


def _is_integer(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
