"""The attention mechanisms that the paper compares with, placed in a network.

Squeeze-and-Excitation, Gather-Excite and CBAM weigh the output of every residual
branch before it is added; BAM stands behind every stage but the last.
"""

from collections.abc import Callable

from aa_keras.layers import BAM, CBAM, GatherExcite, SqueezeExcite

BLOCK_LAYERS = {"se": SqueezeExcite, "ge": GatherExcite, "cbam": CBAM}
STAGE_LAYERS = {"bam": BAM}
NAMES = (None, *BLOCK_LAYERS, *STAGE_LAYERS)


def block_gate(channel_attention: str | None) -> Callable:
    """Returns the function (x, name) that ends a residual branch.

    Raises:
        ValueError: if `channel_attention` is not among `NAMES`.
    """
    return _gate(channel_attention, BLOCK_LAYERS)


def stage_gate(channel_attention: str | None) -> Callable:
    """Returns the function (x, name) that stands behind every stage but the last.

    Raises:
        ValueError: if `channel_attention` is not among `NAMES`.
    """
    return _gate(channel_attention, STAGE_LAYERS)


def _gate(channel_attention, gates):
    if channel_attention not in NAMES:
        raise ValueError(
            f"channel_attention must be one of {NAMES}; received {channel_attention!r}"
        )
    if channel_attention not in gates:
        return lambda x, name: x
    layer = gates[channel_attention]
    return lambda x, name: layer(name=f"{name}_{channel_attention}")(x)
