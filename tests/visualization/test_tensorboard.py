"""The callback's event files, read back with TensorBoard's own reader."""

import io

import numpy as np
import pytest
from PIL import Image

from aa_keras import models, visualization

QUERIES = [(1, 6)]


@pytest.fixture
def network():
    model = models.build(
        "resnet", depth=8, input_shape=(8, 8, 1), classes=3, attention={}
    )
    model.compile("sgd", "categorical_crossentropy", jit_compile=False)
    return model


def train(network, callback, epochs):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(4, 8, 8, 1)).astype("float32")
    network.fit(
        x, np.eye(3)[[0, 1, 2, 0]], epochs=epochs, verbose=0, callbacks=callback
    )


def test_pictures_of_the_chosen_epochs(network, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    image = np.random.default_rng(1).normal(size=(8, 8, 1)).astype("float32")
    name = "stage3_block1_conv1"
    watch = visualization.AttentionMaps(
        tmp_path, image, QUERIES, epochs=range(0, 9, 2), layers=[name]
    )
    train(network, [watch], epochs=3)

    events = EventAccumulator(str(tmp_path), size_guidance={"tensors": 0})
    events.Reload()
    assert events.Tags()["tensors"] == [f"attention/{name}"]
    pictures = events.Tensors(f"attention/{name}")
    assert [picture.step for picture in pictures] == [0, 2]
    # The last one was drawn from the weights that the network has now.
    scores = visualization.attention_scores(network, image[None], QUERIES, [name])
    figure = visualization.draw_attention_maps(
        image, scores[name][0], QUERIES, title=f"{name}, epoch 2"
    )
    file = io.BytesIO()
    figure.savefig(file)
    expected = Image.open(file).convert("RGB")
    # A summary of images: width, height, then the encoded pictures.
    written = Image.open(io.BytesIO(pictures[-1].tensor_proto.string_val[2]))
    np.testing.assert_array_equal(np.asarray(written), np.asarray(expected))


def test_mistakes_show_before_training(network, tmp_path):
    image = np.zeros((8, 8, 1), "float32")
    for arguments, message in (
        ({"layers": ["head"]}, "'head'; allowed: stage2_block1_conv1"),
        ({"queries": [(8, 0)]}, r"\(8, 0\)"),
    ):
        arguments = {"queries": QUERIES} | arguments
        watch = visualization.AttentionMaps(tmp_path, image, **arguments)
        with pytest.raises(ValueError, match=message):
            train(network, [watch], epochs=1)
    assert not list(tmp_path.iterdir())
