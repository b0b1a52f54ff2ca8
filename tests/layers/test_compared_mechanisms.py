"""SE, GE, BAM, CBAM and GALA against their equations in NumPy."""

import keras
import numpy as np
import pytest

from aa_keras.layers import BAM, CBAM, GALA, GatherExcite, SqueezeExcite

BATCH, HEIGHT, WIDTH, CHANNELS = 2, 7, 5, 12
LAYERS = [
    (SqueezeExcite, {"ratio": 3}),
    (SqueezeExcite, {"squeezed_filters": 5, "use_bias": True}),
    (GatherExcite, {}),
    (GatherExcite, {"extent": 2}),
    (BAM, {"ratio": 3, "dilation_rate": 2, "momentum": 0.5}),
    (CBAM, {"ratio": 3, "kernel_size": 3}),
    (GALA, {"ratio": 3}),
]


def image():
    random = np.random.default_rng(0)
    return random.normal(size=(BATCH, HEIGHT, WIDTH, CHANNELS)).astype("float32")


x = pytest.fixture(image, name="x")


def assert_equal(outputs, expected, atol):
    outputs = keras.ops.convert_to_numpy(outputs)
    np.testing.assert_allclose(outputs, expected, rtol=10 * atol, atol=atol)


def randomize(layer):
    random = np.random.default_rng(1)
    for weight in layer.weights:
        low = 0.5 if "variance" in weight.name else -1.0
        weight.assign(random.uniform(low, 1.0, size=weight.shape))
    return {weight.path: keras.ops.convert_to_numpy(weight) for weight in layer.weights}


def built(layer, x):
    layer.build(x.shape)
    weights = randomize(layer)

    def find(name):
        return next(value for path, value in weights.items() if path.endswith(name))

    return layer, find


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def relu(x):
    return np.maximum(x, 0)


def convolve(x, kernel, dilation=1):
    """A "same" convolution, one output at a time."""
    size = kernel.shape[0]
    margin = (size - 1) * dilation // 2
    padded = np.pad(x, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    outputs = np.zeros((*x.shape[:-1], kernel.shape[-1]))
    for i in range(x.shape[1]):
        for j in range(x.shape[2]):
            for a in range(size):
                for b in range(size):
                    pixel = padded[:, i + a * dilation, j + b * dilation]
                    outputs[:, i, j] += pixel @ kernel[a, b]
    return outputs


def test_squeeze_excite(x):
    layer, find = built(SqueezeExcite(ratio=3, use_bias=True), x)
    hidden = relu(x.mean(axis=(1, 2)) @ find("squeeze/kernel") + find("squeeze/bias"))
    weights = sigmoid(hidden @ find("excite/kernel") + find("excite/bias"))
    assert find("squeeze/kernel").shape == (CHANNELS, CHANNELS // 3)
    expected = np.einsum("bhwc,bc->bhwc", x, weights)
    assert_equal(layer(x), expected, atol=1e-6)


def test_gather_excite_of_the_whole_image(x):
    expected = x * sigmoid(x.mean(axis=(1, 2), keepdims=True))
    assert_equal(GatherExcite()(x), expected, atol=1e-6)


def test_gather_excite_of_a_finite_extent(x):
    """Windows of 3 around the rows 0, 2, 4, 6 of 7, and the columns 1, 3, 5 of 6."""
    x = np.concatenate([x, x[:, :, :1]], axis=2)
    assert x.shape == (BATCH, 7, 6, CHANNELS)
    gathered = np.zeros((BATCH, 4, 3, CHANNELS))
    for i in range(4):
        for j in range(3):
            rows = slice(max(2 * i - 1, 0), 2 * i + 2)
            gathered[:, i, j] = x[:, rows, 2 * j : 2 * j + 3].mean(axis=(1, 2))
    # The centre of pixel i of 7 lies at (i + 0.5) 4 / 7 of the 4 gathered ones.
    rows = [int((i + 0.5) * 4 / 7) for i in range(7)]
    columns = [int((j + 0.5) * 3 / 6) for j in range(6)]
    nearest = gathered[:, rows][:, :, columns]
    outputs = GatherExcite(extent=2)(x)
    assert_equal(outputs, x * sigmoid(nearest), atol=1e-6)


def test_cbam(x):
    layer, find = built(CBAM(ratio=3, kernel_size=3), x)

    def described(y):
        return relu(y @ find("squeeze/kernel")) @ find("excite/kernel")

    weights = sigmoid(described(x.mean(axis=(1, 2))) + described(x.max(axis=(1, 2))))
    y = x * weights[:, None, None, :]
    maps = np.stack([y.mean(axis=-1), y.max(axis=-1)], axis=-1)
    expected = y * sigmoid(convolve(maps, find("spatial/kernel")))
    assert_equal(layer(x), expected, atol=1e-5)


def test_bam(x):
    layer, find = built(BAM(ratio=3, dilation_rate=2), x)

    def normalize(y, name):
        scaled = (y - find(f"{name}/moving_mean")) / np.sqrt(
            find(f"{name}/moving_variance") + 1e-5
        )
        return scaled * find(f"{name}/gamma") + find(f"{name}/beta")

    def affine(y, name):
        return y @ find(f"{name}/kernel") + find(f"{name}/bias")

    def spatial(y, name, dilation):
        return convolve(y, find(f"{name}/kernel"), dilation) + find(f"{name}/bias")

    channel = relu(affine(x.mean(axis=(1, 2)), "channel_squeeze"))
    channel = normalize(affine(channel, "channel_excite"), "channel_bn")
    y = relu(spatial(x, "spatial_squeeze", 1))
    y = relu(spatial(y, "spatial_conv1", 2))
    y = relu(spatial(y, "spatial_conv2", 2))
    y = normalize(spatial(y, "spatial_excite", 1), "spatial_bn")
    assert y.shape == (BATCH, HEIGHT, WIDTH, 1)
    weights = sigmoid(channel[:, None, None, :] + y)
    assert_equal(layer(x, training=False), x * (1 + weights), atol=1e-4)


def test_gala(x):
    layer, find = built(GALA(ratio=3), x)
    channels = relu(x.mean(axis=(1, 2)) @ find("/squeeze/kernel"))
    channels = (channels @ find("/excite/kernel"))[:, None, None, :]
    positions = relu(x @ find("local_squeeze/kernel")[0, 0])
    positions = positions @ find("local_excite/kernel")[0, 0]
    assert positions.shape == (BATCH, HEIGHT, WIDTH, 1)
    mask = find("sum_scale") * (channels + positions)
    mask = mask + find("product_scale") * channels * positions
    assert_equal(layer(x), x * np.tanh(mask), atol=1e-5)


# What tests/layers/comparison.py repeats on other backends.
EQUATIONS = (
    test_squeeze_excite,
    test_gather_excite_of_the_whole_image,
    test_gather_excite_of_a_finite_extent,
    test_cbam,
    test_bam,
    test_gala,
)


@pytest.mark.parametrize(("layer", "options"), LAYERS)
def test_open_sizes_and_mixed_precision(layer, options, x):
    shape = (None, None, CHANNELS)
    image = keras.Input(shape, dtype="bfloat16")
    outputs = layer(**options, dtype="mixed_bfloat16")(image)
    assert tuple(outputs.shape[1:]) == shape
    values = keras.Model(image, outputs)(x)
    assert keras.backend.standardize_dtype(values.dtype) == "bfloat16"
    assert np.all(np.isfinite(keras.ops.convert_to_numpy(values).astype("float32")))


@pytest.mark.parametrize(
    ("layer", "options"),
    [
        (SqueezeExcite, {"ratio": 0}),
        (SqueezeExcite, {"squeezed_filters": 2.5}),
        (GatherExcite, {"extent": 0}),
        (BAM, {"dilation_rate": 0}),
        (CBAM, {"kernel_size": -1}),
        (GALA, {"ratio": -2}),
    ],
)
def test_mistakes(layer, options):
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must be a positive integer"):
        layer(**options)
