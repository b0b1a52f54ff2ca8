"""RetinaNet: heads, losses, boxes, and saving."""

import keras
import numpy as np
import pytest

from aa_keras.layers import AugmentedConv2D
from aa_keras.models import build
from aa_keras.models.anchors import build_anchors
from tests.models import tpu_retinanet

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
        decoding={"max_candidates": 700},
    )
    model.compile(optimizer=keras.optimizers.SGD(0.01), jit_compile=False)
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
    assert len(build_anchors(SIZE, SIZE)) == 6 * positions


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


LABELS = {
    # The second image has no object, the third two with the same best anchor.
    "boxes": np.float32(
        [
            [[8, 8, 72, 80], [3, 90, 20, 99]],
            [[-1, -1, -1, -1], [-1, -1, -1, -1]],
            [[40, 30, 120, 100], [41, 31, 119, 99]],
        ]
    ),
    "classes": np.float32([[0, 2], [-1, -1], [1, 2]]),
}


@pytest.mark.parametrize("rows", [slice(0, 3), slice(1, 2)])
def test_the_loss_is_that_of_the_code_base(rows, model, images):
    """Of three images, and of the one without an object."""
    labels = {name: value[rows] for name, value in LABELS.items()}
    outputs = model(images[rows])
    box, focal = tpu_retinanet.losses(labels, outputs, build_anchors(SIZE, SIZE))
    assert (box > 0) == (rows.start == 0)
    value = model.compute_loss(images[rows], labels, outputs)
    assert float(value) == pytest.approx(50 * box + focal, rel=1e-4)


def test_boxes_in_another_format(images):
    model = build(
        "retinanet",
        depth=34,
        input_shape=(SIZE, SIZE, 3),
        classes=CLASSES,
        bounding_box_format="rel_xywh",
        decoding={"score_threshold": 0.2, "max_boxes": 3},
    )
    places = build_anchors(SIZE, SIZE)
    chosen = int(np.argmin(np.abs(places - [32, 32, 64, 64]).sum(-1)))
    logits = np.full((1, len(places), CLASSES), -9, "f")
    logits[0, chosen, 1] = 9
    outputs = {"box": np.zeros((1, len(places), 4), "f"), "classification": logits}
    found = model.decode_predictions(outputs, images[:1])
    left, top, right, bottom = places[chosen] / SIZE
    np.testing.assert_allclose(
        found["boxes"][0], [[left, top, right - left, bottom - top], [-1] * 4, [-1] * 4]
    )


def test_saved_and_loaded(model, images, tmp_path):
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert type(loaded) is type(model)
    assert loaded.get_config() == model.get_config()
    assert loaded.decoding.max_candidates == 700
    for name, expected in model(images).items():
        np.testing.assert_allclose(loaded(images)[name], expected, rtol=1e-5, atol=1e-5)


def test_policy_and_frozen_layers_are_saved(tmp_path, images):
    options = {"depth": 34, "input_shape": (SIZE, SIZE, 3), "classes": CLASSES}
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = build("retinanet", **options)
    finally:
        keras.config.set_dtype_policy("float32")
    model.feature_extractor.trainable = False
    model.feature_extractor.get_layer("stage4_block1_conv1").trainable = True
    model.get_layer("pyramid3_conv").trainable = False
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", compile=False)
    assert keras.config.dtype_policy().name == "float32"
    for one in (loaded.get_layer("lateral3_conv"), loaded.feature_extractor.layers[1]):
        assert one.compute_dtype == "bfloat16"
    paths = [[w.path for w in one.trainable_weights] for one in (model, loaded)]
    assert paths[0] == paths[1]
    assert 0 < len(paths[0]) < len(model.weights)
    outputs = loaded(images[:1])
    dtypes = {keras.backend.standardize_dtype(x.dtype) for x in outputs.values()}
    assert dtypes == {"float32"}


def test_weights_of_examples_are_refused(model, images):
    labels = {"boxes": np.zeros((3, 1, 4), "f"), "classes": -np.ones((3, 1), "f")}
    with pytest.raises(ValueError, match="sample_weight: received weights; allowed"):
        model.compute_loss(images, labels, model(images), np.ones(3, "f"))


def test_odd_sizes():
    model = build("retinanet", depth=34, input_shape=(100, 76, 3), classes=2)
    outputs = model(np.ones((1, 100, 76, 3), "float32"))
    sizes = [(13, 10), (7, 5), (4, 3), (2, 2), (1, 1)]
    assert outputs["box"].shape == (1, 6 * sum(h * w for h, w in sizes), 4)
    assert len(build_anchors(100, 76)) == outputs["box"].shape[1]
    image = np.random.default_rng(0).normal(size=(1, 100, 76, 3)).astype("float32")
    for open_size in ((None, None, 3), (None, 76, 3)):
        same = build("retinanet", depth=34, input_shape=open_size, classes=2)
        same.set_weights(model.get_weights())
        for name, expected in model(image).items():
            np.testing.assert_allclose(same(image)[name], expected, atol=1e-5)
