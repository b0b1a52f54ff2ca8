"""Average pooling to half resolution."""

from keras import ops


def halve(x):
    """3x3 average pooling, stride 2, "same" padding (three wide in one dimension).

    Border windows average the pixels that exist, on every backend: torch repeats the
    border pixels where Keras' own "same" padding is uneven.

    Args:
        x: tensor (B, *size, C).

    Returns:
        Tensor (B, *ceil(size / 2), C).
    """
    size = ops.shape(x)[1:-1]
    padding = ((0, 0), *((length % 2, 1) for length in size), (0, 0))
    inside = ops.pad(ops.ones((1, *size, 1), dtype=x.dtype), padding)
    total = ops.average_pool(ops.pad(x, padding), 3, 2, data_format="channels_last")
    return total / ops.average_pool(inside, 3, 2, data_format="channels_last")
