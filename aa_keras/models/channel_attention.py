"""The attention mechanisms that the paper compares with, placed in a network."""

from collections.abc import Callable

from aa_keras.layers import BAM, CBAM, GALA, GatherExcite, SqueezeExcite

# Applied to the output of each residual branch before it is added.
BLOCK_LAYERS = {"se": SqueezeExcite, "ge": GatherExcite, "cbam": CBAM, "gala": GALA}
# Applied behind each stage but the last.
STAGE_LAYERS = {"bam": BAM}


def gate(channel_attention, layers) -> Callable:
    """Returns the function (x, name) that applies the layer, if it is in `layers`."""
    if channel_attention not in layers:
        return lambda x, name: x
    layer = layers[channel_attention]
    return lambda x, name: layer(name=f"{name}_{channel_attention}")(x)
