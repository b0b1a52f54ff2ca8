"""Every ready network, one line each, and `build` for any network of a family.

Prefixes: AA attention-augmented, SE Squeeze-and-Excitation, GE Gather-Excite, BAM, CBAM
and GALA the modules of those names. `aa_keras.models.AAResNet50(classes=10)` builds
one, in the manner of `keras.applications`. A family's module is imported when it is
used, because RetinaNet's KerasCV loads slowly.
"""

import importlib
import inspect
import os
from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

import pydantic

from aa_keras.models import spec
from aa_keras.options import check

if TYPE_CHECKING:
    import keras

FAMILIES = tuple(spec.NETWORKS)  # those of this package
_REGISTERED: dict[str, Callable[..., "keras.Model"]] = {}


def build(name: str, *, weights=None, **options: Any) -> "keras.Model":
    """Builds a network of a family.

    Args:
        name: string, `"resnet"`, `"wide_resnet"`, `"mnasnet"` or `"retinanet"`.
        weights: path of a weights file. Defaults to `None`, random weights; there
            are no pretrained ones.
        **options: the options of the family in `aa_keras.models.spec`, and:
            input_shape: (height, width, channels) of the images; height and width may
                be `None`.
            input_tensor: `keras.KerasTensor` of images, the output of other layers or
                a `keras.Input`, in place of `input_shape`, which then says nothing.
            include_top: bool, whether to end in global pooling and the classifier.
                Defaults to `True`.
            pooling: string, `"avg"` or `"max"`, where `include_top=False`. Defaults
                to `None`, the last feature map.
            classifier_activation: string or function, `None` for logits. Defaults to
                `"softmax"`.
            convolution: callable like `keras.layers.Conv2D` that makes the layers
                which attention would augment, in place of both. Defaults to `None`.
            max_size: (height, width) of the largest image, needed where `input_shape`
                leaves them open and the position encoding is relative.
            A RetinaNet has no `input_tensor`, top, `pooling` or `convolution`, and
            returns logits.

    Returns:
        A `keras.Model` from images (batch, height, width, channels) to (batch,
        classes). For a RetinaNet see `build_retinanet`.

    Raises:
        ValueError: in one line, for an unknown family or option, a value out of range,
            or attention that does not fit the stages or filters.

    Example:

    >>> model = aa_keras.models.build(
    ...     "resnet", depth=20, input_shape=(32, 32, 3), classes=10, attention={}
    ... )
    """
    builder = _REGISTERED.get(name) or getattr(family_module(name), f"build_{name}")
    if weights is not None and not os.path.exists(weights):
        raise ValueError(
            f"weights: received {weights!r}; allowed: None or the path of a weights "
            "file, no pretrained ones exist"
        )
    model = builder(**options)
    if weights is not None:
        model.load_weights(weights)
    return model


def resolved_options(name: str, **options: Any) -> dict[str, Any]:
    """Returns all options of a network as plain data, with the family's values.

    The arguments and errors are those of `build`.
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


def list_models() -> list[str]:
    """Returns the names of the ready networks, each a function of `aa_keras.models`."""
    return [k for k, value in globals().items() if isinstance(value, partial)]


def family_module(name: str) -> ModuleType:
    """Imports and returns the module of a family."""
    if name not in FAMILIES:
        raise ValueError(f"name: received {name!r}; allowed: {list(spec.NETWORKS)}")
    return importlib.import_module(f"aa_keras.models.{name}")


_SE, _GE, _BAM, _CBAM, _GALA = (
    {"channel_attention": kind} for kind in ("se", "ge", "bam", "cbam", "gala")
)
_SMALL: dict[str, Any] = {"input_shape": (32, 32, 3), "classes": 10}

ResNet34 = partial(build, "resnet", depth=34)
SEResNet34 = partial(build, "resnet", depth=34, **_SE)
AAResNet34 = partial(build, "resnet", depth=34, attention={})
ResNet50 = partial(build, "resnet", depth=50)
SEResNet50 = partial(build, "resnet", depth=50, **_SE)
GEResNet50 = partial(build, "resnet", depth=50, **_GE)
BAMResNet50 = partial(build, "resnet", depth=50, **_BAM)
CBAMResNet50 = partial(build, "resnet", depth=50, **_CBAM)
GALAResNet50 = partial(build, "resnet", depth=50, **_GALA)
AAResNet50 = partial(build, "resnet", depth=50, attention={})
ResNet101 = partial(build, "resnet", depth=101)
SEResNet101 = partial(build, "resnet", depth=101, **_SE)
AAResNet101 = partial(build, "resnet", depth=101, attention={})
ResNet152 = partial(build, "resnet", depth=152)
SEResNet152 = partial(build, "resnet", depth=152, **_SE)
AAResNet152 = partial(build, "resnet", depth=152, attention={})
WideResNet28x10 = partial(build, "wide_resnet", depth=28, width=10)
GEWideResNet28x10 = partial(build, "wide_resnet", depth=28, width=10, **_GE)
SEWideResNet28x10 = partial(build, "wide_resnet", depth=28, width=10, **_SE)
AAWideResNet28x10 = partial(build, "wide_resnet", depth=28, width=10, attention={})
MnasNet075 = partial(build, "mnasnet", width_multiplier=0.75)
AAMnasNet075 = partial(build, "mnasnet", width_multiplier=0.75, attention={})
MnasNet100 = partial(build, "mnasnet", width_multiplier=1.0)
AAMnasNet100 = partial(build, "mnasnet", width_multiplier=1.0, attention={})
MnasNet125 = partial(build, "mnasnet", width_multiplier=1.25)
AAMnasNet125 = partial(build, "mnasnet", width_multiplier=1.25, attention={})
MnasNet140 = partial(build, "mnasnet", width_multiplier=1.4)
AAMnasNet140 = partial(build, "mnasnet", width_multiplier=1.4, attention={})
RetinaNet50 = partial(build, "retinanet", depth=50)
SERetinaNet50 = partial(build, "retinanet", depth=50, **_SE)
AARetinaNet50 = partial(build, "retinanet", depth=50, attention={})
RetinaNet101 = partial(build, "retinanet", depth=101)
SERetinaNet101 = partial(build, "retinanet", depth=101, **_SE)
AARetinaNet101 = partial(build, "retinanet", depth=101, attention={})

# Small relatives, not in the paper.
ResNet18 = partial(build, "resnet", depth=18)
AAResNet18 = partial(build, "resnet", depth=18, attention={})
ResNet20 = partial(build, "resnet", depth=20, **_SMALL)
AAResNet20 = partial(build, "resnet", depth=20, attention={}, **_SMALL)
ResNet56 = partial(build, "resnet", depth=56, **_SMALL)
AAResNet56 = partial(build, "resnet", depth=56, attention={}, **_SMALL)
WideResNet16x4 = partial(build, "wide_resnet", depth=16, width=4)
AAWideResNet16x4 = partial(build, "wide_resnet", depth=16, width=4, attention={})

__all__ = ["build", "register", "resolved_options", "list_models", *list_models()]
