"""RetinaNet: anchors, heads, a training step, and saving."""

import keras
import numpy as np
import pytest

from aa_keras.layers import AugmentedConv2D
from aa_keras.models import build

SIZE = 128
CLASSES = 3


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    model = build(
        "retinanet",
        depth=34,
        input_shape=(SIZE, SIZE, 3),
        classes=CLASSES,
        attention={"num_heads": 4},
    )
    model.compile(
        box_loss="smoothl1",
        classification_loss="focal",
        optimizer=keras.optimizers.SGD(0.01),
        jit_compile=False,
    )
    return model


@pytest.fixture(scope="module")
def images():
    images = np.random.default_rng(0).normal(size=(3, SIZE, SIZE, 3))
    return images.astype("float32")


def test_one_prediction_for_each_anchor(model, images):
    outputs = model(images)
    positions = sum((SIZE // 2**level) ** 2 for level in range(3, 8))
    assert outputs["box"].shape == (3, 6 * positions, 4)
    assert outputs["classification"].shape == (3, 6 * positions, CLASSES)
    anchors = model.anchor_generator(image_shape=(SIZE, SIZE, 3))
    assert sum(boxes.shape[0] for boxes in anchors.values()) == 6 * positions
    # Sides of the square anchors: 4 x stride, and that times the square root of 2.
    finest = keras.ops.convert_to_numpy(next(iter(anchors.values())))
    sides = np.sqrt(np.prod(finest[:, 2:] - finest[:, :2], axis=-1))
    assert sides.max() == pytest.approx(32 * 2**0.5, rel=1e-5)


def test_the_untrained_network_sees_few_objects(model, images):
    """The bias of the class head starts at a probability of 0.01."""
    logits = keras.ops.convert_to_numpy(model(images)["classification"])
    assert np.median(1 / (1 + np.exp(-logits))) == pytest.approx(0.01, rel=0.5)


def test_attention_is_in_the_backbone(model):
    found = [
        layer
        for layer in model.feature_extractor.layers
        if isinstance(layer, AugmentedConv2D)
    ]
    assert len(found) == 4 + 6 + 3
    assert {layer.attention.num_heads for layer in found} == {4}


def test_heads_share_convolutions_but_not_normalisation(model):
    names = [layer.name for layer in model.layers]
    assert names.count("class_conv1") == 1
    assert [f"class_level{level}_bn1" in names for level in range(3, 8)] == [True] * 5


def test_fit(model, images):
    labels = {
        "boxes": np.array([[[8, 8, 72, 80.0]], [[40, 30, 120, 100]], [[0, 0, 33, 33]]]),
        "classes": np.array([[0.0], [1.0], [2.0]]),
    }
    history = model.fit(images, labels, batch_size=3, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert history["box_loss"][0] > 0
    assert history["classification_loss"][0] > 0


def test_saved_and_loaded(model, images, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert type(loaded) is type(model)
    for name, expected in model(images).items():
        np.testing.assert_allclose(loaded(images)[name], expected, rtol=1e-5, atol=1e-5)


def test_odd_sizes():
    model = build("retinanet", depth=34, input_shape=(100, 76, 3), classes=2)
    outputs = model(np.ones((1, 100, 76, 3), "float32"))
    sizes = [(13, 10), (7, 5), (4, 3), (2, 2), (1, 1)]
    assert outputs["box"].shape == (1, 6 * sum(h * w for h, w in sizes), 4)
    anchors = model.anchor_generator(image_shape=(100, 76, 3))
    assert sum(len(boxes) for boxes in anchors.values()) == outputs["box"].shape[1]
