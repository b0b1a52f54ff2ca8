"""Networks of stand-alone attention: what stands where, and one that trains.

`tests/test_tables.py` has their counts.
"""

import keras
import numpy as np
import pytest

from aa_keras import models
from aa_keras.layers import AttentionStem2D, StandAloneAttention2D


@pytest.mark.parametrize("options", [{}, {"stem": "attention"}])
def test_no_convolution_is_larger_than_a_pixel_but_the_stem(options):
    model = models.build(
        "resnet", depth=26, stand_alone=options, input_shape=(64, 64, 3), classes=5
    )
    spatial = {
        layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel_size != (1, 1)
    }
    assert spatial == (set() if options else {"stem_conv"})
    attentions = [x for x in model.layers if isinstance(x, StandAloneAttention2D)]
    assert [x.strides for x in attentions] == [
        *((1, 1),),
        *((2, 2), (1, 1)),
        *((2, 2), (1, 1), (1, 1), (1, 1)),
        *((2, 2),),
    ]
    assert all(x.kernel_size == (7, 7) and x.num_heads == 8 for x in attentions)
    stems = [x for x in model.layers if isinstance(x, AttentionStem2D)]
    assert len(stems) == bool(options)


def test_a_small_one_trains_and_is_saved(tmp_path):
    model = models.build(
        "resnet",
        depth=8,
        stand_alone={"kernel_size": 5},
        input_shape=(16, 16, 3),
        classes=3,
    )
    assert model.name == "sa_resnet_8"
    spatial = [
        layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel_size != (1, 1)
    ]
    assert spatial == ["stem_conv"]
    x = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype("float32")
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    y = np.array([0, 1, 2, 0])
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.7 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 50, "attention": {}}, "stand_alone without attention"),
        ({"depth": 50, "channel_attention": "se"}, "stand_alone without attention"),
        ({"depth": 20, "stand_alone": {"stem": "attention"}}, "stand_alone.stem"),
        ({"depth": 20, "stand_alone": {"num_heads": 5}}, "not divisible by"),
        ({"depth": 20, "convolution": keras.layers.Conv2D}, "convolution: received"),
    ],
)
def test_mistakes_are_told_in_a_line(options, message):
    with pytest.raises(ValueError, match=message) as caught:
        models.build("resnet", **{"stand_alone": {}, **options})
    assert "\n" not in str(caught.value)
