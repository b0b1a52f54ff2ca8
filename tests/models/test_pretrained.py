"""Trained weights by name: what is built, what is refused, and the accuracy stated."""

import hashlib
import json
import shutil

import keras
import numpy as np
import pytest

from aa_keras import config, finished_runs, models
from aa_keras.config import shipped
from aa_keras.models import pretrained, registry
from aa_keras.paper.collection import UNCHANGING_KEYS
from aa_keras.training import evaluation

SHIPPED = pretrained.read_index()
PUBLISHED = "digits/aa_resnet_8"  # by the fixture, from a run of the tests
BIG = 100_000  # parameters: a test split takes longer than ten seconds


def shipped_names():
    for name, entry in SHIPPED.items():
        marks = [pytest.mark.slow] if entry.parameters > BIG else []
        yield pytest.param(name, marks=marks)


def build(folder, weights="digits", network="aa_resnet_8", **options):
    """What `models.AAResNet8(weights="digits", ...)` builds from that folder."""
    defaults = {"depth": 8, "attention": {}, "classes": 10, "input_shape": (32, 32, 3)}
    return registry.build_network(
        "resnet", options, weights, defaults=defaults, network=network, folder=folder
    )


@pytest.fixture(scope="module")
def trained(quickstart_run):
    return keras.saving.load_model(quickstart_run / "model.keras")


@pytest.fixture(scope="module")
def inputs(digits):
    return digits[:16].astype("float32") / 255


@pytest.mark.parametrize("name", [*shipped_names(), PUBLISHED])
def test_the_weights_have_the_accuracy_that_is_stated(name, published, request):
    folder, data_dir = published, None
    if name in SHIPPED:
        folder, data_dir = None, request.getfixturevalue("real_data_dir")
    run = finished_runs.find_run(name, folder)
    metrics, _ = evaluation.measure_run(run.load(), run.entry.split, data_dir)
    assert metrics["images"] == run.entry.images
    assert abs(metrics["accuracy"] - run.entry.accuracy) <= 0.0005


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_weights_are_those_of_an_experiment_and_a_commit(name):
    entry = SHIPPED[name]
    (path,) = [
        path
        for path in shipped.experiment_files().values()
        if path.stem == entry.recipe
    ]
    file = config.resolve(config.load(path))
    run = config.parse(dict(entry.experiment), path)
    assert config.differences(file, run, UNCHANGING_KEYS) == {}
    assert entry.revision
    assert not entry.revision.endswith("-dirty")
    assert (pretrained.FOLDER / entry.file).stat().st_size < 1_500_000
    assert entry.sha256 in (pretrained.FOLDER / f"{name}.md").read_text("utf-8")


def test_the_folder_has_no_file_that_the_index_lacks():
    expected = {
        "index.json",
        *(f"{entry.data}/data.json" for entry in SHIPPED.values()),
    }
    expected |= {entry.file for entry in SHIPPED.values()}
    expected |= {f"{name}.md" for name in SHIPPED} | {"cifar100/data.json"}
    files = [path for path in pretrained.FOLDER.rglob("*") if path.is_file()]
    found = {path.relative_to(pretrained.FOLDER).as_posix() for path in files}
    assert found == expected


def test_what_is_known_of_the_weights(published, quickstart_run):
    result = json.loads((quickstart_run / "result.json").read_text())
    ((name, about),) = models.list_weights(published).items()
    assert name == PUBLISHED
    content = (published / about["file"]).read_bytes()
    assert about["sha256"] == hashlib.sha256(content).hexdigest()
    assert about["accuracy"] == round(result["metrics"]["test"]["accuracy"], 6)
    assert about["parameters"] == result["params"]
    assert (about["recipe"], about["seed"], about["epochs"]) == (
        "digits_aa_resnet",
        0,
        15,
    )
    assert (about["licence"], about["format"]) == ("Apache-2.0", 1)
    assert about["revision"] == result["processes"][-1]["git_revision"]
    assert models.list_weights().keys() == SHIPPED.keys()


def test_the_network_is_the_trained_one(published, trained, inputs):
    built = build(published)
    assert built.name == "aa_resnet_8"
    np.testing.assert_array_equal(built(inputs), trained(inputs))
    assert all(weight.dtype == "float32" for weight in built.weights)
    # The same options, said again; the whole name, of which nothing else is needed.
    attention = {"num_heads": 4, "key_ratio": 0.5, "min_key_depth_per_head": 0}
    again = build(published, attention={**attention, "stages": [1, 2, 3]}, classes=10)
    np.testing.assert_array_equal(again(inputs), trained(inputs))
    named = registry.build_network("resnet", {}, PUBLISHED, folder=published)
    np.testing.assert_array_equal(named(inputs), trained(inputs))


def test_another_end_and_another_beginning(published, trained, inputs):
    logits = build(published, classifier_activation=None, name="mine")
    assert logits.name == "mine"
    expected = trained(inputs)
    np.testing.assert_allclose(keras.ops.softmax(logits(inputs)), expected, rtol=1e-5)
    image = keras.Input((8, 8, 1))
    # A convolution in front: Keras numbers those of a file.
    front = keras.layers.Conv2D(1, 1, kernel_initializer="ones", name="front")
    body = build(
        published,
        input_tensor=front(image),
        include_top=False,
        pooling="avg",
        classes=7,
    )
    kernel, bias = trained.layers[-1].get_weights()
    scores = keras.ops.softmax(body(inputs) @ kernel + bias)
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 7}, "classes: received 7; allowed with .*: nothing, or 10"),
        ({"attention": {}}, r"attention: received {}; allowed .*'key_ratio': 0.5"),
        ({"attention": None}, "attention: received None; allowed"),
        ({"widths": [16, 32, 68]}, r"widths: received \[16, 32, 68\]; allowed"),
        ({"width": 2}, "width: unknown key, received 2"),
        ({"convolution": keras.layers.Conv2D}, "convolution: received .*or None"),
        (
            {"input_shape": (12, 12, 1)},
            r"input_shape: received \(12, 12, 1\); allowed with .*: \(8, 8, 1\)",
        ),
        ({"input_shape": (8, 8, 3)}, r"input_shape: received \(8, 8, 3\)"),
        (
            {"max_size": (9, 9)},
            r"max_size: received another; allowed .*: \(8, 8, 1\)",
        ),
        (
            {"weights": "imagenet"},
            "weights: received 'imagenet'; allowed for aa_resnet_8: None, 'digits', or "
            "the path of a weights file; shipped weights: digits/aa_resnet_8",
        ),
        (
            {"network": "resnet_8"},
            "weights: received 'digits'; allowed for resnet_8: None, or the path of a "
            "weights file; shipped weights: digits/aa_resnet_8",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options, message, published):
    with pytest.raises(ValueError, match=message) as error:
        build(published, **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("damaged", [True, False])
def test_a_file_that_does_not_fit_is_one_line(damaged, published, tmp_path):
    path = tmp_path / "some.weights.h5"
    path.write_bytes(b"no weights")
    if not damaged:
        path = published / f"{PUBLISHED}.weights.h5"  # of 10 classes
    with pytest.raises(ValueError, match=f"^weights: {path}: ") as error:
        models.build("resnet", depth=8, input_shape=(8, 8, 1), classes=7, weights=path)
    assert "\n" not in str(error.value)


def test_another_family_is_refused(published):
    message = "name: received 'mnasnet'; allowed with digits/aa_resnet_8: 'resnet'"
    with pytest.raises(ValueError, match=message):
        registry.build_network("mnasnet", {}, PUBLISHED, folder=published)


def change(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: change(folder / f"{PUBLISHED}.weights.h5", b"\0", b"\1"),
            "weights.h5: damaged or changed: its SHA-256 is .*install aa-keras again",
        ),
        (
            lambda folder: (folder / f"{PUBLISHED}.weights.h5").unlink(),
            "weights.h5: missing; install aa-keras again",
        ),
        (
            lambda folder: change(
                folder / "index.json", b'"format": 1', b'"format": 2'
            ),
            "digits/aa_resnet_8: format: received 2; allowed: 1",
        ),
        (
            lambda folder: change(folder / "index.json", b'"sha256"', b'"sha"'),
            "digits/aa_resnet_8: sha: unknown key",
        ),
    ],
)
def test_damaged_weights_are_not_loaded(damage, message, published, tmp_path):
    shutil.copytree(published, tmp_path / "weights")
    damage(tmp_path / "weights")
    for load in (
        lambda: build(tmp_path / "weights"),
        lambda: finished_runs.find_run(PUBLISHED, tmp_path / "weights").load(),
    ):
        with pytest.raises(ValueError, match=message) as error:
            load()
        assert "\n" not in str(error.value)
