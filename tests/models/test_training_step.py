"""One training step of every family: every weight moves, by a finite amount."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from aa_keras import models

CASES = {
    "resnet_8": ("resnet", (16, 12, 3), {"depth": 8, "attention": {}}),
    "resnet_50": ("resnet", (96, 64, 3), {"depth": 50, "attention": {}}),
    "resnet_50_full_share": (
        "resnet",
        (96, 64, 3),
        {"depth": 50, "attention": {"key_ratio": 1.0, "value_ratio": 1.0}},
    ),
    "wide_resnet": (
        "wide_resnet",
        (16, 12, 3),
        {"depth": 10, "width": 2, "attention": {}},
    ),
    "mnasnet": ("mnasnet", (96, 64, 3), {"width_multiplier": 0.5, "attention": {}}),
    "se": ("resnet", (16, 12, 3), {"depth": 8, "channel_attention": "se"}),
    "ge": ("resnet", (16, 12, 3), {"depth": 8, "channel_attention": "ge"}),
    "bam": ("wide_resnet", (16, 12, 3), {"depth": 10, "channel_attention": "bam"}),
    "gala": ("resnet", (16, 12, 3), {"depth": 8, "channel_attention": "gala"}),
    "cbam": ("resnet", (16, 12, 3), {"depth": 8, "channel_attention": "cbam"}),
}


def open_residual_branches(model):
    """Gives every zero-initialised scale the value that it will get by training.

    Until then no gradient passes the last batch normalisation of a block.
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.gamma.assign(keras.ops.ones_like(layer.gamma))


@pytest.mark.parametrize("case", CASES)
def test_every_weight_gets_a_gradient(case):
    name, input_shape, options = CASES[case]
    keras.utils.set_random_seed(1)
    model = models.build(
        name,
        input_shape=input_shape,
        classes=5,
        classifier_activation=None,
        **options,
    )
    open_residual_branches(model)
    random = np.random.default_rng(0)
    images = random.normal(size=(4, *input_shape)).astype("float32")
    labels = np.array([0, 1, 2, 4])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    with tf.GradientTape() as tape:
        value = loss(labels, model(images, training=True))
    variables = [weight.value for weight in model.trainable_weights]
    gradients = tape.gradient(value, variables)
    check_gradients(model, gradients)
    keras.optimizers.SGD(0.01).apply(gradients, model.trainable_weights)
    assert np.isfinite(loss(labels, model(images, training=True)))


def check_gradients(model, gradients):
    for weight, gradient in zip(model.trainable_weights, gradients, strict=True):
        assert gradient is not None, weight.path
        gradient = tf.convert_to_tensor(gradient).numpy()
        assert np.all(np.isfinite(gradient)), weight.path
        assert np.any(gradient != 0), weight.path


def test_every_weight_of_retinanet_gets_a_gradient():
    keras.utils.set_random_seed(1)
    model = models.build(
        "retinanet",
        depth=34,
        input_shape=(128, 128, 3),
        classes=2,
        attention={},
        channel_attention="se",
    )
    open_residual_branches(model.feature_extractor)
    model.compile(jit_compile=False)
    # Three images: of two, the one value that the coarsest level has for each channel
    # is normalised to plus and minus 1, whatever the weights.
    images = np.random.default_rng(0).normal(size=(3, 128, 128, 3)).astype("float32")
    # One box for the anchors of each level; those of the last two are larger than the
    # image.
    boxes = [[0.0, 0, 33, 33], [8, 8, 72, 72], [0, 0, 128, 128]]
    boxes += [[-96.0, -96, 160, 160], [-192, -192, 320, 320]]
    labels = {
        "boxes": np.array([boxes] * 3, "float32"),
        "classes": np.array([[0.0, 1, 1, 0, 1]] * 3, "float32"),
    }
    with tf.GradientTape() as tape:
        outputs = model(images, training=True)
        value = model.compute_loss(images, labels, outputs)
    variables = [weight.value for weight in model.trainable_weights]
    check_gradients(model, tape.gradient(value, variables))


def test_zero_initialised_blocks_are_the_identity_at_first():
    """Of ResNet, whose last scale of a block starts from zero."""
    model = models.build("resnet", depth=8, input_shape=(16, 16, 3), classes=5)
    inner = keras.Model(
        model.input,
        [
            model.get_layer("stem_relu").output,
            model.get_layer("stage1_block1_output").output,
        ],
    )
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")
    before, after = inner(images)
    np.testing.assert_array_equal(before, after)
