"""The wheel, from the source distribution, in environments that have nothing else."""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PIP = ("-m", "pip", "--disable-pip-version-check")
pytestmark = pytest.mark.slow

UNVERSIONED = (ROOT / ".gitignore").read_text().replace("/", "").split()
UNVERSIONED += [".git", ".ci", ".github"]  # these two are of the repository alone

# What a Keras user does with the core packages and another backend alone.
ON_JAX = """
import sys
import keras
import numpy as np
from aa_keras import layers
assert not {"tensorflow", "pydantic", "yaml"} & set(sys.modules)
from aa_keras import counting, models
images = np.random.default_rng(0).normal(size=(4, 16, 16, 3)).astype("float32")
small = keras.Sequential([
    keras.Input((16, 16, 3)),
    layers.AugmentedConv2D(16, 3, num_heads=2),
    keras.layers.GlobalAveragePooling2D(),
    keras.layers.Dense(3, activation="softmax"),
])
small.compile("sgd", "sparse_categorical_crossentropy")
fitted = small.fit(images, np.arange(4) % 3, epochs=9, verbose=0).history["loss"]
assert fitted[-1] < fitted[0], fitted
small.save("small.keras")
loaded = keras.models.load_model("small.keras")
np.testing.assert_allclose(loaded(images), small(images), rtol=1e-5)
network = models.AAResNet20(input_shape=(16, 16, 3))
np.testing.assert_allclose(np.sum(network(images), axis=-1), 1, rtol=1e-5)
for name, about in models.list_weights().items():
    trained = models.build("resnet", weights=name)
    assert counting.count(trained).params == about["parameters"], name
scaled = models.preprocess_input(128 + 50 * images[:, :, :, :3])
assert abs(scaled.mean()) < 1, scaled.mean()
large = models.AAResNet50()
print(keras.backend.backend(), counting.count(large).params, large.name)
"""


class Environment:
    """A virtual environment with the wheel, and a folder to work in."""

    def __init__(self, folder):
        self.folder, self.bin = folder, folder / "environment" / "bin"
        venv.create(folder / "environment", with_pip=True)

    def install(self, *packages):
        constraints = ROOT / "requirements.txt"
        options = ("install", "--quiet", "--constraint", constraints)
        self.run("python", *PIP, *options, *packages)

    def run(self, program, *arguments, status=0, **variables):
        done = subprocess.run(
            [str(self.bin / program), *map(str, arguments)],
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.folder), **variables},
        )
        assert done.returncode == status, done.stderr + done.stdout
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The core packages, JAX, and what builds the wheel, which lies in `wheel`."""
    folder = tmp_path_factory.mktemp("bare")
    bare = Environment(folder)
    # Built from a copy: setuptools writes its folders beside the sources.
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*UNVERSIONED))
    bare.run("python", *PIP, "install", "--quiet", "setuptools>=77")
    program = (
        "import os, setuptools.build_meta as b; os.chdir('source'); b.build_sdist('..')"
    )
    bare.run("python", "-c", program)
    (sdist,) = folder.glob("*.tar.gz")
    bare.run("python", *PIP, "wheel", "--no-deps", "--wheel-dir", "wheel", sdist)
    (jax,) = re.findall(r"^jax==\S+", (ROOT / "requirements-dev.txt").read_text(), re.M)
    bare.install(wheel_of(bare), jax)
    return bare


@pytest.fixture(scope="module")
def train(bare, tmp_path_factory):
    train = Environment(tmp_path_factory.mktemp("train"))
    train.install(f"{wheel_of(bare)}[train]")
    return train


def wheel_of(environment):
    (wheel,) = (environment.folder / "wheel").glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def unpacked(bare):
    """The source distribution, unpacked."""
    (sdist,) = bare.folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(bare.folder / "unpacked", filter="data")
    (unpacked,) = (bare.folder / "unpacked").iterdir()
    return unpacked


def files_in(folder):
    paths = (path for path in folder.rglob("*") if path.is_file())
    names = {path.relative_to(folder).as_posix() for path in paths}
    return {n for n in names if not re.search(r"\.egg-info/|__pycache__/", n)}


def test_the_source_distribution_contains_what_the_checkout_has(bare, unpacked):
    made = {"PKG-INFO", "setup.cfg"}  # by setuptools
    assert files_in(unpacked) - made == files_in(bare.folder / "source")


def test_the_source_distribution_runs_its_tests(unpacked):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    files = ["tests/test_names.py", "tests/layers/test_functions.py"]
    done = subprocess.run(
        [*command, *files], cwd=unpacked, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


def test_the_long_description_stands_alone(bare, unpacked):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    address = project["urls"]["Repository"]
    text = (unpacked / "PKG-INFO").read_text().partition("\n\n")[2]
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    assert any(target.startswith(f"{address}/raw/main/docs/") for target in targets)
    assert [target for target in targets if ":" not in target] == []
    for target in targets:
        inside = re.fullmatch(f"{address}/(?:raw|blob)/main/([^#]+).*", target)
        assert not inside or (ROOT / inside[1]).exists(), target


def test_the_wheel_contains_what_the_checkout_has(bare):
    with zipfile.ZipFile(wheel_of(bare)) as wheel:
        packed = {name for name in wheel.namelist() if name.startswith("aa_keras/")}
    kinds = ("*.py", "*.pyi", "*.typed", "page.*", "paper/*.yaml")
    kinds += ("weights/*.json", "weights/*/*")
    files = [file for kind in kinds for file in (ROOT / "aa_keras").rglob(kind)]
    expected = {file.relative_to(ROOT).as_posix() for file in files}
    experiments = (ROOT / "experiments").rglob("*.yaml")
    expected |= {
        f"aa_keras/{file.relative_to(ROOT).as_posix()}" for file in experiments
    }
    assert packed == expected


def test_layers_and_networks_need_no_tensorflow(bare):
    packages = json.loads(bare.run("python", *PIP, "list", "--format", "json"))
    installed = {package["name"].lower() for package in packages}
    assert not installed & {"tensorflow", "click", "pyyaml", "matplotlib", "keras-cv"}
    printed = bare.run("python", "-c", ON_JAX, KERAS_BACKEND="jax").splitlines()
    assert printed[-1] == "jax 25809392 aa_resnet_50"


def test_the_command_without_click_says_what_to_install(bare):
    for arguments in ((), ("--help",), ("train", "imagenet/resnet_50")):
        (line,) = bare.run("aa-keras", *arguments, status=2).splitlines()
        assert re.fullmatch(
            r"aa-keras: error: needs .*click.*: pip install 'aa-keras\[train\]'", line
        )


def test_the_wheel_trains_by_name_in_any_folder(train):
    arguments = ("--workdir", "run", "--set", "train.epochs=15")
    train.run("aa-keras", "train", "quickstart/digits_aa_resnet", *arguments)
    result = json.loads((train.folder / "run" / "result.json").read_text())
    assert result["metrics"]["test"]["accuracy"] > 0.9
    options = ("--set", "model.attention=null")
    assert "72,686" in train.run("aa-keras", "summary", "quickstart/digits_aa_resnet")
    plain = train.run("aa-keras", "summary", "quickstart/digits_aa_resnet", *options)
    assert "75,002" in plain


# Each before anything is loaded, trained or written.
MISSING = {
    "detection": ("train coco/aa_retinanet_50 --workdir new", "keras-cv, pycocotools"),
    "viz": ("maps run a.png --out b.png", "matplotlib"),
    "onnx": ("export run out --format onnx", "onnx, onnxruntime, tf2onnx"),
    "litert": ("export run out --format litert", "ai-edge-litert"),
}


@pytest.mark.parametrize("extra", MISSING)
def test_a_command_names_the_extra_that_it_lacks(train, extra):
    command, packages = MISSING[extra]
    (train.folder / "a.png").touch()
    (line,) = train.run("aa-keras", *command.split(), status=2).splitlines()
    told = f"needs {packages}, not installed here: pip install 'aa-keras[{extra}]'"
    assert line == f"aa-keras: error: {told}"
    assert not (train.folder / "new").exists()
