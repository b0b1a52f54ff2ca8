"""How many heads there are, and how many channels queries, keys and values get."""

from typing import NamedTuple

from aa_keras.layers import validation

# The paper's networks augment layers of this width and more. In narrower ones its floor
# of 20 key channels for each of 8 heads would cost more than the convolution itself.
NARROWEST_OF_THE_PAPER = 128


class Depths(NamedTuple):
    """The heads of an attention layer, and its channels over all heads."""

    num_heads: int
    key_depth: int
    value_depth: int


def default_depths(filters, num_heads=None) -> Depths:
    """Returns the depths that an augmented convolution defaults to.

    From 128 filters on that is the paper's choice, `attention_depths(filters)` with 8
    heads. A narrower layer has one head for each 32 filters, and at least one; half as
    many key channels as filters, and a quarter as many value channels. It then has
    about as many parameters as the convolution that it replaces.

    Args:
        filters: int, the output channels of the whole layer.
        num_heads: int, the heads where they are given. Defaults to `None`.

    Returns:
        A named tuple `(num_heads, key_depth, value_depth)`.

    Raises:
        ValueError: if an argument is not a positive integer, or there are more heads
            than filters.

    Example:

    >>> default_depths(64)
    Depths(num_heads=2, key_depth=32, value_depth=16)
    """
    validation.positive_int("filters", filters)
    if filters >= NARROWEST_OF_THE_PAPER:
        num_heads = 8 if num_heads is None else num_heads
        return Depths(num_heads, *attention_depths(filters, num_heads=num_heads))
    num_heads = max(filters // 32, 1) if num_heads is None else num_heads
    depths = attention_depths(
        filters,
        key_ratio=1 / 2,
        value_ratio=1 / 4,
        num_heads=num_heads,
        min_key_depth_per_head=0,
    )
    return Depths(num_heads, *depths)


def attention_depths(
    filters,
    key_ratio=0.2,
    value_ratio=0.1,
    num_heads=8,
    min_key_depth_per_head=20,
) -> tuple[int, int]:
    """Returns the paper's `(key_depth, value_depth)` for a layer of `filters`.

    `default_depths` says what a layer takes by itself, which differs below 128 filters.
    Both are totals over all heads, rounded down to multiples of `num_heads`, at least
    one channel for each head.

    Args:
        filters: int, the output channels of the whole layer (the paper's F_out).
        key_ratio: float, key depth over filters (the paper's kappa). Defaults to `0.2`.
        value_ratio: float, value depth over filters (upsilon). Defaults to `0.1`.
        num_heads: int, the attention heads (N_h). Defaults to `8`.
        min_key_depth_per_head: int, lower bound for the key depth of one head; 0
            switches it off. Defaults to `20`, as in the paper's ResNets.

    Raises:
        ValueError: if an argument is out of range or `filters` has too few channels.

    Example:

    >>> attention_depths(128)
    (160, 8)
    """
    validation.positive_int("filters", filters)
    validation.positive_int("num_heads", num_heads)
    if min_key_depth_per_head < 0:
        raise ValueError(
            "min_key_depth_per_head must be 0 or more; received "
            f"{min_key_depth_per_head!r}"
        )
    if key_ratio <= 0:
        raise ValueError(f"key_ratio must be positive; received {key_ratio!r}")
    if not 0 < value_ratio <= 1:
        raise ValueError(f"value_ratio must be in (0, 1]; received {value_ratio!r}")
    if num_heads > filters:
        raise ValueError(
            f"num_heads={num_heads} does not fit in filters={filters}: every head "
            "needs at least one output channel"
        )

    def per_head(ratio):
        # The tolerance keeps 0.29 * 100 from becoming 28.
        return max(int(filters * ratio / num_heads + 1e-9), 1)

    key_depth = max(per_head(key_ratio), min_key_depth_per_head) * num_heads
    return key_depth, per_head(value_ratio) * num_heads
