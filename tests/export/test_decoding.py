"""Pictures of every kind: a right answer, or a clear error and then a right answer."""

import dataclasses
import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from aa_keras import data
from aa_keras.data import served_decoding as decoding


@pytest.fixture(scope="module")
def decode():
    """A function from a file and a number of channels to pixels, in a graph."""
    function = tf.function(decoding.decode_picture, autograph=False)
    return lambda encoded, channels=3: function(tf.constant(encoded), channels).numpy()


def by_pillow(encoded, mode="RGB"):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    return np.asarray(image.convert(mode)).astype(int)


def exif(orientation, order="<"):
    """An EXIF block with two other entries before the orientation."""
    entries = [(0x0100, 4, 1, 640), (0x0101, 4, 1, 427)]
    block = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "I", 8)
    block += struct.pack(order + "H", len(entries) + 1)
    for entry in entries:
        block += struct.pack(order + "HHII", *entry)
    block += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"Exif\0\0" + block + struct.pack(order + "I", 0)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_photograph_stands_upright(
    orientation, order, decode, encode, photograph
):
    encoded = encode(photograph, "JPEG", exif=exif(orientation, order), quality=95)
    expected = by_pillow(encoded)
    assert expected.shape == (54, 80, 3) if orientation < 5 else (80, 54, 3)
    # TensorFlow decodes JPEG with the fast transform, a few grey values off.
    np.testing.assert_allclose(decode(encoded), expected, atol=12)


@pytest.mark.parametrize(
    "block",
    [
        exif(9),
        exif(0),
        exif(6)[:-7],  # ends before the value
        exif(6)[:14],
        b"Exif\0\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
    ],
)
def test_a_broken_exif_block_turns_nothing(block, decode, encode, photograph):
    encoded = encode(photograph, "JPEG")
    segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
    turned = encoded[:2] + segment + encoded[2:]
    np.testing.assert_array_equal(decode(turned), decode(encoded))


def test_many_segments_before_the_picture_end_the_search(decode, encode, photograph):
    encoded = encode(photograph, "JPEG")
    many = encoded[:2] + b"\xff\xe0\0\2" * 20_000 + encoded[2:]
    np.testing.assert_array_equal(decode(many), decode(encoded))


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "P", "RGBA", "LA"])
def test_png_of_every_mode(mode, decode, encode, photograph):
    encoded = encode(photograph, mode=mode)
    np.testing.assert_array_equal(decode(encoded), by_pillow(encoded))


def test_alpha_is_dropped_not_blended(decode, encode, photograph):
    alpha = np.full(photograph.shape[:2], 3, np.uint8)
    np.testing.assert_array_equal(
        decode(encode(np.dstack([photograph, alpha]))), photograph
    )


def test_sixteen_bits_lose_the_lower_eight(decode, encode):
    pixels = (np.arange(60 * 70).reshape(60, 70) * 15).astype(np.uint16)
    expected = np.repeat((pixels >> 8)[..., np.newaxis], 3, axis=-1)
    np.testing.assert_array_equal(decode(encode(pixels)), expected)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"mode": "L"}])
def test_jpeg(options, decode, encode, photograph):
    encoded = encode(photograph, "JPEG", quality=95, **options)
    np.testing.assert_allclose(decode(encoded), by_pillow(encoded), atol=12)


def test_cmyk(decode, encode, photograph):
    encoded = encode(photograph, "JPEG", mode="CMYK", quality=95)
    difference = np.abs(decode(encoded) - photograph.astype(int))
    assert np.median(difference) <= 4


def test_colour_becomes_grey_where_the_network_is_grey(decode, encode, photograph):
    encoded = encode(photograph)
    grey = decode(encoded, 1)
    assert grey.shape == (54, 80, 1)
    np.testing.assert_allclose(grey[..., 0], by_pillow(encoded, "L"), atol=2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1)])
def test_extreme_shapes(shape, served, run, encode):
    pixels = np.arange(np.prod(shape)).reshape(shape).astype(np.uint8)
    answer = ask(served, encode(pixels))["probabilities"]
    expected = run.model(run.task.preprocessing(pixels[np.newaxis, :, :, np.newaxis]))
    np.testing.assert_allclose(answer, expected, atol=1e-5)


def bomb(width, height):
    """A small PNG file that claims to be large."""

    def chunk(kind, content):
        body = kind + content
        return (
            struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    content = zlib.compress(bytes(100_000))
    signature = b"\x89PNG\r\n\x1a\n"
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", content), chunk(b"IEND", b"")]
    return signature + b"".join(parts)


def jpeg_bomb(encoded, width, height):
    """The JPEG with other numbers in its frame header."""
    frame = encoded.index(b"\xff\xc0")
    size = struct.pack(">HH", height, width)
    return encoded[: frame + 5] + size + encoded[frame + 9 :]


def ask(served, *files):
    answer = served.signatures["serve_image_bytes"](image_bytes=tf.constant(files))
    return {name: value.numpy() for name, value in answer.items()}


def flip(png):
    return png[:100] + bytes([png[100] ^ 64]) + png[101:]


BAD = {
    "empty": (lambda png, jpeg: b"", decoding.NOT_A_PICTURE),
    "text": (lambda png, jpeg: b"<html>404</html>", decoding.NOT_A_PICTURE),
    "gif named png": (lambda png, jpeg: b"GIF89a" + bytes(99), decoding.NOT_A_PICTURE),
    "png cut in half": (lambda png, jpeg: png[: len(png) // 2], decoding.BROKEN),
    "png without end": (lambda png, jpeg: png[:-20], decoding.BROKEN),
    "png header alone": (lambda png, jpeg: png[:20], decoding.BROKEN),
    "png magic alone": (lambda png, jpeg: png[:8], decoding.BROKEN),
    "png with a flipped bit": (lambda png, jpeg: flip(png), decoding.BROKEN),
    "jpeg cut in half": (lambda png, jpeg: jpeg[: len(jpeg) // 2], decoding.BROKEN),
    "jpeg magic alone": (lambda png, jpeg: jpeg[:3], decoding.BROKEN),
    "jpeg header alone": (lambda png, jpeg: jpeg[:150], decoding.BROKEN),
    "jpeg without end": (lambda png, jpeg: jpeg[:-20], decoding.BROKEN),
    "png bomb": (lambda png, jpeg: bomb(60_000, 60_000), decoding.TOO_LARGE),
    "png bomb, huge": (
        lambda png, jpeg: bomb(2**31 + 5, 2**32 - 1),
        decoding.TOO_LARGE,
    ),
    "png bomb, flat": (lambda png, jpeg: bomb(100_000, 1), decoding.TOO_LARGE),
    "jpeg bomb": (lambda png, jpeg: jpeg_bomb(jpeg, 65_000, 65_000), "too large"),
    "jpeg of no size": (lambda png, jpeg: jpeg_bomb(jpeg, 0, 10), decoding.BROKEN),
    "many bytes": (lambda png, jpeg: png + bytes(2**25), decoding.TOO_LARGE),
}


@pytest.mark.parametrize(("bad", "error"), BAD.values(), ids=BAD)
def test_a_bad_file_is_an_error_and_the_good_ones_are_answered(
    bad, error, served, encode, digits, photograph
):
    good = [encode(digit[:, :, 0]) for digit in digits[:2]]
    before = ask(served, *good)
    bad = bad(encode(photograph), encode(photograph, "JPEG"))
    after = ask(served, good[0], bad, good[1])
    assert after["errors"].tolist() == [b"", error.encode(), b""]
    for name, values in before.items():
        np.testing.assert_array_equal(after[name][[0, 2]], values)
    assert after["probabilities"][1].tolist() == [0] * 10
    assert after["top_k_probabilities"][1].tolist() == [0] * 5
    assert after["class_names"][1] == b""
    assert after["top_k_class_names"][1].tolist() == [b""] * 5
    assert after["classes"][1] == -1


def test_no_files_and_no_images_are_answered_with_nothing(served):
    none = tf.zeros((0,), tf.string)
    answer = served.signatures["serve_image_bytes"](image_bytes=none)
    assert answer["probabilities"].shape == (0, 10)
    none = tf.zeros((0, 8, 8, 1), tf.uint8)
    for name in ("serving_default", "serve_attention"):
        answer = served.signatures[name](images=none)
        assert answer["probabilities"].shape == (0, 10)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 8, 8, 1), np.float32),
        np.zeros((1, 8, 8, 3), np.uint8),
        np.zeros((8, 8, 1), np.uint8),
        np.zeros((1, 0, 8, 1), np.uint8),
    ],
    ids=["dtype", "channels", "rank", "no pixels"],
)
def test_wrong_images_are_refused(images, served, digits):
    ask = served.signatures["serving_default"]
    before = ask(images=tf.constant(digits[:1]))["probabilities"]
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError, TypeError)):
        ask(images=tf.constant(images))
    after = ask(images=tf.constant(digits[:1]))["probabilities"]
    np.testing.assert_array_equal(after, before)


def test_a_picture_file_is_decoded_as_an_export_decodes_it(
    run, served, digits, encode, tmp_path
):
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path, digit in zip(paths, digits, strict=False):
        path.write_bytes(encode(digit[:, :, 0]))
    before = decoding.read_in_graph.experimental_get_tracing_count()
    pictures = [decoding.read_picture(path, 1) for path in paths]
    traced = decoding.read_in_graph.experimental_get_tracing_count() - before
    assert traced <= 1  # not once for each file
    inputs = np.stack([run.task.preprocessing(picture) for picture in pictures])
    files = tf.constant([path.read_bytes() for path in paths])
    answer = served.signatures["serve_image_bytes"](image_bytes=files)
    np.testing.assert_allclose(run.model(inputs), answer["probabilities"], atol=1e-5)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"", "not a JPEG or PNG"),
        (b"GIF89a not taken", "not a JPEG or PNG$"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "cannot be decoded$"),
        (bomb(9000, 9000), "too large; allowed: .* 67108864 pixels"),
    ],
)
def test_a_file_that_is_no_picture(content, message, tmp_path):
    path = tmp_path / "picture.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=f"picture.png: .*{message}") as caught:
        decoding.read_picture(path, 1)
    assert "\n" not in str(caught.value)


def test_training_predict_and_an_export_see_the_same_picture(
    run, served, encode, photograph, tmp_path
):
    alpha = np.full(photograph.shape[:2], 3, np.uint8)
    deep = np.arange(60 * 70, dtype=np.uint16).reshape(60, 70) * 15
    files = {
        "turned.jpg": encode(photograph, "JPEG", exif=exif(6)),
        "upside_down.jpg": encode(photograph, "JPEG", exif=exif(3)),
        "16_bits.png": encode(deep),
        "palette.png": encode(photograph, mode="P"),
        "alpha.png": encode(np.dstack([photograph, alpha])),
    }
    for split in ("train", "test"):
        for label in ("a", "b"):
            (tmp_path / split / label).mkdir(parents=True)
            for name, content in files.items():
                (tmp_path / split / label / name).write_bytes(content)
    source = data.open_source("image_folder", str(tmp_path))
    preprocessing = run.task.preprocessing
    grey = {"mean": preprocessing.mean, "std": preprocessing.std}
    source = dataclasses.replace(source, **grey)
    options = {"split": "test", "batch_size": 2 * len(files)}
    ((inputs, _),) = data.build_evaluation(source, preprocessing, **options)
    names = 2 * sorted(files)
    answer = ask(served, *(files[name] for name in names))["probabilities"]
    np.testing.assert_allclose(run.model(inputs), answer, atol=1e-5)
    for name, image in zip(names, inputs, strict=True):
        picture = decoding.read_picture(tmp_path / "test" / "a" / name, 1)
        np.testing.assert_array_equal(preprocessing(picture), image)
    options |= {"augmentation": "none", "seed": 0, "epochs": range(1)}
    ((shuffled, _),) = data.build_training(source, preprocessing, **options)
    seen = {image.tobytes() for image in shuffled.numpy()}
    assert seen == {image.tobytes() for image in inputs.numpy()}
