"""An exported detector: boxes in pixels of the images it was asked about."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import load_sample_images

from aa_keras import data, export
from aa_keras.models import retinanet

SIZE = 64
NAMES = ("cat", "dog", "größer")
PREPROCESSING = data.DetectionPreprocessing(SIZE, (0.5,) * 3, (0.25,) * 3)


@pytest.fixture(scope="module")
def detector():
    """A small RetinaNet that is sure of something, though not of the right thing."""
    keras.utils.set_random_seed(0)
    model = retinanet.RetinaNet(
        34,
        input_shape=(SIZE, SIZE, 3),
        classes=3,
        attention=None,
        decoding={"serving_score_threshold": 0.3, "max_boxes": 20},
    )
    for layer in model.layers:
        if layer.name in ("class_predictions", "box_predictions"):
            kernel, bias = layer.get_weights()
            layer.set_weights([30 * kernel, np.zeros_like(bias)])
    return model


@pytest.mark.slow
def test_export(detector, encode, tmp_path):
    path = export.export_saved_model(
        detector, tmp_path, preprocessing=PREPROCESSING, class_names=NAMES
    )
    signatures = tf.saved_model.load(str(path)).signatures
    assert sorted(signatures) == [
        "serve_image_bytes",
        "serve_preprocessed",
        "serving_default",
    ]
    photographs = load_sample_images().images
    images = [photographs[0], photographs[1][:100, :37]]
    inputs = np.stack([PREPROCESSING(image) for image in images])
    outputs = detector(inputs, training=False)
    found = detector.decode_predictions(outputs, inputs, serving=True)
    found = {key: np.asarray(value) for key, value in found.items()}
    assert ((found["classes"] >= 0).sum(axis=1) > 0).all()

    files = tf.constant([encode(image) for image in images])
    by_file = signatures["serve_image_bytes"](image_bytes=files)
    on_inputs = signatures["serve_preprocessed"](inputs=tf.constant(inputs))
    for row, image in enumerate(images):
        by_pixels = signatures["serving_default"](images=tf.constant(image[np.newaxis]))
        count = int((found["classes"][row] >= 0).sum())
        boxes = PREPROCESSING.to_original(found["boxes"][row], image.shape[:2])
        for answer, index, expected in (
            (by_pixels, 0, boxes),
            (by_file, row, boxes),
            (on_inputs, row, np.clip(found["boxes"][row], 0, SIZE)),
        ):
            kept = slice(0, count)
            assert answer["num_detections"][index] == count
            np.testing.assert_array_equal(
                answer["classes"][index], found["classes"][row]
            )
            np.testing.assert_allclose(
                answer["scores"][index][kept], found["confidence"][row][kept], atol=1e-5
            )
            np.testing.assert_allclose(
                answer["boxes"][index][kept], expected[kept], atol=1e-2
            )
            named = [
                NAMES[int(c)].encode() if c >= 0 else b"" for c in found["classes"][row]
            ]
            assert answer["class_names"][index].numpy().tolist() == named
    with_bad = signatures["serve_image_bytes"](
        image_bytes=tf.constant([encode(images[0]), b"bad", encode(images[1])])
    )
    assert with_bad["errors"].numpy().tolist() == [b"", b"not a JPEG or PNG", b""]
    no_numbers = np.insert(inputs, 1, np.nan, axis=0)
    with_nan = signatures["serve_preprocessed"](inputs=tf.constant(no_numbers))
    assert with_nan["errors"].numpy().tolist() == [b"", b"not finite", b""]
    for answer, alone in ((with_bad, by_file), (with_nan, on_inputs)):
        for name in ("classes", "class_names", "num_detections"):
            np.testing.assert_array_equal(answer[name][::2], alone[name])
        for name in ("boxes", "scores"):
            np.testing.assert_allclose(answer[name][::2], alone[name], atol=1e-2)
        assert answer["num_detections"][1] == 0
        assert (answer["classes"][1].numpy() == -1).all()
        assert (answer["boxes"][1].numpy() == -1).all()
        assert (answer["class_names"][1].numpy() == b"").all()
    none = signatures["serve_image_bytes"](image_bytes=tf.zeros((0,), tf.string))
    assert none["boxes"].shape == (0, 20, 4)
    card = json.loads((path / "assets.extra/model_card.json").read_text())
    assert card["signatures"]["serving_default"]["outputs"]["boxes"]["shape"] == [
        None,
        20,
        4,
    ]


@pytest.mark.parametrize("file_format", ["onnx", "litert"])
def test_other_formats_are_for_classifiers(file_format, detector, tmp_path):
    with pytest.raises(ValueError, match="allowed for detection: 'saved"):
        export.export_model(
            detector,
            tmp_path / "out",
            format=file_format,
            preprocessing=PREPROCESSING,
            class_names=NAMES,
        )
    assert list(tmp_path.iterdir()) == []
