"""Checks of constructor arguments; every error is a single line."""

import numbers

import keras


def one_of(name, value, allowed):
    """Returns `value`, or raises if it is not among `allowed`."""
    if value not in allowed:
        options = ", ".join(repr(option) for option in allowed)
        raise ValueError(f"{name} must be one of {options}; received {value!r}")
    return value


def positive_int(name, value):
    """Returns `value` as an int, or raises if it is not an integer above 0.

    NumPy's integers count as integers.
    """
    is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not is_integer or value < 1:
        raise ValueError(f"{name} must be a positive integer; received {value!r}")
    return int(value)


def int_tuple(name, value, rank):
    """Returns a tuple of `rank` positive ints from an int or a sequence of ints."""
    values = (value,) * rank if isinstance(value, numbers.Integral) else value
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


def head_depth(name, depth, num_heads, parts=1):
    """Returns `depth`, or raises if it is not divisible by `parts * num_heads`."""
    depth = positive_int(name, depth)
    divisor = parts * num_heads
    if depth % divisor:
        below = depth // divisor * divisor
        above = below + divisor
        nearest = f"are {below} and {above}" if below else f"is {above}"
        heads = "num_heads" if parts == 1 else f"{parts} * num_heads"
        raise ValueError(
            f"{name}={depth} is not divisible by {heads}={divisor}; "
            f"the nearest {nearest}"
        )
    return depth


def lower(value):
    """Returns a string in lower case, as Keras does, and all else as it is."""
    return value.lower() if isinstance(value, str) else value


def data_format(value):
    """Returns `value`, for None the data format of the Keras configuration."""
    value = lower(value) or keras.config.image_data_format()
    return one_of("data_format", value, ("channels_last", "channels_first"))
