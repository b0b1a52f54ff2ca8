"""Checks of constructor arguments; every error is a single line."""

import keras


def one_of(name, value, allowed):
    """Returns `value`, or raises if it is not among `allowed`."""
    if value not in allowed:
        options = ", ".join(repr(option) for option in allowed)
        raise ValueError(f"{name} must be one of {options}; received {value!r}")
    return value


def positive_int(name, value):
    """Returns `value`, or raises if it is not an integer above 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a positive integer; received {value!r}")
    return value


def int_tuple(name, value, rank):
    """Returns a tuple of `rank` positive ints from an int or a sequence of ints."""
    values = (value,) * rank if isinstance(value, int) else value
    try:
        values = tuple(positive_int(name, item) for item in values)
    except (TypeError, ValueError):
        values = ()
    if len(values) != rank:
        raise ValueError(
            f"{name} must be a positive integer or {rank} of them; received {value!r}"
        )
    return values


def optional_size(name, value, rank):
    """Returns None for None, otherwise `int_tuple`."""
    return None if value is None else int_tuple(name, value, rank)


def head_depth(name, depth, num_heads):
    """Returns `depth`, or raises if `num_heads` does not divide it."""
    positive_int(name, depth)
    if depth % num_heads:
        below = depth // num_heads * num_heads
        above = below + num_heads
        nearest = f"are {below} and {above}" if below else f"is {above}"
        raise ValueError(
            f"{name}={depth} is not divisible by num_heads={num_heads}; "
            f"the nearest {nearest}"
        )
    return depth


def data_format(value):
    """Returns `value`, for None the data format of the Keras configuration."""
    value = value or keras.config.image_data_format()
    return one_of("data_format", value, ("channels_last", "channels_first"))
