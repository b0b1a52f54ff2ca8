"""The ready networks: their sizes, and what stands where."""

import subprocess
import sys
from typing import get_args

import keras
import numpy as np
import pytest

from aa_keras import models
from aa_keras.layers import AugmentedConv2D
from aa_keras.layers.self_attention import POSITION_ENCODINGS
from aa_keras.models import spec
from aa_keras.options import check
from aa_keras.paper.tables import network_counts

PARAMETERS = {
    "ResNet34": 21_797_672,
    "SEResNet34": 21_954_856,
    "AAResNet34": 20_745_072,
    "ResNet50": 25_557_032,
    "SEResNet50": 28_071_976,
    "GEResNet50": 25_557_032,
    "BAMResNet50": 25_917_793,
    "CBAMResNet50": 28_073_544,
    "AAResNet50": 25_809_392,
    "ResNet101": 44_549_160,
    "SEResNet101": 49_292_328,
    "AAResNet101": 45_386_728,
    "ResNet152": 60_192_808,
    "SEResNet152": 66_770_984,
    "AAResNet152": 61_613_536,
    "WideResNet28x10": 36_278_324,
    "GEWideResNet28x10": 36_278_324,
    "SEWideResNet28x10": 36_547_124,
    "AAWideResNet28x10": 36_054_100,
    "MnasNet075": 2_912_278,
    "AAMnasNet075": 3_014_788,
    "MnasNet100": 3_887_038,
    "AAMnasNet100": 4_061_364,
    "MnasNet125": 5_255_486,
    "AAMnasNet125": 5_529_784,
    "MnasNet140": 6_105_992,
    "AAMnasNet140": 6_441_410,
    "RetinaNet50": 33_418_356,
    "SERetinaNet50": 35_933_300,
    "AARetinaNet50": 33_027_602,
    "RetinaNet101": 52_410_484,
    "SERetinaNet101": 57_153_652,
    "AARetinaNet101": 51_696_288,
    "ResNet20": 269_722,
    "AAResNet20": 289_002,
    "ResNet56": 853_018,
    "AAResNet56": 915_978,
    "WideResNet16x4": 2_730_036,
    "AAWideResNet16x4": 2_858_948,
}

SIZES = {
    "resnet": ([224, 224, 3], 1000),
    "wide_resnet": ([32, 32, 3], 100),
    "mnasnet": ([224, 224, 3], 1000),
    "retinanet": ([640, 640, 3], 90),
}


def augmented(model):
    return {
        layer.name: layer
        for layer in model.layers
        if isinstance(layer, AugmentedConv2D)
    }


@pytest.mark.parametrize("name", models.list_models())
def test_every_network_has_its_parameters(name):
    network = getattr(models, name)
    (family,) = network.args
    input_shape, classes = SIZES[family]
    options = {"input_shape": input_shape, "classes": classes, **network.keywords}
    options["input_shape"] = list(options["input_shape"])
    assert network_counts({"name": family, **options}).params == PARAMETERS[name]


def test_resnet_50_has_the_parameters_of_keras_applications():
    """Which has biases in its convolutions as well, 26 560 of them."""
    theirs = keras.applications.ResNet50(weights=None)
    biases = sum(
        layer.bias.shape[0]
        for layer in theirs.layers
        if isinstance(layer, keras.layers.Conv2D)
    )
    trainable = sum(np.prod(weight.shape) for weight in theirs.trainable_weights)
    assert trainable - biases == PARAMETERS["ResNet50"]


@pytest.fixture(scope="module")
def aa_resnet_50():
    return models.AAResNet50(include_top=False, input_shape=(64, 64, 3))


def test_functions_follow_keras_applications(aa_resnet_50):
    assert aa_resnet_50.output_shape == (None, 2, 2, 2048)
    assert aa_resnet_50.name == "resnet_50"
    small = models.AAResNet20(classes=7, classifier_activation=None)
    assert small.output_shape == (None, 7)
    assert small.layers[-1].activation is keras.activations.linear
    assert small.layers[-1].name == "predictions"
    pooled = models.ResNet20(include_top=False, pooling="max")
    assert pooled.output_shape == (None, 64)
    wide = models.WideResNet16x4()
    assert (wide.input_shape, wide.output_shape) == ((None, 32, 32, 3), (None, 100))


def test_weights_from_a_file(tmp_path):
    first = models.ResNet20(classes=7)
    first.save_weights(tmp_path / "a.weights.h5")
    second = models.ResNet20(classes=7, weights=tmp_path / "a.weights.h5")
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(first(images), second(images))
    with pytest.raises(ValueError, match=r"weights: received 'imagenet'; allowed"):
        models.ResNet20(weights="imagenet")


def test_attention_of_resnet_50(aa_resnet_50):
    """3, 4, 6, 3 blocks; every 3x3 of the last three stages, at 160 key channels."""
    layers = augmented(aa_resnet_50)
    assert list(layers) == [
        f"stage{stage}_block{block}_conv2"
        for stage, blocks in ((2, 4), (3, 6), (4, 3))
        for block in range(1, blocks + 1)
    ]
    depths = {2: (128, 160, 8, 2), 3: (256, 160, 24, 1), 4: (512, 160, 48, 1)}
    for name, layer in layers.items():
        filters, key_depth, value_depth, downsampling = depths[int(name[5])]
        assert layer.kernel_size == (3, 3)
        assert layer.filters == filters
        assert (layer.attention.key_depth, layer.attention.value_depth) == (
            key_depth,
            value_depth,
        )
        assert layer.attention.attention_downsampling == downsampling
        assert layer.attention.num_heads == 8
        assert layer.strides == ((2, 2) if "block1_" in name else (1, 1))
        assert not layer.convolution.use_bias
        assert not layer.attention.use_bias


@pytest.mark.parametrize(
    ("name", "options", "suffix", "expected"),
    [
        # blocks a stage; depths at the first and the last layer
        ("resnet", {"depth": 34}, "conv1", ({2: 4, 3: 6, 4: 3}, (160, 32), (160, 128))),
        (
            "wide_resnet",
            {"depth": 28, "width": 10},
            "conv1",
            ({1: 4, 2: 4, 3: 4}, (160, 16), (160, 64)),
        ),
        (
            "mnasnet",
            {},
            "expansion_conv",
            ({3: 3, 4: 4, 5: 2, 6: 3, 7: 1}, (4, 4), (96, 48)),
        ),
    ],
)
def test_attention_of_the_other_families(name, options, suffix, expected):
    blocks, first, last = expected
    model = models.build(
        name, input_shape=(64, 64, 3), classes=7, attention={}, **options
    )
    layers = augmented(model)
    assert list(layers) == [
        f"stage{stage}_block{block}_{suffix}"
        for stage, count in blocks.items()
        for block in range(1, count + 1)
    ]
    depths = [
        (layer.attention.key_depth, layer.attention.value_depth)
        for layer in layers.values()
    ]
    assert (depths[0], depths[-1]) == (first, last)


@pytest.mark.parametrize("name", ["resnet", "wide_resnet", "mnasnet"])
def test_augmented_and_plain_networks_differ_in_the_convolution_only(name):
    """Same layers, same wiring, same shapes, same settings but for the augmented."""
    options = {"input_shape": (48, 48, 3), "classes": 7}
    if name == "wide_resnet":
        options |= {"depth": 10, "width": 2}
    plain = models.build(name, **options)
    other = models.build(name, attention={}, **options)
    replaced = augmented(other)
    assert replaced
    assert [layer.name for layer in plain.layers] == [
        layer.name for layer in other.layers
    ]
    for layer, counterpart in zip(plain.layers, other.layers, strict=True):
        assert layer.output.shape == counterpart.output.shape
        if layer.name in replaced:
            assert isinstance(layer, keras.layers.Conv2D)
            assert layer.kernel_size == counterpart.kernel_size
            assert layer.strides == counterpart.strides
        else:
            assert layer.get_config() == counterpart.get_config()


def test_full_share_leaves_no_spatial_convolution_in_the_last_stages():
    model = models.build(
        "resnet",
        depth=50,
        input_shape=(64, 64, 3),
        classes=7,
        attention={"key_ratio": 1.0, "value_ratio": 1.0},
    )
    assert len(augmented(model)) == 13
    assert all(layer.convolution is None for layer in augmented(model).values())
    spatial = [
        layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.Conv2D) and layer.kernel_size != (1, 1)
    ]
    assert spatial == [
        "stem_conv",
        "stage1_block1_conv2",
        "stage1_block2_conv2",
        "stage1_block3_conv2",
    ]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet", {"depth": 8, "attention": {"downsampled_stages": [2]}}),
        ("wide_resnet", {"depth": 10, "width": 1, "attention": {}}),
        ("mnasnet", {"width_multiplier": 0.25, "attention": {}}),
    ],
)
def test_open_sizes(name, options):
    """A network for any size up to `max_size` gives what the one of that size gives."""
    options = {"classes": 7, **options}
    size = (44, 36)
    dynamic = models.build(
        name, input_shape=(None, None, 3), max_size=(48, 40), **options
    )
    largest = models.build(name, input_shape=(48, 40, 3), **options)
    fixed = models.build(name, input_shape=(*size, 3), **options)
    # The tables of the two larger networks are of one size ...
    assert [w.shape for w in dynamic.weights] == [w.shape for w in largest.weights]
    # ... and a smaller image uses their middle rows.
    for ours, theirs in zip(fixed.weights, dynamic.weights, strict=True):
        value = keras.ops.convert_to_numpy(theirs)
        if ours.name.startswith("relative"):
            margin = (value.shape[0] - ours.shape[0]) // 2
            value = value[margin : margin + ours.shape[0]]
        ours.assign(value)
    images = np.random.default_rng(0).normal(size=(2, *size, 3)).astype("float32")
    np.testing.assert_allclose(dynamic(images), fixed(images), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("resnet", {"depth": 8, "attention": {}}),
        ("wide_resnet", {"depth": 10, "width": 1, "channel_attention": "bam"}),
        ("mnasnet", {"width_multiplier": 0.25, "attention": {}}),
    ],
)
def test_saved_and_loaded(name, options, tmp_path):
    model = models.build(name, input_shape=(32, 24, 3), classes=7, **options)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    images = np.random.default_rng(0).normal(size=(2, 32, 24, 3)).astype("float32")
    np.testing.assert_array_equal(loaded(images), model(images))


def test_the_last_layer_is_float32_under_mixed_precision():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = models.build(
            "resnet", depth=8, input_shape=(16, 16, 3), classes=7, attention={}
        )
        outputs = model(np.ones((2, 16, 16, 3), "float32"))
    finally:
        keras.config.set_dtype_policy(policy)
    assert model.get_layer("stage3_block1_conv1").compute_dtype == "bfloat16"
    assert keras.backend.standardize_dtype(outputs.dtype) == "float32"
    np.testing.assert_allclose(np.sum(outputs, axis=-1), 1.0, rtol=1e-6)


def test_feature_maps_by_the_names_of_the_stages(aa_resnet_50):
    maps = models.feature_maps(aa_resnet_50, stages=[2, 4])
    shapes = {name: tuple(tensor.shape) for name, tensor in maps.output.items()}
    assert shapes == {"stage2": (None, 8, 8, 512), "stage4": (None, 2, 2, 2048)}
    images = np.random.default_rng(0).normal(size=(1, 64, 64, 3)).astype("float32")
    np.testing.assert_array_equal(maps(images)["stage4"], aa_resnet_50(images))
    with pytest.raises(ValueError, match=r"received \[5\]; allowed: \[1, 2, 3, 4\] of"):
        models.feature_maps(aa_resnet_50, stages=[5])


def test_feature_maps_end_behind_bam_and_the_last_addition():
    options = {"depth": 10, "width": 1, "input_shape": (16, 16, 3), "classes": 7}
    model = models.build("wide_resnet", channel_attention="bam", **options)
    maps = models.feature_maps(model)
    inner = {
        name: tensor._keras_history.operation.name
        for name, tensor in maps.output.items()
    }
    assert inner == {
        "stage1": "stage1_bam",
        "stage2": "stage2_bam",
        "stage3": "stage3_block1_output",
    }


@pytest.mark.parametrize(
    ("channel_attention", "names"),
    [
        (None, []),
        ("se", ["stage1_block1_se", "stage2_block1_se", "stage3_block1_se"]),
        ("ge", ["stage1_block1_ge", "stage2_block1_ge", "stage3_block1_ge"]),
        ("cbam", ["stage1_block1_cbam", "stage2_block1_cbam", "stage3_block1_cbam"]),
        ("bam", ["stage1_bam", "stage2_bam"]),
    ],
)
@pytest.mark.parametrize(
    ("name", "options"), [("resnet", {"depth": 8}), ("wide_resnet", {"depth": 10})]
)
def test_where_channel_attention_stands(name, options, channel_attention, names):
    model = models.build(
        name,
        input_shape=(16, 16, 3),
        classes=7,
        channel_attention=channel_attention,
        **options,
    )
    found = [
        layer.name
        for layer in model.layers
        if type(layer).__module__.startswith("aa_keras")
    ]
    assert found == names


def test_options_are_resolved_with_the_values_of_the_family():
    assert models.resolved_options(
        "retinanet", depth=50, classes=3, attention={"key_ratio": 0.5}
    ) == {
        "name": "retinanet",
        "depth": 50,
        "classes": 3,
        "channel_attention": None,
        "attention": {
            "key_ratio": 0.5,
            "value_ratio": 0.1,
            "num_heads": 2,
            "min_key_depth_per_head": 20,
            "stages": [2, 3, 4],
            "downsampled_stages": [2],
            "position_encoding": "relative",
            "key_depth": None,
            "value_depth": None,
            "blocks": "all",
            "strided": "sample",
            "relative_scale": 1.0,
            "normalization_scale": 1.0,
        },
    }
    plain = models.resolved_options("mnasnet", classes=3)
    assert (plain["attention"], plain["dropout"]) == (None, 0.2)


@pytest.mark.parametrize(
    ("name", "options", "rate"),
    [
        ("resnet", {"depth": 8}, None),
        ("resnet", {"depth": 8, "dropout": 0.3}, 0.3),
        ("mnasnet", {"width_multiplier": 0.25}, 0.2),
        ("mnasnet", {"width_multiplier": 0.25, "dropout": 0.0}, None),
    ],
)
def test_dropout_has_one_default_a_family(name, options, rate):
    model = models.build(name, input_shape=(32, 32, 3), classes=3, **options)
    rates = [x.rate for x in model.layers if isinstance(x, keras.layers.Dropout)]
    assert rates == ([] if rate is None else [rate])
    section = {"resnet": spec.ResNet, "mnasnet": spec.MnasNet}[name]
    assert check(section, {"classes": 3, **options}).dropout == (rate or 0.0)


def test_position_encodings_of_the_options_are_those_of_the_layer():
    annotation = spec.Attention.model_fields["position_encoding"].annotation
    assert get_args(annotation) == POSITION_ENCODINGS


def test_importing_the_networks_is_light():
    script = (
        "import sys, aa_keras.config; from aa_keras.models import AAResNet50; "
        "print({'tensorflow', 'keras', 'keras_cv'} & set(sys.modules))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "set()"


def test_stages_left_out_of_attention_are_not_downsampled_either():
    model = models.build(
        "resnet",
        depth=34,
        attention={"stages": [3, 4]},
        input_shape=(32, 32, 3),
        classes=7,
    )
    layers = augmented(model).values()
    assert {layer.attention.attention_downsampling for layer in layers} == {1}
