"""Attention over windows, placed on the map, against the equations of its paper."""

import keras
import numpy as np
import pytest

from aa_keras import visualization
from aa_keras.layers import AugmentedConv2D, StandAloneAttention2D
from tests.layers.comparison import draw
from tests.layers.test_stand_alone import by_reference
from tests.visualization.readings import PIXELS, SIZE, images, layer_scores, sharpen

OPTIONS = {
    "default": {},
    "even window": {"kernel_size": (4, 2)},
    "window larger than the map": {"kernel_size": 27},
    "strides": {"strides": 2},
    "channels first": {"data_format": "channels_first"},
    "half precision": {"dtype": "mixed_float16"},
}


def network(**options):
    first = options.get("data_format") == "channels_first"
    inputs = keras.Input((*SIZE, 5))
    arguments = {"num_heads": 3, "kernel_size": 5, "name": "windows"} | options
    layer = StandAloneAttention2D(12, **arguments)
    x = keras.layers.Permute((3, 1, 2))(inputs) if first else inputs
    model = keras.Model(inputs, layer(x))
    model.set_weights([draw(w.shape, i) for i, w in enumerate(model.get_weights())])
    return model, layer


@pytest.mark.parametrize("case", OPTIONS)
def test_rows_and_columns_of_the_scores(case):
    model, layer = network(**OPTIONS[case])
    x = images()
    entering = np.moveaxis(x, -1, 1) if layer.data_format == "channels_first" else x
    _, expected = by_reference(layer, entering)
    rows, columns = np.transpose(PIXELS)  # the map has the size of the image
    tolerance = {"atol": 0.02 if case == "half precision" else 2e-5}
    scores = visualization.attention_scores(model, x, PIXELS)["windows"]
    np.testing.assert_allclose(scores, expected[:, :, rows, columns], **tolerance)
    assert np.all(scores[expected[:, :, rows, columns] == 0] == 0)
    received = visualization.attention_received(model, x, PIXELS)["windows"]
    expected = np.moveaxis(expected[..., rows, columns], -1, 2)
    np.testing.assert_allclose(received, expected, **tolerance)


def test_fields_are_the_embeddings_of_the_window_and_blank_around_it():
    model, layer = network(kernel_size=(4, 3))
    x = images()
    fields = visualization.relative_fields(model, x, PIXELS)["windows"]
    assert fields.shape == (2, 3, 3, 21, 13)
    kernel = layer.qkv.get_weights()[0][0, 0]
    query = (x[1, 4, 6] @ kernel)[4:8]  # of pixel 1 and head 1
    by_row = layer.relative_rows.numpy() @ query[:2]
    by_column = layer.relative_columns.numpy() @ query[2:]
    expected = np.full((21, 13), np.nan)
    expected[9:13, 5:8] = by_row[:, None] + by_column  # offsets -1 to 2, and -1 to 1
    np.testing.assert_allclose(fields[1, 1, 1], expected, atol=1e-4)
    figure = visualization.draw_relative_fields(fields[1], PIXELS, SIZE)
    limits = figure.axes[0].images[0].get_clim()
    assert limits[1] == pytest.approx(np.nanmax(np.abs(fields[1, :, 0])))


def test_both_mechanisms_in_one_model(tmp_path):
    """The page reads them as well, and sharp heads leave no score outside a window."""
    inputs = keras.Input((*SIZE, 5))
    options = {"num_heads": 2, "key_depth": 6, "value_depth": 4}
    augmented = AugmentedConv2D(8, 3, name="augmented", **options)
    windows = StandAloneAttention2D(8, 3, num_heads=2, name="windows")
    model = keras.Model(inputs, windows(augmented(inputs)))
    for layer in (augmented, windows):
        sharpen(layer)
    x = images()
    scores = visualization.attention_scores(model, x, PIXELS)
    assert list(scores) == ["augmented", "windows"]
    expected = layer_scores(augmented, x, PIXELS)
    np.testing.assert_allclose(scores["augmented"], expected, atol=2e-6)
    _, expected = by_reference(windows, np.asarray(augmented(x)))
    rows, columns = np.transpose(PIXELS)
    np.testing.assert_allclose(
        scores["windows"], expected[:, :, rows, columns], atol=1e-4
    )
    page = tmp_path / "maps.html"
    visualization.write_attention_page(page, model, x, pictures=x[..., :3])
    assert '"name": "windows"' in page.read_text()
