"""Where the attention of a network goes: its options completed and checked."""

from collections.abc import Sequence
from typing import Any, TypeVar

from aa_keras.models.spec import Attention, AugmentableNetwork

NetworkT = TypeVar("NetworkT", bound=AugmentableNetwork)


def resolve_attention(
    options: NetworkT, defaults: Attention, stages: Sequence[Any]
) -> NetworkT:
    """Returns `options` with every `None` of the attention replaced.

    Args:
        options: a network's options.
        defaults: `Attention`, the family's values.
        stages: the rows of the network's stage table.

    Raises:
        ValueError: if the attention does not fit the stages, or no block would have
            any.
    """
    if options.attention is None:
        return options
    given = options.attention.model_dump(exclude_none=True)
    for part in ("key", "value"):
        if f"{part}_depth" in given:
            given[f"{part}_ratio"] = None
    attention: Any = defaults.model_copy(update=given)
    chosen, downsampled = attention.stages, attention.downsampled_stages
    if any(stage > len(stages) for stage in chosen):
        raise ValueError(
            f"attention.stages: received {list(chosen)}; allowed: 1 to {len(stages)}"
        )
    by_stage = downsampled != "large"
    if by_stage and "downsampled_stages" not in given:
        # The default depends on a stage's resolution, so it holds for each stage.
        downsampled = tuple(stage for stage in downsampled if stage in chosen)
    if by_stage and not set(downsampled) <= set(chosen):
        raise ValueError(
            f"attention.downsampled_stages: received {list(downsampled)}; allowed: "
            f"those of attention.stages, {list(chosen)}"
        )
    attention = attention.model_copy(update={"downsampled_stages": downsampled})
    _check_blocks(attention, stages)
    return options.model_copy(update={"attention": attention})


def _check_blocks(attention, stages):
    if not isinstance(attention.blocks, str):
        for stage, blocks in attention.blocks.items():
            if stage not in attention.stages:
                raise ValueError(
                    f"attention.blocks: received stage {stage}; allowed: those of "
                    f"attention.stages, {list(attention.stages)}"
                )
            last = len(stages[stage - 1].block_strides)
            if any(block > last for block in blocks):
                raise ValueError(
                    f"attention.blocks.{stage}: received {list(blocks)}; allowed: 1 "
                    f"to {last}"
                )
    augmented = [
        (stage, strides)
        for stage, row in enumerate(stages, start=1)
        for block, strides in enumerate(row.block_strides, start=1)
        if attention.augments(stage, block, strides)
    ]
    if not augmented:
        raise ValueError(
            f"attention: received stages {list(attention.stages)} and blocks "
            f"{attention.blocks!r}, which leave no block with attention; allowed: at "
            "least one, or attention: null"
        )
    by_stage = attention.downsampled_stages != "large"
    pooled_twice = [
        stage
        for stage, strides in augmented
        if by_stage and strides > 1 and stage in attention.downsampled_stages
    ]
    if attention.strided == "pool" and pooled_twice:
        raise ValueError(
            f"attention.strided: received 'pool' with downsampled_stages "
            f"{pooled_twice}; allowed: 'sample' where attention runs at half resolution"
        )
