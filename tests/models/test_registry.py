"""Networks of others: built, checked and configured as the project's own."""

import re
import sys
from functools import partial

import keras
import pytest

from aa_keras import config, models, training
from aa_keras.paper.summary import summarize, summary_as_text

EXPERIMENT = """
import: [own_networks]
model: {name: linear, classes: 10, hidden: 8}
data: {name: digits, batch_size: 32, image_size: 8}
train:
  epochs: 1
  optimizer: {name: adamw, learning_rate_per_256: 0.01}
  schedule: {name: constant}
"""
MODULE = """
import keras
from aa_keras import models

def build_linear(
    hidden: int, activation: str = "relu", *, input_shape, classes,
    classifier_activation="softmax",
):
    return keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Flatten(),
        keras.layers.Dense(hidden, activation),
        keras.layers.Dense(classes, classifier_activation),
    ])

models.register("linear", build_linear)
"""


@pytest.fixture(autouse=True)
def restored():
    """Leaves no network registered for the tests that come later."""
    registered, networks = dict(models.registry._REGISTERED), dict(models.spec.NETWORKS)
    yield
    for current, before in (
        (models.registry._REGISTERED, registered),
        (models.spec.NETWORKS, networks),
    ):
        current.clear()
        current.update(before)


def test_a_convolution_of_ones_own_in_every_block():
    class Marked(keras.layers.Conv2D):
        pass

    build = partial(models.build_resnet, convolution=Marked)
    models.register("marked", build, options=models.spec.ResNet)
    own = models.build("marked", depth=14, input_shape=(32, 32, 3), classes=10)
    names = [layer.name for layer in own.layers if isinstance(layer, Marked)]
    assert names == [f"stage{s}_block{b}_conv1" for s in (1, 2, 3) for b in (1, 2)]
    plain = models.build("resnet", depth=14, input_shape=(32, 32, 3), classes=10)
    assert own.count_params() == plain.count_params()
    with pytest.raises(ValueError, match=r"widht: unknown key.*did you mean 'widths'"):
        models.resolved_options("marked", depth=14, classes=10, widht=1)


def test_names_of_the_project_stay():
    with pytest.raises(ValueError, match=r"received 'resnet'; allowed: none of"):
        models.register("resnet", models.build_resnet)


def test_a_file_imports_what_it_names(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "own_networks.py").write_text(MODULE)
    path = tmp_path / "own.yaml"
    path.write_text(EXPERIMENT)
    experiment = config.load(path)
    options = experiment.model.model_dump()
    assert options == {
        "name": "linear",
        "classes": 10,
        "hidden": 8,
        "activation": "relu",
    }
    model = models.build(input_shape=(8, 8, 1), **options)
    assert model.count_params() == 64 * 8 + 8 + 8 * 10 + 10
    (network,) = re.findall(
        r"^  network .*$", summary_as_text(summarize(experiment)), re.M
    )
    assert (
        network.split(None, 1)[1]
        == "name linear, classes 10, hidden 8, activation relu"
    )
    # Pictures of attention are requested from a network that has none.
    pictures = config.load(path, ["train.attention_maps_every=1"])
    result = training.train(pictures, tmp_path / "trained")
    assert result["metrics"]["test"]["images"] == 359
    again = training.load_run(tmp_path / "trained")
    assert again.model.count_params() == model.count_params()
    saved = tmp_path / "run" / "saved.yaml"  # in another folder than the module
    saved.parent.mkdir()
    saved.write_text(config.dump(experiment))
    assert config.load(saved) == config.load(path)
    for override, message in (
        ("model.hidden=1.5", r"model.hidden: received 1.5; allowed: a whole number"),
        ("model.hiden=1", r"model.hiden: unknown key.*did you mean 'hidden'"),
        ("model.name=cubic", r"model.name: received 'cubic'; allowed: .*'linear'"),
        ("import=[no_such]", r"import: received 'no_such'.*ModuleNotFoundError"),
        ("imports=[x]", r"imports: unknown key.*allowed: name, smoke, import,"),
    ):
        with pytest.raises(config.ConfigError, match=message) as error:
            config.load(path, [override])
        assert "\n" not in str(error.value)
