"""What `Conv1D` and `Conv2D` accept, and what Keras does to every layer."""

import json
import warnings

import keras
import numpy as np
import pytest

from aa_keras.layers import AugmentedConv1D, AugmentedConv2D, SelfAttention1D
from tests.layers.comparison import DEFAULTS, draw, randomize, reference_of

implementations = pytest.mark.parametrize("implementation", ["listing", "fused"])


def test_arguments_in_the_forms_that_conv2d_accepts():
    given = {
        "filters": np.int64(13),
        "kernel_size": np.array([3, 5]),
        "strides": np.int32(2),
        "padding": "VALID",
        "data_format": "Channels_Last",
        "num_heads": np.int64(2),
        "key_depth": np.int64(10),
        "value_depth": np.uint8(6),
        "max_size": (np.int64(9), 11),
    }
    layer = AugmentedConv2D(**given)
    config = json.loads(json.dumps(layer.get_config()))
    assert (config["kernel_size"], config["padding"]) == ([3, 5], "valid")
    x = draw((2, 9, 11, 3))
    theirs = keras.layers.Conv2D(13, (3, 5), 2, padding="VALID")
    assert layer(x).shape == theirs(x).shape
    np.testing.assert_allclose(layer(x), reference_of(layer, x)[0], atol=1e-5)
    with pytest.raises(ValueError, match="filters must be a positive integer"):
        AugmentedConv2D(np.float64(13), 3)


@implementations
@pytest.mark.parametrize(
    "arguments",
    [{}, {"position_encoding": "none"}, {"strides": 2}, {"padding": "valid"}],
    ids=["relative", "none", "strides", "valid"],
)
def test_masked_positions_at_the_end_are_as_if_cut_off(arguments, implementation):
    layer = AugmentedConv1D(**(DEFAULTS | arguments), implementation=implementation)
    x, mask = draw((2, 12, 4)), np.arange(12)[None] < np.array([[8], [12]])
    layer.build(x.shape)
    randomize(layer)
    outputs = layer(x, mask=mask)
    # The convolution reads beyond the end, attention does not.
    end = 9 if "padding" in arguments else 8
    alone, whole = layer(x[:1, :end])[..., 7:], layer(x[1:])[..., 7:]
    ours = outputs[:1, : alone.shape[1], 7:]
    np.testing.assert_allclose(ours, alone, atol=1e-5)
    np.testing.assert_allclose(outputs[1:, :, 7:], whole, atol=1e-5)
    expected = {"strides": mask[:, ::2], "padding": mask[:, 1:-1]}
    (name,) = arguments or ("none",)
    np.testing.assert_array_equal(layer.compute_mask(x, mask), expected.get(name, mask))


@implementations
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"attention_downsampling": 2},
        {"strides": 2, "strided": "pool", "position_encoding": "sine"},
        {"dtype": "mixed_float16"},
    ],
    ids=["plain", "downsampled", "pooled", "float16"],
)
def test_what_masked_positions_contain_does_not_matter(arguments, implementation):
    layer = SelfAttention1D(
        6, 10, num_heads=2, implementation=implementation, **arguments
    )
    x, mask = draw((2, 11, 4)), np.ones((2, 11), bool)
    mask[0, 3:6] = mask[1, 10] = False
    layer.build(x.shape)
    randomize(layer)
    other = np.where(mask[..., None], x, 7 * draw(x.shape, 5))
    # Outputs whose queries read no masked position.
    read = np.asarray(layer.compute_mask(x, mask))
    first, second = (np.asarray(layer(a, mask=mask)) for a in (x, other))
    np.testing.assert_allclose(first[read], second[read], atol=1e-5)
    assert np.abs(layer(x) - layer(other)).max() > 0.1
    _, scores = layer(x, mask=mask, return_attention_scores=True)
    scores = np.asarray(scores, "float32")
    np.testing.assert_allclose(scores.sum(-1), 1, atol=2e-3)
    if not arguments:
        hidden = np.broadcast_to(~mask[:, None, None], scores.shape)
        assert np.all(scores[hidden] == 0)
        assert np.all(scores[~hidden] > 0)


def test_masks_pass_through_a_model_without_a_warning():
    layer = AugmentedConv1D(**DEFAULTS)
    model = keras.Sequential(
        [
            keras.layers.Embedding(9, 4, mask_zero=True),
            layer,
            keras.layers.GlobalAveragePooling1D(),
        ]
    )
    tokens = np.array([[3, 4, 5, 6, 0, 0], [1, 2, 3, 4, 5, 6]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs = model(tokens)
    expected = layer(model.layers[0](tokens), mask=tokens > 0)
    np.testing.assert_allclose(
        outputs[0], np.mean(np.asarray(expected)[0, :4], axis=0), atol=1e-5
    )


@pytest.mark.slow
def test_a_model_is_quantized_to_int8(tmp_path):
    """Dense layers become int8; Keras has no int8 convolutions, so ours stay."""
    model = keras.Sequential(
        [
            keras.Input((7, 5, 4)),
            AugmentedConv2D(**DEFAULTS),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(32, name="head"),
        ]
    )
    randomize(model)
    x = draw((8, 7, 5, 4))
    before = np.asarray(model(x))
    model.quantize("int8")
    assert model.get_layer("head").dtype_policy.name == "int8_from_float32"
    after = np.asarray(model(x))
    assert 0 < np.abs(after - before).max() < 0.05 * np.abs(before).max()
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), after)
