"""Every ready network: its name, its family, and what it fixes.

Prefixes: AA attention-augmented, SE Squeeze-and-Excitation, GE Gather-Excite, BAM and
CBAM the modules of those names. `aa_keras.models.AAResNet50(...)` builds one in the
manner of `keras.applications`, `aa_keras.models.build("resnet", depth=50, ...)` any
network of a family.
"""

import importlib
import inspect
import os

# family: module, builder, default input shape, default number of classes
FAMILIES = {
    "resnet": ("resnet", "build_resnet", (224, 224, 3), 1000),
    "wide_resnet": ("wide_resnet", "build_wide_resnet", (32, 32, 3), 100),
    "mnasnet": ("mnasnet", "build_mnasnet", (224, 224, 3), 1000),
    "retinanet": ("retinanet", "build_retinanet", (640, 640, 3), 90),
}
SMALL = {"input_shape": (32, 32, 3), "classes": 10}
AA = {"attention": {}}
SE = {"channel_attention": "se"}
GE = {"channel_attention": "ge"}
BAM = {"channel_attention": "bam"}
CBAM = {"channel_attention": "cbam"}

# name: family, options of its builder
NETWORKS = {
    "ResNet34": ("resnet", {"depth": 34}),
    "SEResNet34": ("resnet", {"depth": 34, **SE}),
    "AAResNet34": ("resnet", {"depth": 34, **AA}),
    "ResNet50": ("resnet", {"depth": 50}),
    "SEResNet50": ("resnet", {"depth": 50, **SE}),
    "GEResNet50": ("resnet", {"depth": 50, **GE}),
    "BAMResNet50": ("resnet", {"depth": 50, **BAM}),
    "CBAMResNet50": ("resnet", {"depth": 50, **CBAM}),
    "AAResNet50": ("resnet", {"depth": 50, **AA}),
    "ResNet101": ("resnet", {"depth": 101}),
    "SEResNet101": ("resnet", {"depth": 101, **SE}),
    "AAResNet101": ("resnet", {"depth": 101, **AA}),
    "ResNet152": ("resnet", {"depth": 152}),
    "SEResNet152": ("resnet", {"depth": 152, **SE}),
    "AAResNet152": ("resnet", {"depth": 152, **AA}),
    "WideResNet28x10": ("wide_resnet", {"depth": 28, "width": 10}),
    "GEWideResNet28x10": ("wide_resnet", {"depth": 28, "width": 10, **GE}),
    "SEWideResNet28x10": ("wide_resnet", {"depth": 28, "width": 10, **SE}),
    "AAWideResNet28x10": ("wide_resnet", {"depth": 28, "width": 10, **AA}),
    "MnasNet075": ("mnasnet", {"width_multiplier": 0.75}),
    "AAMnasNet075": ("mnasnet", {"width_multiplier": 0.75, **AA}),
    "MnasNet100": ("mnasnet", {"width_multiplier": 1.0}),
    "AAMnasNet100": ("mnasnet", {"width_multiplier": 1.0, **AA}),
    "MnasNet125": ("mnasnet", {"width_multiplier": 1.25}),
    "AAMnasNet125": ("mnasnet", {"width_multiplier": 1.25, **AA}),
    "MnasNet140": ("mnasnet", {"width_multiplier": 1.4}),
    "AAMnasNet140": ("mnasnet", {"width_multiplier": 1.4, **AA}),
    "RetinaNet50": ("retinanet", {"depth": 50}),
    "SERetinaNet50": ("retinanet", {"depth": 50, **SE}),
    "AARetinaNet50": ("retinanet", {"depth": 50, **AA}),
    "RetinaNet101": ("retinanet", {"depth": 101}),
    "SERetinaNet101": ("retinanet", {"depth": 101, **SE}),
    "AARetinaNet101": ("retinanet", {"depth": 101, **AA}),
    # Small relatives, not in the paper.
    "ResNet20": ("resnet", {"depth": 20, **SMALL}),
    "AAResNet20": ("resnet", {"depth": 20, **SMALL, **AA}),
    "ResNet56": ("resnet", {"depth": 56, **SMALL}),
    "AAResNet56": ("resnet", {"depth": 56, **SMALL, **AA}),
    "WideResNet16x4": ("wide_resnet", {"depth": 16, "width": 4}),
    "AAWideResNet16x4": ("wide_resnet", {"depth": 16, "width": 4, **AA}),
}


def list_models() -> list[str]:
    """Returns the names of the ready networks, each a function of `aa_keras.models`."""
    return list(NETWORKS)


def builder(family):
    """Returns the function that builds networks of a family.

    Raises:
        ValueError: if there is no such family.
    """
    if family not in FAMILIES:
        raise ValueError(f"name must be one of {list(FAMILIES)}; received {family!r}")
    module, function, *_ = FAMILIES[family]
    return getattr(importlib.import_module(f"aa_keras.models.{module}"), function)


def build(name, *, input_shape, classes, **options):
    """Builds a network of a family.

    Args:
        name: the family, `"resnet"`, `"wide_resnet"`, `"mnasnet"` or `"retinanet"`.
        input_shape: (height, width, channels) of the images.
        classes: number of classes.
        **options: what the family's builder takes: `depth`, `width`,
            `width_multiplier`, `attention`, `channel_attention`,
            `classifier_activation`, `dropout` and others.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: for an unknown family or option, or a value that the builder
            refuses.

    Example:

    >>> model = aa_keras.models.build(
    ...     "resnet", depth=20, input_shape=(32, 32, 3), classes=10, attention={}
    ... )
    """
    function = builder(name)
    allowed = set(inspect.signature(function).parameters) - {"input_shape", "classes"}
    unknown = sorted(set(options) - allowed)
    if unknown:
        raise ValueError(
            f"options of {name!r} must be among {sorted(allowed)}; "
            f"received {unknown[0]!r}"
        )
    return function(input_shape=input_shape, classes=classes, **options)


def network(name):
    """Returns the function of a ready network, in the manner of keras.applications.

    Args:
        name: one of `list_models()`.

    Raises:
        KeyError: if there is no network of that name.
    """
    family, fixed = NETWORKS[name]
    _, _, default_shape, default_classes = FAMILIES[family]
    default_shape = fixed.get("input_shape", default_shape)
    default_classes = fixed.get("classes", default_classes)

    def build_network(
        include_top=True,
        *,
        classes=default_classes,
        input_shape=default_shape,
        pooling=None,
        weights=None,
        classifier_activation="softmax",
        **options,
    ):
        return _build_with_weights(
            family,
            weights,
            {
                **fixed,
                "include_top": include_top,
                "classes": classes,
                "input_shape": input_shape,
                "pooling": pooling,
                "classifier_activation": classifier_activation,
                **options,
            },
        )

    def build_detector(
        *, classes=default_classes, input_shape=default_shape, weights=None, **options
    ):
        return _build_with_weights(
            family,
            weights,
            {**fixed, "classes": classes, "input_shape": input_shape, **options},
        )

    function = build_detector if family == "retinanet" else build_network
    function.__name__ = function.__qualname__ = name
    function.__doc__ = _describe(name, family, fixed)
    return function


def _build_with_weights(family, weights, options):
    if weights is not None and not os.path.exists(weights):
        raise ValueError(
            "weights must be None or the path of a weights file, no pretrained ones "
            f"exist; received {weights!r}"
        )
    model = build(family, **options)
    if weights is not None:
        model.load_weights(weights)
    return model


def _describe(name, family, fixed):
    _, function, *_ = FAMILIES[family]
    options = ", ".join(f"{key}={value!r}" for key, value in fixed.items())
    return f"""Builds {name}: `aa_keras.models.{function}({options})`.

    Args:
        weights: `None` for random ones, or the path of a weights file.
        **options: see `{function}` for these and the other arguments.

    Returns:
        A `keras.Model`.

    Raises:
        ValueError: if `weights` is not a file, or what `{function}` refuses.
    """
