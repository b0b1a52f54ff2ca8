"""Bad and hostile pictures cost an export neither the batch nor its time."""

import time

import numpy as np
import pytest
import tensorflow as tf

from aa_keras import data
from aa_keras.data import served_decoding
from aa_keras.tasks.serving_network import preprocess_files
from tests.faults import hostile_pictures

SECONDS = 2.0  # of computation: other programs of the machine do not count


@pytest.fixture(scope="module")
def ask(served):
    """A function from files to an answer, dictionary of arrays."""

    def ask(*files):
        signature = served.signatures["serve_image_bytes"]
        answer = signature(image_bytes=tf.constant(files))
        return {name: value.numpy() for name, value in answer.items()}

    ask(b"")  # the first request of a kind takes longer
    return ask


HOSTILE = {
    "4096 x 4096, 100 scans": (4096, 90, b"too many scans"),
    "4096 x 4096, 1,000 scans": (4096, 1000, b"too many scans"),
    "64 x 64, 3,000 scans": (64, 2990, b"too many scans"),
    "1638 x 1638, 100 scans": (1638, 90, b""),  # the most work that is accepted
}


@pytest.mark.parametrize(
    ("side", "repetitions", "error"), HOSTILE.values(), ids=HOSTILE
)
def test_a_jpeg_of_many_scans_is_refused_or_soon_decoded(
    side, repetitions, error, ask, encode, digits
):
    good = encode(digits[0, :, :, 0])
    file = hostile_pictures.progressive_jpeg(side, repetitions)
    started = time.process_time()
    answer = ask(good, file)
    assert time.process_time() - started < SECONDS
    assert answer["errors"].tolist() == [b"", error]
    np.testing.assert_array_equal(answer["class_names"] == b"", answer["errors"] != b"")


def test_a_jpeg_in_arithmetic_coding_is_not_decoded(ask, encode, digits):
    file = encode(digits[0, :, :, 0], "JPEG")
    assert b"\xff\xc0\0" in file  # the frame of a baseline JPEG
    for marker in (b"\xff\xc9\0", b"\xff\xca\0"):
        other = file.replace(b"\xff\xc0\0", marker)
        answer = ask(file, other)
        assert answer["errors"].tolist() == [b"", b"cannot be decoded"]
    assert served_decoding.screen(tf.constant([other]))[1] == 0  # costs nothing


COSTLY = {
    "interlaced": ({"side": 8192, "interlaced": True}, b"too large"),
    "16 bits": ({"side": 8192, "bits": 16}, b"too large"),
    "100 texts": ({"side": 8, "texts": 100}, b"too large"),
    "10 texts": ({"side": 8, "texts": 10}, b""),
    "16 bits, smaller": ({"side": 2048, "bits": 16, "interlaced": True}, b""),
}


@pytest.mark.parametrize(("options", "error"), COSTLY.values(), ids=COSTLY)
def test_a_png_that_takes_long_is_refused(options, error, ask):
    file = hostile_pictures.png(**options)
    started = time.process_time()
    assert ask(file)["errors"].tolist() == [error]
    assert time.process_time() - started < SECONDS


def test_a_request_that_costs_too_much_answers_its_cheapest_pictures(
    monkeypatch, encode
):
    sides = (300, 10, 200, 100)
    files = [encode(np.full((n, n), n // 2, np.uint8)) for n in sides]
    _, costs = served_decoding.screen(tf.constant(files))
    work = [2 * n * n / 2**28 for n in sides]
    sizes = [len(file) / 2**25 for file in files]
    np.testing.assert_allclose(costs, np.maximum(work, sizes), rtol=1e-6)
    monkeypatch.setattr(served_decoding, "MAX_REQUEST", 2.1 * 200**2 * 2 / 2**28)
    preprocessing = data.Preprocessing(4, (0.0,), (1 / 255,))

    def preprocess():  # as a graph, like an export: operation by operation is slow
        graph = tf.function(preprocess_files, autograph=False)
        return graph(preprocessing, tf.constant(files))

    inputs, sizes, errors = preprocess()
    assert errors.numpy().tolist() == [b"request too large", b"", b"", b""]
    assert sizes.numpy().tolist()[1:] == [[n, n] for n in sides[1:]]
    np.testing.assert_allclose(inputs[:, 0, 0, 0], [0, 5, 100, 50], atol=1e-3)
    monkeypatch.undo()
    _, _, errors = preprocess()
    assert errors.numpy().tolist() == [b""] * 4


def test_a_request_may_cost_as_much_as_eight_files():
    nine = tf.constant([1.0] * 9 + [0.0])
    covered = served_decoding.covered(nine).numpy()
    assert covered.tolist() == [True] * 8 + [False, True]
    assert not served_decoding.is_covered(nine)
    assert served_decoding.is_covered(nine[1:])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_row_that_is_not_finite_is_refused(value, served):
    inputs = np.random.default_rng(0).normal(size=(3, 8, 8, 1)).astype("float32")
    ask = served.signatures["serve_preprocessed"]
    expected = ask(inputs=tf.constant(inputs))
    inputs[1, 3, 4, 0] = value
    answer = ask(inputs=tf.constant(inputs))
    assert answer["errors"].numpy().tolist() == [b"", b"not finite", b""]
    for name in answer:
        np.testing.assert_array_equal(answer[name][::2], expected[name][::2])
    assert not answer["probabilities"][1].numpy().any()
    assert answer["class_names"][1] == b""


def test_a_network_that_overflows_is_not_answered_with_a_class(served):
    answer = served.signatures["serve_preprocessed"](inputs=tf.fill((1, 8, 8, 1), 3e38))
    assert answer["errors"].numpy().tolist() == [b"not finite"]
    assert not answer["probabilities"].numpy().any()
