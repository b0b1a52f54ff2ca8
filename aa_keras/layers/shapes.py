"""Shapes with the channels last or first, and lengths after strides."""


def channels_last(shape, data_format, rank) -> tuple:
    """Returns a shape `(batch, *size, channels)` from one in `data_format`.

    Raises:
        ValueError: if `shape` has not `rank` axes besides batch and channels.
    """
    if len(shape) != rank + 2:
        raise ValueError(
            f"input_shape must have rank {rank + 2}; received {tuple(shape)}"
        )
    batch, *rest = shape
    if data_format == "channels_first":
        rest = [*rest[1:], rest[0]]
    return (batch, *rest)


def known_channels(shape, data_format="channels_last") -> int:
    """Returns the channels of an input's shape, on which a layer's weights depend.

    Raises:
        ValueError: if they are not known.
    """
    channels = shape[1 if data_format == "channels_first" else -1]
    if channels is None:
        raise ValueError(
            f"input_shape must have a known number of channels; received {tuple(shape)}"
        )
    return channels


def in_format(shape, data_format) -> tuple:
    """The inverse of `channels_last`."""
    batch, *size, channels = shape
    if data_format == "channels_first":
        return (batch, channels, *size)
    return (batch, *size, channels)


def ceil_divide(size, steps) -> tuple:
    """Divides lengths and rounds up; an unknown length stays None."""
    return tuple(
        None if n is None else -(-n // step)
        for n, step in zip(size, steps, strict=True)
    )
