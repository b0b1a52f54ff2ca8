"""Attention inside networks that exist: other libraries' and nested ones."""

import keras
import numpy as np
import pytest
from keras import layers

import aa_keras
from aa_keras import augment, counting
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


@pytest.mark.parametrize("value_depth", [4, 8])
@pytest.mark.parametrize("padding", ["same", "valid"])
def test_what_an_added_attention_computes(padding, value_depth):
    """The sum of Keras' convolution and the scaled attention, then the activation."""
    options = {"padding": padding, "strides": 2}
    depths = {"num_heads": 2, "key_depth": 6, "value_depth": value_depth}
    layer = AddedAttentionConv2D(8, 3, activation="tanh", **options, **depths)
    x = draw((2, 9, 7, 3))
    layer(x)
    layer.scale.assign(draw((value_depth,), 1))
    convolution = layers.Conv2D(8, 3, **options)
    convolution.build(x.shape)
    convolution.set_weights(layer.convolution.get_weights())
    expected = np.array(convolution(x))
    attended = x if padding == "same" else x[:, 1:-1, 1:-1]
    scaled = np.array(layer.attention(attended)) * draw((value_depth,), 1)
    expected[..., 8 - value_depth :] += scaled
    np.testing.assert_allclose(layer(x), np.tanh(expected), atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "float64"])
def test_the_policy_of_a_layer(policy):
    convolution = layers.Conv2D(8, 3, dtype=policy, name="convolution")
    model = keras.Sequential([keras.Input((6, 6, 3)), convolution])
    augmented = augment(model, mode="add")
    x = draw((2, 6, 6, 3))
    layer = augmented.get_layer("convolution")
    assert layer.dtype_policy.name == layer.attention.dtype_policy.name == policy
    assert augmented(x).dtype == model(x).dtype == convolution.compute_dtype
    np.testing.assert_array_equal(augmented(x), model(x))


def chain(*kinds, size=(16, 16)):
    return keras.Sequential([keras.Input((*size, 4)), *kinds], name="chain")


def small():
    return chain(
        layers.Conv2D(8, 3, padding="same", name="a_1"),
        layers.Conv2D(8, 3, padding="same", strides=2, name="a_2"),
        layers.Conv2D(8, 1, name="b_1"),
        layers.Conv2D(8, 3, padding="same", name="b_2"),
        layers.Conv2D(8, 1, strides=2, name="c_1"),
        layers.Conv2D(8, 4, name="d_1"),
    )


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("last_stage", ["c_1"]),  # 4 x 4; d_1 has one position
        (4, ["c_1"]),
        (8, ["a_2", "b_2"]),
        (16, ["a_1", "a_2", "b_2"]),
        ("?_1", ["a_1", "b_1", "c_1", "d_1"]),
        (lambda layer: layer.strides == (2, 2), ["a_2", "c_1"]),
    ],
)
def test_where(where, names):
    augmented = augment(small(), where)
    found = [x.name for x in augmented.layers if isinstance(x, AugmentedConv2D)]
    assert found == names


class Subclass(keras.Model):
    def call(self, x):
        return x


@pytest.mark.parametrize(
    ("build", "options", "message"),
    [
        (Subclass, {}, "model: received Subclass .* allowed: a functional or Seq"),
        (lambda: keras.Sequential([layers.Conv2D(2, 3)]), {}, "allowed: a built model"),
        (small, {"mode": "both"}, "mode must be one of 'replace', 'add'; received 'bo"),
        (small, {"where": 2.5}, "where: received 2.5; allowed: a pattern"),
        (small, {"where": True}, "where: received True; allowed: a pattern"),
        (small, {"where": 3}, "received 3, which chooses no .* 6 Conv2D .*, a_1, a_2,"),
        (small, {"where": "conv*"}, "received 'conv.*', which chooses no convolution"),
        (small, {"num_heads": 9}, "layer c_1: num_heads=9 does not fit in filters=8"),
        (small, {"value_ratio": 2}, r"layer c_1: value_ratio must be in \(0, 1\]"),
        (small, {"filters": 4}, "layer c_1: .*multiple values .* 'filters'"),
        (small, {"wrong": 4}, "layer c_1: .*'wrong'"),
        (
            lambda: chain(layers.Conv2D(8, 3, groups=2, name="c")),
            {"where": "c"},
            "chooses c, which has 2 groups; allowed: what chooses Conv2D",
        ),
        (
            lambda: chain(layers.DepthwiseConv2D(3, name="c")),
            {"where": lambda layer: True},
            "chooses c, a DepthwiseConv2D; allowed",
        ),
        (
            lambda: chain(layers.DepthwiseConv2D(3), layers.Dense(2)),
            {},
            "chooses no convolution of chain; allowed: .* 0 Conv2D without groups$",
        ),
        (
            lambda: chain(layers.Conv2D(8, 3), size=(None, 16)),
            {},
            "leaves the size of images open; allowed: a pattern",
        ),
        (
            lambda: chain(layers.Conv2D(8, 3, name="c"), size=(None, 16)),
            {"where": "c"},
            "max_size is needed for position_encoding='relative'",
        ),
    ],
)
def test_what_cannot_be_augmented(build, options, message):
    with pytest.raises(ValueError, match=message) as error:
        augment(build(), **options)
    assert "\n" not in str(error.value)


def test_open_sizes_with_a_largest_one():
    model = chain(layers.Conv2D(8, 3, name="c"), size=(None, None))
    augmented = augment(model, "c", "add", max_size=(9, 8))
    x = draw((1, 9, 7, 4))
    np.testing.assert_array_equal(augmented(x), model(x))


def test_an_adapted_normalization_is_that_of_the_model():
    x = draw((8, 16, 16, 4)) * 3 + 2
    model = chain(layers.Normalization(), layers.Conv2D(8, 3))
    model.layers[0].adapt(x)
    np.testing.assert_array_equal(augment(model, mode="add")(x), model(x))


def test_the_table_of_what_was_replaced():
    model, lines = small(), []
    augmented = augment(model, 8, num_heads=1, key_ratio=0.5, value_ratio=0.25)
    *rows, total = counting.replacements(model, augmented)
    assert [(r.layer, r.map, r.filters, r.attention) for r in rows] == [
        ("a_2", (8, 8), 8, 2),
        ("b_2", (8, 8), 8, 2),
    ]
    # kernel and biases; qkv of 4 + 4 + 2 channels, a 2 x 2 projection, two tables of
    # 2 * 8 - 1 distances (31 for the strided one's input of 16)
    convolution, attention = 9 * 8 * 8 + 8, 9 * 8 * 6 + 6 + 10 * 9 + 6 + 2 * 15 * 4
    assert rows[1].params == (convolution, attention)
    positions = 64
    before = positions * 9 * 8 * 8
    after = positions * (9 * 8 * 6 + 10 * 8 + 4) + positions**2 * 6
    after += positions * 4 * 2 * 15
    np.testing.assert_allclose(rows[1].gflops, (2e-9 * before, 2e-9 * after))
    kept = 256 * 9 * 4 * 8 + 64 * 8 * 8 + 16 * 8 * 8 + 16 * 8 * 8  # a_1, b_1, c_1, d_1
    for index, each in enumerate((model, augmented)):
        assert total.params[index] == each.count_params()
        gflops = counting.count(each).gflops
        np.testing.assert_allclose(total.gflops[index], gflops)
        other = sum(row.gflops[index] for row in rows)
        np.testing.assert_allclose(total.gflops[index] - other, 2e-9 * kept)
    counting.print_replacements(model, augmented, report=lines.append)
    assert len(lines) == 4
    assert lines[2].split()[:5] == ["b_2", "8x8", "8", "2", f"{convolution:,}"]


def test_it_is_a_function_of_the_package():
    assert aa_keras.augment is aa_keras.models.augment
