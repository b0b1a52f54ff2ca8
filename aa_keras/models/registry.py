"""`build` for any network of a family, and the networks of others.

A family's module is imported when it is used, because RetinaNet's KerasCV loads slowly.
"""

import importlib
import inspect
import os
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import pydantic

from aa_keras.models import pretrained, spec
from aa_keras.options import check

if TYPE_CHECKING:
    import keras

FAMILIES = tuple(spec.NETWORKS)  # those of this package
_REGISTERED: dict[str, Callable[..., "keras.Model"]] = {}


def build(
    name: str, *, weights: str | os.PathLike[str] | None = None, **options: Any
) -> "keras.Model":
    """Builds a network of a family.

    Args:
        name: string, `"resnet"`, `"wide_resnet"`, `"mnasnet"`, `"retinanet"` or
            `"stack"`.
        weights: the path of a weights file, or the name of weights that come with the
            package, as in `"cifar100/aa_resnet_8"`. The network is then the trained
            one: options that are not given are its own, and others are refused. See
            `list_weights`. Defaults to `None`, random weights.
        **options: the options of the family in `aa_keras.models.spec`, and what
            follows here. A RetinaNet and a stack have no `input_tensor`, top, `pooling`
            or `convolution`; a RetinaNet returns logits.
        input_shape: (height, width, channels) of the images; height and width may be
            `None`. Defaults to those of the data set of the paper.
        input_tensor: `keras.KerasTensor` of images, the output of other layers or a
            `keras.Input`, in place of `input_shape`, which is then ignored.
        include_top: bool, whether to end in global pooling and the classifier.
            Defaults to `True`.
        pooling: string, `"avg"` or `"max"`, where `include_top=False`. Defaults to
            `None`, the last feature map.
        classifier_activation: string or function, `None` for logits. Defaults to
            `"softmax"`.
        convolution: callable like `keras.layers.Conv2D` that makes the layers which
            attention would augment, in place of both. Defaults to `None`.
        max_size: (height, width) of the largest image, needed where `input_shape`
            leaves them open and the position encoding is relative.
        bounding_box_format: string, KerasCV's name of the format of a RetinaNet's
            boxes. Defaults to `"xyxy"`.

    Returns:
        A `keras.Model` from images (batch, height, width, channels) to (batch,
        classes), without top to features, for a stack to (batch, height, width,
        classes). For a RetinaNet see `build_retinanet`.

    Raises:
        ValueError: in one line, for an unknown family or option, a value out of range,
            attention that does not fit the stages or filters, or weights that do not
            exist, are damaged or do not fit the options.

    Example:

    >>> model = aa_keras.models.build(
    ...     "resnet", depth=20, input_shape=(32, 32, 3), classes=10, attention={}
    ... )
    """
    return build_network(name, options, weights)


def build_network(
    family: str,
    options: Mapping[str, Any],
    weights=None,
    *,
    defaults: Mapping[str, Any] | None = None,
    network: str | None = None,
    folder=None,
) -> "keras.Model":
    """Builds as `build` does; here `options` may have the model's `name`.

    Args:
        family: string, the family or a registered network.
        options: mapping, what the caller chose.
        weights: as of `build`; with `network` the name of a data set.
        defaults: mapping, what the caller did not choose, and shipped weights replace.
        network: string, the name of the network, such as `"aa_resnet_8"`.
        folder: path of the folder of shipped weights. Defaults to that of the package.
    """
    builder = _REGISTERED.get(family)
    builder = builder or getattr(family_module(family), f"build_{family}")
    if weights is None or os.path.isfile(weights):
        model = builder(**{**(defaults or {}), **options})
        if weights is not None:
            _load_weights(model, weights)
        return model
    name, entry = pretrained.find(weights, network, folder)
    pretrained.check_options(name, entry, family, options, resolved_options)
    file = pretrained.verified_file(name, entry, folder)
    trained = builder(**entry.options)
    trained.load_weights(file)
    if not options.keys() & pretrained.FREE:
        return trained
    # Keras numbers the layers of a file; the caller may have put some in front.
    model = builder(**{**entry.options, **options})
    pretrained.assign(trained, model, name)
    return model


def _load_weights(model, path):
    try:
        model.load_weights(path)
    except (KeyError, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"weights: {path}: {reason}") from error


def resolved_options(name: str, **options: Any) -> dict[str, Any]:
    """Returns all options of a network as plain data, with the family's values.

    The errors are those of `build`.

    Args:
        name: string, the family or a registered network.
        **options: the options of the network in `aa_keras.models.spec`.
    """
    if name in _REGISTERED:
        resolved = check(spec.NETWORKS[name], options)
    else:
        resolved = family_module(name).resolve(options)
    return resolved.model_dump(mode="json")


def register(
    name: str,
    builder: Callable[..., "keras.Model"],
    *,
    options: type[spec.Network] | None = None,
) -> None:
    """Registers a network of your own for `build` and for experiment files.

    A file that has `import: [your_module]` may then say `model: {name: your_name}`.

    Args:
        name: string, the network's name.
        builder: function that returns a `keras.Model`. It takes `input_shape`,
            `classes`, `classifier_activation` (`None` for logits) and its options.
        options: class of options such as `aa_keras.models.spec.ResNet`, for a builder
            that takes the same. Defaults to the builder's parameters: annotated ones
            are checked, those without default are required.

    Raises:
        ValueError: for a name of this package.

    Example:

    >>> aa_keras.models.register(
    ...     "my_resnet",
    ...     functools.partial(aa_keras.models.build_resnet, convolution=MyConv2D),
    ...     options=aa_keras.models.spec.ResNet,
    ... )
    >>> aa_keras.models.build("my_resnet", depth=20, classes=10)
    """
    if name in FAMILIES:
        raise ValueError(f"name: received {name!r}; allowed: none of {FAMILIES}")
    fields: dict[str, Any] = {} if options else _parameters(builder)
    fields["name"] = (Literal[name], name)
    spec.NETWORKS[name] = pydantic.create_model(
        name, __base__=options or spec.Network, **fields
    )
    _REGISTERED[name] = builder


def _parameters(builder):
    """The parameters of a builder as fields of its options."""
    given = {"input_shape", "classes", "classifier_activation"}
    return {
        parameter.name: (
            Any if parameter.annotation is parameter.empty else parameter.annotation,
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in inspect.signature(builder).parameters.values()
        if parameter.name not in given and parameter.kind is not parameter.VAR_KEYWORD
    }


def family_module(name: str) -> ModuleType:
    """Imports and returns the module of a family."""
    if name not in FAMILIES:
        raise ValueError(f"name: received {name!r}; allowed: {list(spec.NETWORKS)}")
    return importlib.import_module(f"aa_keras.models.{name}")


__all__ = ["build", "register", "resolved_options"]
