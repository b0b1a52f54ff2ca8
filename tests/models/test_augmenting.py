"""Attention inside networks that exist: other libraries' and nested ones."""

import keras
import numpy as np
import pytest
from keras import layers

import aa_keras
from aa_keras import augment
from aa_keras.layers import AddedAttentionConv2D, AugmentedConv2D, attention_layers
from tests.layers.comparison import draw

KINDS = {"replace": AugmentedConv2D, "add": AddedAttentionConv2D}
# Placements in convolutions of all input channels, on maps of several positions.
FAMILIES = {
    "ResNet50": (64, "last_stage", 3),
    "ResNet50V2": (64, "last_stage", 4),
    "VGG16": (32, 8, 9),
    "DenseNet121": (64, "last_stage", 16),
    "InceptionV3": (80, 3, 28),
    "Xception": (72, "block1_*", 2),
    "EfficientNetV2B0": (32, "block[23]*_expand_conv", 4),
    "ConvNeXtTiny": (32, "*downsampling_conv_[01]", 2),
}


def moved(model):
    """Gives every weight another value; variances stay positive."""
    for seed, weight in enumerate(model.weights):
        if weight.dtype == "float32" and "kernel" not in weight.name:
            change = draw(weight.shape, seed) * 0.1
            weight.assign_add(np.abs(change) if "variance" in weight.name else change)
    return model


def find(model, path):
    for name in path.split("/"):
        model = model.get_layer(name)
    return model


def application(name):
    size, where, count = FAMILIES[name]
    build = getattr(keras.applications, name)
    shape = (size, size, 3)
    model = build(
        weights=None, input_shape=shape, classes=7, classifier_activation=None
    )
    return moved(model), where, count, draw((2, *shape)) * 100


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_added_attention_leaves_the_logits_of_a_family(name):
    model, where, count, images = application(name)
    logits = model(images)
    augmented = augment(model, where, mode="add")
    np.testing.assert_allclose(augmented(images), logits, rtol=0, atol=1e-6)
    scales = [w for w in augmented.weights if w.name == "scale"]
    assert len(scales) == len(attention_layers(augmented)) == count
    assert describe(augmented) == describe(model)
    for scale in scales:
        scale.assign(np.ones(scale.shape))
    assert np.abs(augmented(images) - logits).max() > 1e-4


def describe(model):
    """What stays: names, frozen flags, types and sizes, of the nested models too."""
    return [
        (layer.name, layer.trainable, layer.dtype_policy.name, layer.output.shape)
        if not isinstance(layer, keras.Model)
        else (layer.name, layer.trainable, describe(layer))
        for layer in model.layers
    ]


def nested():
    """Shared, nested, frozen, strided and dilated convolutions, and an operation."""
    stem = keras.Sequential(
        [
            keras.Input((13, 11, 3), name="stem_input"),
            layers.Conv2D(8, 3, padding="same", strides=2, name="convolution"),
            layers.BatchNormalization(name="normalization"),
            layers.ReLU(name="relu"),
        ],
        name="stem",
    )
    inputs = keras.Input((7, 6, 8), name="body_input")
    x = layers.Conv2D(12, (2, 3), activation="tanh", name="valid")(inputs)
    x = layers.BatchNormalization(name="normalization")(x)
    x = layers.Conv2D(8, 3, dilation_rate=2, padding="same", name="dilated")(x)
    body = keras.Model(inputs, x, name="body")
    image = keras.Input((13, 11, 3), name="image")
    other = keras.Input((13, 11, 3), name="other")
    features = [body(stem(x)) for x in (image, layers.Lambda(lambda x: -x)(other))]
    shared = layers.Conv2D(4, 3, use_bias=False, name="shared", padding="same")
    x = keras.ops.concatenate(
        [shared(features[0]), shared(features[1]), *features], axis=-1
    )
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Conv2D(10, 3, groups=2, padding="same", name="grouped")(x)
    outputs = layers.Dense(5, name="dense")(layers.GlobalAveragePooling2D()(x))
    body.trainable = False
    body.get_layer("dilated").trainable = True
    return moved(keras.Model({"image": image, "other": other}, outputs, name="whole"))


CHOSEN = ["stem/convolution", "body/valid", "body/dilated", "shared"]


@pytest.mark.parametrize("mode", KINDS)
def test_what_stays_of_a_nested_model(mode, tmp_path):
    model = nested()
    x = {"image": draw((2, 13, 11, 3)), "other": draw((2, 13, 11, 3), 1)}
    augmented = augment(
        model,
        lambda layer: not hasattr(layer, "depth_multiplier") and layer.groups == 1,
        mode,
        value_ratio=0.5,
        num_heads=2,
        key_ratio=0.5,
    )
    assert describe(augmented) == describe(model)
    assert augmented.name == "whole"
    assert augmented.input["other"].name == model.input["other"].name == "other"
    for path in CHOSEN:
        old, new = find(model, path), find(augmented, path)
        assert type(new) is KINDS[mode]
        config, expected = new.get_config(), old.get_config()
        for key in config.keys() & expected.keys() - {"kernel_initializer"}:
            assert config[key] == expected[key], key
        kept = new.convolution.filters
        assert kept == (old.filters if mode == "add" else old.filters // 2)
        for ours, theirs in zip(new.convolution.weights, old.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs[..., :kept])
    changed = ["stem/normalization", "body/normalization"]
    for path in changed:
        old, new = find(model, path), find(augmented, path)
        kept = old.gamma.shape[0] // (1 if mode == "add" else 2)
        starts = (1, 0, 0, 1)  # gamma, beta, mean, variance
        for ours, theirs, start in zip(new.weights, old.weights, starts, strict=True):
            np.testing.assert_array_equal(ours[:kept], theirs[:kept])
            np.testing.assert_array_equal(ours[kept:], start)
    for path in ("depthwise", "grouped", "dense"):
        pairs = zip(
            find(model, path).weights, find(augmented, path).weights, strict=True
        )
        for old, new in pairs:
            np.testing.assert_array_equal(old, new)
    if mode == "add":
        np.testing.assert_allclose(augmented(x), model(x), rtol=0, atol=1e-6)
    augmented.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras", safe_mode=False)
    np.testing.assert_array_equal(loaded(x), augmented(x))


def test_the_first_step_moves_the_scale_and_the_second_the_attention():
    model = keras.Sequential(
        [
            keras.Input((9, 9, 3)),
            layers.Conv2D(8, 3, activation="relu", name="convolution"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(4),
        ]
    )
    model.compile(keras.optimizers.SGD(1.0), "mse")
    augmented = augment(model, mode="add")
    layer = augmented.get_layer("convolution")
    assert augmented.compiled
    x, y = draw((8, 9, 9, 3)), draw((8, 4), 1)

    def moves():
        before = [np.copy(w) for w in layer.weights]
        augmented.train_on_batch(x, y)
        after = {
            w.path: np.abs(w - b).max()
            for w, b in zip(layer.weights, before, strict=True)
        }
        scale = after.pop(layer.scale.path)
        attention = [after[w.path] for w in layer.attention.weights]
        return scale, attention

    scale, attention = moves()
    assert scale > 0
    assert max(attention) == 0
    scale, attention = moves()
    assert scale > 0
    assert min(attention) > 0


def test_an_adapted_normalization_is_that_of_the_model():
    x = draw((8, 16, 16, 4)) * 3 + 2
    model = keras.Sequential(
        [keras.Input((16, 16, 4)), layers.Normalization(), layers.Conv2D(8, 3)]
    )
    model.layers[0].adapt(x)
    np.testing.assert_array_equal(augment(model, mode="add")(x), model(x))


@pytest.fixture
def float16():
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


@pytest.mark.parametrize("scaled", [True, False])
def test_the_copy_is_compiled_as_the_model(scaled, float16):
    ops = keras.ops  # the loss is a closure
    convolution = layers.Conv2D(8, 3, padding="same", name="convolution")
    model = keras.Sequential([keras.Input((4, 4, 3)), convolution])
    model.compile(
        keras.optimizers.SGD(0.25),
        lambda true, predicted: ops.mean(ops.abs(true - predicted), (1, 2, 3)),
        loss_weights=3.0,
        weighted_metrics=["mae"],
        steps_per_execution=2,
        jit_compile=False,
        auto_scale_loss=scaled,
    )
    model.optimizer.learning_rate = 0.5
    with pytest.raises(ValueError, match=r"convolution: .*num_heads"):
        augment(model, mode="add", num_heads=9)
    assert model.compiled
    augmented = augment(model, mode="add")
    assert augmented.optimizer is not model.optimizer
    has_scale = isinstance(augmented.optimizer, keras.optimizers.LossScaleOptimizer)
    assert has_scale == scaled
    assert float(augmented.optimizer.learning_rate) == 0.5
    assert (augmented.steps_per_execution, augmented.jit_compile) == (2, False)
    x, y = draw((4, 4, 4, 3)), draw((4, 4, 4, 8), 1)
    ours, theirs = (
        one.evaluate(x, y, sample_weight=np.arange(4.0), return_dict=True, verbose=0)
        for one in (augmented, model)
    )
    assert ours == pytest.approx(theirs, rel=1e-3)
    assert ours.keys() == {"loss", "mae"}


def test_a_class_that_trains_in_its_own_way_is_not_compiled():
    class Own(keras.Model):
        def compute_loss(self, *args, **kwargs):
            return keras.ops.zeros(())

    image = keras.Input((4, 4, 3))
    convolution = layers.Conv2D(8, 3, padding="same")
    model = Own(image, convolution(image))
    model.compile("sgd")
    assert model.compiled
    augmented = augment(model)
    assert not augmented.compiled
    assert isinstance(augmented.layers[-1], AugmentedConv2D)


def test_it_is_a_function_of_the_package():
    assert aa_keras.augment is aa_keras.models.augment
