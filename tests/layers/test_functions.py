"""The pure functions below the layers, against literals and equations."""

import numpy as np
import pytest
from keras import ops

from aa_keras.layers import AugmentedConv2D, attention_depths, default_depths
from aa_keras.layers.attention.fused import relative_windows
from aa_keras.layers.attention.listing import combine_heads, split_heads
from aa_keras.layers.attention.relative_logits import rel_to_abs, relative_logits
from aa_keras.layers.attention.resampling import fit_table, pool, undo_halving
from tests import reference
from tests.layers.comparison import draw


def test_rel_to_abs_is_the_drawn_example():
    c, d, e, g, h, i, k, m, n = range(1, 10)
    rows = [[90, 91, c, d, e], [92, g, h, i, 93], [k, m, n, 94, 95]]
    result = rel_to_abs(np.array([[rows]], "float32"))
    np.testing.assert_array_equal(result[0, 0], [[c, d, e], [g, h, i], [k, m, n]])


def test_relative_windows_hold_key_minus_query():
    table = np.arange(9, dtype="float32")[:, None]
    windows = ops.convert_to_numpy(relative_windows(table, 5))[..., 0]
    query, key = np.mgrid[:5, :5]
    np.testing.assert_array_equal(windows, key - query + 4)


def test_relative_logits_sum_both_axes():
    q, heights, widths = draw((2, 3, 15, 4)), draw((5, 4), 1), draw((9, 4), 2)
    logits = ops.convert_to_numpy(relative_logits(q, (3, 5), (heights, widths)))
    for i, (row, column) in enumerate(np.ndindex(3, 5)):
        for j, (key_row, key_column) in enumerate(np.ndindex(3, 5)):
            embedding = heights[key_row - row + 2] + widths[key_column - column + 4]
            np.testing.assert_allclose(
                logits[:, :, i, j], q[:, :, i] @ embedding, atol=1e-5
            )


def test_heads_are_split_by_channels_and_not_by_pixels():
    x = draw((2, 3, 5, 8))
    heads = split_heads(x, 4)
    np.testing.assert_array_equal(heads[1, 2, 7], x[1, 1, 2, 4:6])
    np.testing.assert_array_equal(combine_heads(heads, (3, 5)), x)


def test_fit_table():
    table = np.arange(7, dtype="float32")[:, None]
    np.testing.assert_array_equal(fit_table(table, 2)[:, 0], [2, 3, 4])
    np.testing.assert_array_equal(fit_table(table, 4), table)
    larger = fit_table(table, 7, "resize")[:, 0]
    np.testing.assert_allclose(larger, np.linspace(0, 6, 13), atol=1e-6)
    # A length known only at run time goes another way to the same rows.
    for length in (1, 2, 4, 7):
        unknown = fit_table(table, ops.convert_to_tensor(length), "resize")
        np.testing.assert_allclose(unknown, fit_table(table, length, "resize"))


@pytest.mark.parametrize("size", [(12, 9), (7, 10)])
def test_pooled_strides_lie_where_a_strided_convolution_does(size):
    """The mean of a window of positions is its centre: that of a 3x3 convolution."""
    rows, columns = np.meshgrid(*map(np.arange, size), indexing="ij")
    x = np.stack([rows, columns], axis=-1).astype("float32")[None]
    pooled = ops.convert_to_numpy(pool(x, (2, 2)))[0]
    kernel = np.zeros((3, 3, 2, 2), "float32")
    kernel[1, 1] = np.eye(2)  # reads the cell at its centre
    centres = ops.conv(x, kernel, 2, "same", data_format="channels_last")[0]
    inner = (slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(pooled[inner], np.asarray(centres)[inner], atol=1e-5)
    sampled = x[0, ::2, ::2][inner]
    assert np.abs(np.asarray(centres)[inner] - sampled).max() == 1  # off on even maps


@pytest.mark.parametrize("strides", [(1, 1), (2, 2), (2, 3)])
@pytest.mark.parametrize("size", [(12, 9), (7, 10), (1, 2)])
def test_upsampling_undoes_the_pooling(size, strides):
    """Numbers that grow evenly with the position arrive where they came from."""
    rows, columns = np.meshgrid(*map(np.arange, size), indexing="ij")
    x = np.stack([rows, columns], axis=-1).astype("float32")[None]
    x = np.concatenate([x, draw((1, *size, 2))], axis=-1)
    sampled = pool(x, (2, 2))[:, :: strides[0], :: strides[1]]
    outputs = ops.convert_to_numpy(undo_halving(sampled, size, strides))
    expected = reference.upsample(ops.convert_to_numpy(sampled), size, strides)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    # In the interior; at the border windows are cut and values repeat.
    for axis, (length, stride) in enumerate(zip(size, strides, strict=True)):
        values = np.moveaxis(outputs[0, ..., axis], axis, 0)
        for index, value in enumerate(values):
            centre = reference.window_centre(index, length, stride)
            if 2 * stride <= centre < length - 2 * stride - 1:
                np.testing.assert_allclose(value, centre, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "depths"),
    [
        ({"filters": 128}, (160, 8)),  # ResNet-50, stage 3: the floor of 20 a head
        ({"filters": 512}, (160, 48)),
        ({"filters": 160}, (160, 16)),  # Wide-ResNet-28-10
        ({"filters": 640}, (160, 64)),
        ({"filters": 128, "key_ratio": 0.25, "value_ratio": 0.25}, (160, 32)),
        ({"filters": 1024, "key_ratio": 0.25, "value_ratio": 0.25}, (256, 256)),
        (
            {
                "filters": 240,
                "key_ratio": 0.1,
                "value_ratio": 0.05,
                "num_heads": 4,
                "min_key_depth_per_head": 0,
            },
            (24, 12),  # MnasNet
        ),
        ({"filters": 16, "value_ratio": 0.01}, (160, 8)),  # one channel a head
        ({"filters": 100, "value_ratio": 0.29, "num_heads": 1}, (20, 29)),
        ({"filters": 64, "key_ratio": 1.0, "value_ratio": 1.0}, (160, 64)),
    ],
)
def test_attention_depths(arguments, depths):
    assert attention_depths(**arguments) == depths


@pytest.mark.parametrize(
    ("filters", "num_heads", "depths"),
    [
        (512, None, (8, 160, 48)),
        (128, None, (8, 160, 8)),
        (128, 4, (4, 80, 12)),
        (127, None, (3, 63, 30)),
        (96, None, (3, 48, 24)),
        (64, None, (2, 32, 16)),
        (64, 8, (8, 32, 16)),
        (31, None, (1, 15, 7)),
        (8, None, (1, 4, 2)),
        (2, None, (1, 1, 1)),
    ],
)
def test_default_depths(filters, num_heads, depths):
    assert default_depths(filters, num_heads) == depths
    layer = AugmentedConv2D(filters, 3, num_heads=num_heads)
    attention = layer.attention
    made = (attention.num_heads, attention.key_depth, attention.value_depth)
    assert made == depths


@pytest.mark.parametrize("filters", [16, 24, 32, 48, 64, 96, 127, 128, 256])
def test_a_layer_costs_about_as_much_as_the_convolution(filters):
    layer = AugmentedConv2D(filters, 3)
    layer.build((None, 8, 8, filters))
    convolution = 9 * filters**2 + filters
    assert 0.85 < layer.count_params() / convolution < 1.25


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("filters", 0),
        ("num_heads", 0),
        ("num_heads", 129),
        ("key_ratio", 0),
        ("value_ratio", 1.5),
        ("value_ratio", 0),
        ("min_key_depth_per_head", -1),
    ],
)
def test_attention_depths_name_what_is_wrong(name, value):
    with pytest.raises(ValueError, match=name):
        attention_depths(**({"filters": 128} | {name: value}))
