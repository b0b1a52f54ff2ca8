"""Every ready network, one line each, in the manner of `keras.applications`.

Prefixes: AA attention-augmented, SA stand-alone attention, SE Squeeze-and-Excitation,
GE Gather-Excite, BAM, CBAM and GALA the modules of those names.

`networks.pyi` lists their arguments for editors. `docs/generate.py` writes it.
"""

from __future__ import annotations  # signatures show the annotations as written here

import inspect
import os
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from aa_keras.docstrings import argument_docs
from aa_keras.models import spec
from aa_keras.models.registry import build, build_network
from aa_keras.options import check

if TYPE_CHECKING:
    import keras

# The images and classes of a family's networks, the data set of the paper.
DATA: dict[str, dict[str, Any]] = {
    "resnet": {"input_shape": (224, 224, 3), "classes": 1000},
    "wide_resnet": {"input_shape": (32, 32, 3), "classes": 100},
    "mnasnet": {"input_shape": (224, 224, 3), "classes": 1000},
    "retinanet": {"input_shape": (640, 640, 3), "classes": 90},
}
CIFAR10: dict[str, Any] = {"input_shape": (32, 32, 3), "classes": 10}
PLAIN: dict[str, Any] = {}
AA: dict[str, Any] = {"attention": {}}
SA: dict[str, Any] = {"stand_alone": {}}
SE, GE, BAM, CBAM, GALA = (
    {"channel_attention": kind} for kind in ("se", "ge", "bam", "cbam", "gala")
)
READY: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "ResNet34": ("resnet", PLAIN, {"depth": 34}),
    "SEResNet34": ("resnet", SE, {"depth": 34}),
    "AAResNet34": ("resnet", AA, {"depth": 34}),
    "ResNet50": ("resnet", PLAIN, {"depth": 50}),
    "SEResNet50": ("resnet", SE, {"depth": 50}),
    "GEResNet50": ("resnet", GE, {"depth": 50}),
    "BAMResNet50": ("resnet", BAM, {"depth": 50}),
    "CBAMResNet50": ("resnet", CBAM, {"depth": 50}),
    "GALAResNet50": ("resnet", GALA, {"depth": 50}),
    "AAResNet50": ("resnet", AA, {"depth": 50}),
    "ResNet101": ("resnet", PLAIN, {"depth": 101}),
    "SEResNet101": ("resnet", SE, {"depth": 101}),
    "AAResNet101": ("resnet", AA, {"depth": 101}),
    "ResNet152": ("resnet", PLAIN, {"depth": 152}),
    "SEResNet152": ("resnet", SE, {"depth": 152}),
    "AAResNet152": ("resnet", AA, {"depth": 152}),
    "ResNet26": ("resnet", PLAIN, {"depth": 26}),
    "SAResNet26": ("resnet", SA, {"depth": 26}),
    "ResNet38": ("resnet", PLAIN, {"depth": 38}),
    "SAResNet38": ("resnet", SA, {"depth": 38}),
    "SAResNet50": ("resnet", SA, {"depth": 50}),
    "WideResNet28x10": ("wide_resnet", PLAIN, {"depth": 28, "width": 10}),
    "GEWideResNet28x10": ("wide_resnet", GE, {"depth": 28, "width": 10}),
    "SEWideResNet28x10": ("wide_resnet", SE, {"depth": 28, "width": 10}),
    "AAWideResNet28x10": ("wide_resnet", AA, {"depth": 28, "width": 10}),
    "MnasNet075": ("mnasnet", PLAIN, {"width_multiplier": 0.75}),
    "AAMnasNet075": ("mnasnet", AA, {"width_multiplier": 0.75}),
    "MnasNet100": ("mnasnet", PLAIN, {"width_multiplier": 1.0}),
    "AAMnasNet100": ("mnasnet", AA, {"width_multiplier": 1.0}),
    "MnasNet125": ("mnasnet", PLAIN, {"width_multiplier": 1.25}),
    "AAMnasNet125": ("mnasnet", AA, {"width_multiplier": 1.25}),
    "MnasNet140": ("mnasnet", PLAIN, {"width_multiplier": 1.4}),
    "AAMnasNet140": ("mnasnet", AA, {"width_multiplier": 1.4}),
    "RetinaNet50": ("retinanet", PLAIN, {"depth": 50}),
    "SERetinaNet50": ("retinanet", SE, {"depth": 50}),
    "AARetinaNet50": ("retinanet", AA, {"depth": 50}),
    "RetinaNet101": ("retinanet", PLAIN, {"depth": 101}),
    "SERetinaNet101": ("retinanet", SE, {"depth": 101}),
    "AARetinaNet101": ("retinanet", AA, {"depth": 101}),
    # Small relatives, not in the paper.
    "ResNet18": ("resnet", PLAIN, {"depth": 18}),
    "AAResNet18": ("resnet", AA, {"depth": 18}),
    "ResNet8": ("resnet", PLAIN, {"depth": 8, **CIFAR10}),
    "AAResNet8": ("resnet", AA, {"depth": 8, **CIFAR10}),
    "ResNet14": ("resnet", PLAIN, {"depth": 14, **CIFAR10}),
    "AAResNet14": ("resnet", AA, {"depth": 14, **CIFAR10}),
    "ResNet20": ("resnet", PLAIN, {"depth": 20, **CIFAR10}),
    "AAResNet20": ("resnet", AA, {"depth": 20, **CIFAR10}),
    "ResNet56": ("resnet", PLAIN, {"depth": 56, **CIFAR10}),
    "AAResNet56": ("resnet", AA, {"depth": 56, **CIFAR10}),
    "WideResNet16x4": ("wide_resnet", PLAIN, {"depth": 16, "width": 4}),
    "AAWideResNet16x4": ("wide_resnet", AA, {"depth": 16, "width": 4}),
}


def _classifier(
    *,
    input_shape: tuple[int | None, int | None, int],
    classes: int,
    weights: str | os.PathLike[str] | None = None,
    include_top: bool = True,
    pooling: Literal["avg", "max"] | None = None,
    classifier_activation: str | Callable[..., Any] | None = "softmax",
    input_tensor: keras.KerasTensor | None = None,
    max_size: tuple[int, int] | None = None,
    convolution: Callable[..., keras.layers.Layer] | None = None,
    name: str | None = None,
) -> keras.Model: ...


def _detector(
    *,
    input_shape: tuple[int | None, int | None, int],
    classes: int,
    weights: str | os.PathLike[str] | None = None,
    max_size: tuple[int, int] | None = None,
    bounding_box_format: str = "xyxy",
    name: str | None = None,
) -> keras.Model: ...


# The arguments beside a family's options.
SHARED = {"classification": _classifier, "detection": _detector}
# What the name of a network says and its caller does not change.
FIXED = {"name", "depth", "width", "width_multiplier"}
WEIGHTS = (
    "the path of a weights file, or the data set of weights that come with the "
    'package, as in `"cifar100"`, see `list_weights`. The network is then the trained '
    "one: options that are not given are its own, and others are refused. Defaults to "
    "`None`, random weights."
)
HINTS = {
    "attention": "spec.Attention | Mapping[str, Any] | None",
    "decoding": "spec.Decoding | Mapping[str, Any]",
    "channel_attention": 'Literal["se", "ge", "bam", "cbam", "gala"] | None',
    "dropout": "float",
    "zero_init_last": "bool",
    "stand_alone": "spec.StandAlone | Mapping[str, Any] | None",
    "widths": "Sequence[int] | None",
}


def _network(name, family, mechanism, options):
    """Returns the function that builds a network; its signature has each argument."""
    chosen = {key: value for key, value in options.items() if key not in DATA[family]}
    given = ", ".join(f"{k}={v!r}" for k, v in {**chosen, **mechanism}.items())
    presets = {**DATA[family], **options, **mechanism}

    def build_one(*, weights=None, **options):
        network = _name(family, presets)
        return build_network(
            family, options, weights, defaults=presets, network=network
        )

    signature = _signature(spec.NETWORKS[family], presets)
    build_one.__name__ = build_one.__qualname__ = name
    build_one.__signature__ = signature
    build_one.__doc__ = _docstring(family, given, signature)
    return build_one


def _name(family, presets):
    """The name of the network, which is that of its shipped weights as well."""
    options = {key: value for key, value in presets.items() if key != "input_shape"}
    return check(spec.NETWORKS[family], options).network_name()


def _signature(section, presets):
    shared = inspect.signature(SHARED[section.task])
    parameters = [
        inspect.Parameter(
            key,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=HINTS.get(key, ""),
        )
        for key, field in section.model_fields.items()
        if key not in FIXED and key not in shared.parameters
    ]
    parameters = [*shared.parameters.values(), *parameters]
    return shared.replace(
        parameters=[
            parameter.replace(default=presets[parameter.name])
            if parameter.name in presets
            else parameter
            for parameter in parameters
        ]
    )


def _docstring(family, given, signature):
    texts = {**argument_docs(build), **argument_docs(spec.NETWORKS[family])}
    texts["weights"] = WEIGHTS
    texts["name"] = "string, the model's name. Defaults to its family and options."
    wrap = {"width": 80, "initial_indent": "    ", "subsequent_indent": "        "}
    entries = (
        textwrap.fill(f"{name}: {texts[name]}", **wrap) for name in signature.parameters
    )
    return "\n".join(
        (
            f"Builds a `{family}` with {given}.\n",
            "Args:",
            *entries,
            "\nReturns and errors are those of `aa_keras.models.build`.",
        )
    )


def list_models() -> list[str]:
    """Returns the names of the ready networks, each a function of `aa_keras.models`."""
    return list(READY)


globals().update({name: _network(name, *row) for name, row in READY.items()})

__all__ = ["list_models", *list_models()]
