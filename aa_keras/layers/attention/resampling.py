"""Linear interpolation as a product with a small matrix.

Such a product keeps the dtype (tf.image.resize always returns float32), has a dense
gradient (a gather has not), and accepts sizes that are known only at run time.
"""

from keras import backend, ops


def wide_float(dtype) -> str:
    """Returns the dtype to compute in: float32, or float64 for float64."""
    return "float64" if backend.standardize_dtype(dtype) == "float64" else "float32"


def interpolation_matrix(coordinates, length):
    """Weights (M, length) that read `length` rows at coordinates (M,) between them."""
    rows = ops.arange(length, dtype=coordinates.dtype)
    return ops.relu(1 - ops.abs(coordinates[:, None] - rows))


def fit_table(table, length, on_larger="raise"):
    """Fits the relative embeddings (2L-1, D) of one axis to another length.

    A shorter axis uses the middle rows of the table, which is exact: the same distances
    have the same rows. For a longer one the table is stretched: distance 0 and the two
    ends keep their rows, others are interpolated linearly.

    Raises:
        ValueError: if `length` is more than L and `on_larger` is "raise", not "resize".
            For a length known only at run time the backend raises its own error.
    """
    num_rows, depth = table.shape
    built = (num_rows + 1) // 2
    known = isinstance(length, int)
    if known and length == built:
        return table
    check_length(table, length, on_larger)
    if on_larger == "raise" or (known and length < built):
        return ops.slice(table, (built - length, 0), (2 * length - 1, depth))
    dtype = wide_float(table.dtype)
    distances = ops.arange(2 * length - 1, dtype=dtype) - ops.cast(length - 1, dtype)
    # One formula for both: at a scale of 1 all weights are 0 or 1, the middle rows.
    ends = ops.cast(ops.maximum(length - 1, 1), dtype)
    scale = ops.minimum(ops.cast(built - 1, dtype) / ends, 1)
    matrix = interpolation_matrix(distances * scale + (built - 1), num_rows)
    table = ops.convert_to_tensor(table)
    return ops.cast(matrix, table.dtype) @ table


def check_length(table, length, on_larger="raise"):
    """Raises the ValueError of `fit_table`; a length of None is not known yet."""
    built = (table.shape[0] + 1) // 2
    if isinstance(length, int) and length > built and on_larger == "raise":
        raise ValueError(
            f"the attended axis has length {length}, its relative embeddings are built "
            f"for at most {built}: give max_size when the layer is made, or "
            "on_larger_input='resize'"
        )


def pool(x, strides, mask=None, windows=None):
    """Averages "same" windows with the given strides.

    Windows are centred where those of a "same" convolution with such a kernel are.
    Border windows average the cells that exist, on every backend: torch repeats the
    border cells where Keras' own "same" padding is uneven.

    Args:
        x: tensor (B, *size, C).
        strides: sequence of ints.
        mask: tensor (B, *size, 1) of zeros, for cells that do not count, and ones.
        windows: sequence of ints. Defaults to `2 * stride - 1` cells.

    Returns:
        Tensor (B, *ceil(size / strides), C). With a mask the pair of it and the share
        of the cells that count, 0 where there are none.
    """
    size = ops.shape(x)[1:-1]
    windows = windows or tuple(2 * stride - 1 for stride in strides)
    padding = [(0, 0), (0, 0)]
    padding[1:1] = [
        _same_padding(length, window, stride)
        for length, window, stride in zip(size, windows, strides, strict=True)
    ]
    inside = ops.pad(ops.ones((1, *size, 1), dtype=x.dtype), padding)

    def mean(x):
        return ops.average_pool(x, windows, strides, data_format="channels_last")

    if mask is None:
        return mean(ops.pad(x, padding)) / mean(inside)
    share = mean(ops.pad(mask, padding))
    x = mean(ops.pad(x * mask, padding))
    return x / ops.where(share > 0, share, 1), share / mean(inside)


def _same_padding(length, window, stride):
    padding = (-(-length // stride) - 1) * stride + window - length
    padding = (max if isinstance(length, int) else ops.maximum)(padding, 0)
    return padding // 2, padding - padding // 2


def undo_halving(x, size, strides):
    """Brings a result of a halved map back to the resolution of the map, linearly.

    Outputs lie where those of a 3-wide "same" convolution with `strides` do, and so do
    the cells of the halved map with stride 2. The result has every `strides`-th cell.
    Beyond the first and the last cell their values repeat.

    From (B, *ceil(ceil(size / 2) / strides), C) to (B, *ceil(size / strides), C).
    """
    dtype = wide_float(x.dtype)
    for axis, (length, stride) in enumerate(zip(size, strides, strict=True), start=1):
        num_cells = ops.shape(x)[axis]
        offset = ops.cast(
            _first_centre(length, stride) - _first_centre(length, 2), dtype
        )
        positions = ops.arange(-(-length // stride), dtype=dtype) * stride + offset
        coordinates = positions / (2 * stride)
        coordinates = ops.clip(coordinates, 0, ops.cast(num_cells - 1, dtype))
        matrix = ops.cast(interpolation_matrix(coordinates, num_cells), x.dtype)
        x = ops.moveaxis(x, axis, 0)
        _, *shape = ops.shape(x)
        x = ops.reshape(matrix @ ops.reshape(x, (num_cells, -1)), (-1, *shape))
        x = ops.moveaxis(x, 0, axis)
    return x


def _first_centre(length, stride):
    """Where the centre of the first 3-wide "same" window lies."""
    before, _ = _same_padding(length, 3, stride)
    return 1 - before
