"""The trained weights that come with the package: their index and their files.

`weights/index.json` has an entry for each; `tools/publish_weights.py` writes it, the
weights, a model card beside them, and `data.json` of the work directory, which has the
class names and the preprocessing of a data set. Importing this module is light.
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from aa_keras.options import Section, check, short

FOLDER = Path(__file__).parent / "weights"
FORMAT = 1  # of the index and the files: one number for all that must fit the code
SUFFIX = ".weights.h5"
# Arguments that leave the trained weights as they are. `include_top=False` also frees
# the number of classes.
FREE = frozenset(
    {
        "input_shape",
        "input_tensor",
        "include_top",
        "pooling",
        "classifier_activation",
        "max_size",
        "name",
    }
)


class Entry(Section):
    """What the index says of trained weights.

    Args:
        file: string, the file of the weights in the folder of the index.
        sha256: string, its checksum.
        format: int, the version of the format.
        data: string, the data set; `data.json` in the folder of that name has the class
            names and the preprocessing.
        input_shape: (height, width, channels) of the images.
        accuracy: float, the share of images of `split` that are classified correctly.
        split: string, the split on which that was measured, once.
        images: int, the images of the split.
        parameters: int, the trainable parameters.
        recipe: string, the experiment that was run.
        epochs: int, its epochs.
        seed: int, its seed: the one nearest to the mean of `accuracies`.
        accuracies: dictionary, the accuracy of each seed that was run.
        licence: string, the licence of the weights.
        revision: string, the revision of the code that trained them.
        experiment: dictionary, the resolved configuration of the run.
    """

    file: str
    sha256: str
    format: int
    data: str
    input_shape: Annotated[tuple[int, int, int], Field(strict=False)]
    accuracy: float
    split: str
    images: int
    parameters: int
    recipe: str
    epochs: int
    seed: int
    accuracies: dict[str, float]
    licence: str
    revision: str | None
    experiment: dict[str, Any]

    @property
    def options(self) -> dict[str, Any]:
        """The options of the family of the network, and the shape of its images."""
        options = {**self.experiment["model"], "input_shape": self.input_shape}
        del options["name"]
        return options

    @property
    def family(self) -> str:
        """The name of the family, as `aa_keras.models.build` takes it."""
        return self.experiment["model"]["name"]


def read_index(folder=None) -> dict[str, Entry]:
    """Returns the entries of an index by name, as in `"cifar100/aa_resnet_8"`.

    Args:
        folder: path of the folder. Defaults to that of this package.

    Raises:
        ValueError: if an entry does not fit this version of the package.
    """
    path = Path(folder or FOLDER) / "index.json"
    entries = {}
    for name, values in json.loads(path.read_text("utf-8")).items():
        if values.get("format") != FORMAT:
            raise ValueError(
                f"{path}: {name}: format: received {short(values.get('format'))}; "
                f"allowed: {FORMAT}"
            )
        try:
            entries[name] = check(Entry, values)
        except ValueError as error:
            raise ValueError(f"{path}: {name}: {error}") from None
    return entries


def list_weights(folder=None) -> dict[str, dict[str, Any]]:
    """Returns what is known of the trained weights that come with the package.

    Args:
        folder: path of a folder of weights. Defaults to that of this package.

    Returns:
        A dictionary from the name of weights, as in `"cifar100/aa_resnet_8"`, to a
        dictionary with `accuracy` on `split`, `parameters`, `recipe` (the experiment),
        `images` (their number), `epochs`, `seed` and the `accuracies` of all seeds,
        `licence`, `revision`, `format` (its version), `file`, `sha256`, `data` and
        `input_shape`.

    Example:

    >>> for name, about in models.list_weights().items():
    ...     print(name, about["accuracy"], about["parameters"])
    """
    return {
        name: entry.model_dump(exclude={"experiment"})
        for name, entry in read_index(folder).items()
    }


def listing(folder=None) -> str:
    """Returns the names of all weights as the end of an error."""
    return ", ".join(read_index(folder)) or "none so far"


def find(weights, network=None, folder=None) -> tuple[str, Entry]:
    """Returns the name and the entry of weights.

    Args:
        weights: string, a name, or the name of a data set with `network`.
        network: string, the name of the network, such as `"aa_resnet_8"`. Defaults to
            `None`, a whole name in `weights`.
        folder: path, as of `read_index`.

    Raises:
        ValueError: if there are none of that name; in one line with all that exist.
    """
    index = read_index(folder)
    name = f"{weights}/{network}" if network else str(weights)
    if name in index:
        return name, index[name]
    own = [repr(one.rpartition("/")[0]) for one in index if _network(one) == network]
    allowed = f" for {network}" if network else ""
    allowed += f": None, {', '.join([*own, 'or the path of a weights file'])}"
    raise ValueError(
        f"weights: received {short(str(weights))}; allowed{allowed}; shipped weights: "
        f"{listing(folder)}"
    )


def _network(name):
    return name.rpartition("/")[2]


def verified_file(name, entry, folder=None) -> Path:
    """Returns the path of the weights' file.

    Raises:
        ValueError: if it is missing, or its checksum is not that of the index.
    """
    path = Path(folder or FOLDER) / entry.file
    if not path.is_file():
        raise ValueError(f"{path}: missing; install aa-keras again for {name}")
    found = checksum(path)
    if found != entry.sha256:
        raise ValueError(
            f"{path}: damaged or changed: its SHA-256 is {found}, that of {name} is "
            f"{entry.sha256}; install aa-keras again"
        )
    return path


def checksum(path) -> str:
    """Returns the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_data(data, folder=None) -> dict[str, Any]:
    """Returns the `class_names` and the `preprocessing` of a data set.

    Args:
        data: string, the name of the data set of shipped weights.
        folder: path, as of `read_index`.

    Raises:
        ValueError: if there are no weights for it.
    """
    folder = Path(folder or FOLDER)
    path = folder / str(data) / "data.json"
    known = sorted(file.parent.name for file in folder.glob("*/data.json"))
    if data not in known:
        raise ValueError(f"data: received {data!r}; allowed: {', '.join(known)}")
    return json.loads(path.read_text("utf-8"))


def check_options(name, entry, family, given, resolve) -> None:
    """Raises ValueError for an option that is not that of the trained network.

    Args:
        name: string, the name of the weights.
        entry: an `Entry`.
        family: string, the family of the network that is built.
        given: dictionary, the options that the caller chose.
        resolve: function from a family and its options to all options as plain data.
    """
    if family != entry.family:
        raise ValueError(
            f"name: received {family!r}; allowed with {name}: {entry.family!r}"
        )
    options = {k: v for k, v in entry.options.items() if k != "input_shape"}
    trained = resolve(family, **options)
    is_free = FREE if given.get("include_top", True) else FREE | {"classes"}
    for key in given.keys() - is_free:
        if key == "convolution":  # no option of the family, always None in training
            received = given[key]
        else:
            received = resolve(family, **{**options, key: given[key]})[key]
        if received != trained.get(key):
            raise ValueError(
                f"{key}: received {short(given[key])}; allowed with {name}: nothing, "
                f"or {trained.get(key)!r}, as it was trained"
            )


def assign(source, target, name) -> None:
    """Gives the layers of a network the weights of those with the same names.

    Args:
        source: the trained network.
        target: the network of other `FREE` arguments.
        name: string, the name of the weights.

    Raises:
        ValueError: if weights do not fit, because the images have another size.
    """
    targets = {layer.name: layer for layer in target.layers}
    for layer in source.layers:
        if layer.name not in targets:  # the classifier
            continue
        ours = [tuple(weight.shape) for weight in targets[layer.name].weights]
        theirs = [tuple(weight.shape) for weight in layer.weights]
        if ours != theirs:
            shape, trained = (tuple(m.inputs[0].shape[1:]) for m in (target, source))
            known = None not in shape and shape != trained
            given = (
                f"input_shape: received {shape}"
                if known
                else "max_size: received another"
            )
            raise ValueError(
                f"{given}; allowed with {name}: {trained}, as it was trained; to take "
                "another size, call aa_keras.layers.resize_relative_embeddings after"
            )
        targets[layer.name].set_weights(layer.get_weights())
