"""The ready networks: their sizes, and what stands where."""

import subprocess
import sys

import keras
import numpy as np
import pytest

from aa_keras import models
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
    # 25 557 032, SE's 2 514 944, half of that again for the local squeeze, and for each
    # block a sixteenth of its channels and twice its channels: 944 and 30 208 in all.
    "GALAResNet50": 29_360_600,
    "AAResNet50": 25_809_392,
    "ResNet101": 44_549_160,
    "SEResNet101": 49_292_328,
    "AAResNet101": 45_386_728,
    "ResNet152": 60_192_808,
    "SEResNet152": 66_770_984,
    "AAResNet152": 61_613_536,
    # Of each block 6 w^2 less than with convolutions, and 14 w / 16 of embeddings.
    "ResNet26": 13_696_552,
    "SAResNet26": 10_331_264,
    "ResNet38": 19_626_792,
    "SAResNet38": 14_173_384,
    "SAResNet50": 18_015_504,
    "WideResNet28x10": 36_278_324,
    "GEWideResNet28x10": 36_278_324,
    "SEWideResNet28x10": 36_547_124,
    "AAWideResNet28x10": 36_054_100,
    "MnasNet075": 2_912_278,
    "AAMnasNet075": 3_014_564,
    "MnasNet100": 3_887_038,
    "AAMnasNet100": 4_061_028,
    "MnasNet125": 5_255_486,
    "AAMnasNet125": 5_529_392,
    "MnasNet140": 6_105_992,
    "AAMnasNet140": 6_440_962,
    "RetinaNet50": 33_418_356,
    "SERetinaNet50": 35_933_300,
    "AARetinaNet50": 33_027_602,
    "RetinaNet101": 52_410_484,
    "SERetinaNet101": 57_153_652,
    "AARetinaNet101": 51_696_288,
    "ResNet18": 11_689_512,  # as in torchvision
    "AAResNet18": 11_135_768,
    "ResNet8": 75_290,
    "AAResNet8": 80_010,
    # 2 * (9 * (16**2 + 32**2 + 64**2) + 2 * (16 + 32 + 64)) more with each depth.
    "ResNet14": 172_506,
    "AAResNet14": 184_506,
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


@pytest.mark.parametrize("name", models.list_models())
def test_every_network_has_its_parameters(name):
    family, mechanism, options = models.networks.READY[name]
    input_shape, classes = SIZES[family]
    given = {"input_shape": input_shape, "classes": classes, **options, **mechanism}
    given["input_shape"] = list(given["input_shape"])
    assert network_counts({"name": family, **given}).params == PARAMETERS[name]


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


def test_functions_follow_keras_applications(aa_resnet_50):
    assert aa_resnet_50.output_shape == (None, 2, 2, 2048)
    assert aa_resnet_50.name == "aa_resnet_50"
    small = models.AAResNet20(classes=7, classifier_activation=None)
    assert small.output_shape == (None, 7)
    assert small.layers[-1].activation is keras.activations.linear
    assert small.layers[-1].name == "predictions"
    pooled = models.ResNet20(include_top=False, pooling="max")
    assert pooled.output_shape == (None, 64)
    wide = models.WideResNet16x4()
    assert (wide.input_shape, wide.output_shape) == ((None, 32, 32, 3), (None, 100))


def test_an_input_tensor_puts_layers_in_front():
    image = keras.Input((24, 20, 3))
    small = keras.layers.AveragePooling2D(2)(image)
    model = models.ResNet20(input_tensor=small, include_top=False)
    assert model.inputs[0] is image
    alone = models.ResNet20(input_shape=(12, 10, 3), include_top=False)
    alone.set_weights(model.get_weights())
    images = np.random.default_rng(0).normal(size=(2, 24, 20, 3)).astype("float32")
    pooled = images.reshape(2, 12, 2, 10, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(model(images), alone(pooled), rtol=1e-4, atol=1e-5)


def test_weights_from_a_file(tmp_path):
    first = models.ResNet20(classes=7)
    first.save_weights(tmp_path / "a.weights.h5")
    second = models.ResNet20(classes=7, weights=tmp_path / "a.weights.h5")
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    np.testing.assert_array_equal(first(images), second(images))
    with pytest.raises(ValueError, match=r"weights: received 'imagenet'; allowed"):
        models.ResNet20(weights="imagenet")


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


def test_importing_the_networks_is_light():
    script = (
        "import sys, aa_keras.config; from aa_keras.models import AAResNet50; "
        "print({'tensorflow', 'keras', 'keras_cv'} & set(sys.modules))"
    )
    out = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert out.stdout.strip() == "set()"
