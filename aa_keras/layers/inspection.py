"""The attention layers of a model: which they are, and what they project."""

import contextlib
import fnmatch
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import keras

from aa_keras.keras_internals import sublayers
from aa_keras.layers import validation
from aa_keras.layers.attention.implementations import (
    DEVICES,
    IMPLEMENTATIONS,
    Platform,
    choose,
)
from aa_keras.layers.attention.windows import Windows, over_the_map
from aa_keras.layers.augmented_conv import AugmentedConv
from aa_keras.layers.self_attention import Projections, SelfAttention
from aa_keras.layers.stand_alone import StandAloneAttention2D

AttentionLayer = SelfAttention | StandAloneAttention2D


def attention_layers(model) -> dict[str, AttentionLayer]:
    """Returns the attention layers of a model, nested ones included, by name, in order.

    The attention of an augmented convolution goes by the convolution's name. Layers
    that share a name go by their paths, `outer/inner`. `AttentionStem2D` is not one of
    them, as its relative terms depend on the place in the window.

    Args:
        model: `keras.Model`.
    """
    paths: dict[str, AttentionLayer] = {}
    _search(model, (), paths, set())
    names = [path.rpartition("/")[2] for path in paths]
    return {
        name if names.count(name) == 1 else path: layer
        for name, (path, layer) in zip(names, paths.items(), strict=True)
    }


def whole_map_layers(model) -> dict[str, SelfAttention]:
    """Returns those of `attention_layers` whose queries attend to the whole map."""
    found = attention_layers(model).items()
    return {name: layer for name, layer in found if isinstance(layer, SelfAttention)}


def matches(path, pattern) -> bool:
    """Whether a pattern, as of a shell, is that of a layer's path or of its name."""
    names = (path, path.rpartition("/")[2])
    return any(fnmatch.fnmatchcase(name, pattern) for name in names)


def _search(parent, path, found, seen):
    for layer in sublayers(parent):
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        inner = (*path, layer.name)
        if isinstance(layer, AugmentedConv):
            found[_unused("/".join(inner), found)] = layer.attention
        elif isinstance(layer, AttentionLayer):
            found[_unused("/".join(inner), found)] = layer
        else:
            _search(layer, inner, found, seen)


def _unused(path, found):
    """The path, with a number where two layers of a subclassed model share it."""
    others = (f"{path}_{number}" for number in itertools.count(1))
    return next(name for name in itertools.chain((path,), others) if name not in found)


def record_projections(
    function: Callable[[], Any], layers: dict[str, AttentionLayer]
) -> tuple[Any, dict[str, Projections]]:
    """Calls a function and returns what attention layers projected meanwhile.

    The function may call a model eagerly or while a graph is traced, as in `lambda:
    model(images)`. Of a layer that is called several times the first call counts.

    Args:
        function: callable without arguments, as in `lambda: model(images)`.
        layers: dictionary as `attention_layers` returns it.

    Returns:
        The function's result, and a dictionary from each name in `layers` to
        `Projections`, for attention over windows too. A layer that was not called is
        missing.
    """
    recorded: dict[str, Projections] = {}

    def recording(name, project):
        def recorded_project(*inputs):
            projections = project(*inputs)
            if name not in recorded:
                recorded[name] = _over_the_map(projections)
            return projections

        return recorded_project

    with contextlib.ExitStack() as stack:
        for name, layer in layers.items():
            wrapped = recording(name, layer.project)
            stack.enter_context(_replaced(layer, "project", wrapped))
        result = function()
    return result, recorded


def _over_the_map(projections):
    if isinstance(projections, Windows):
        return Projections(*over_the_map(projections))
    return projections


@contextlib.contextmanager
def use_implementation(model, implementation: str) -> Iterator[None]:
    """Switches the implementation of the attention over maps in a `with` block.

    That of `StandAloneAttention2D` stays, as it has others. A function that Keras has
    traced, as `predict` does at its first call, keeps what was chosen then.

    Args:
        model: `keras.Model` of any kind.
        implementation: str, as the argument of `AugmentedConv2D`.
    """
    validation.one_of("implementation", implementation, IMPLEMENTATIONS)
    with _implementations(model, lambda layer: implementation):
        yield


@contextlib.contextmanager
def use_platform(model, device: str) -> Iterator[None]:
    """Chooses in a `with` block what `implementation="auto"` is on another device.

    A model that is exported keeps what was chosen when it was traced.

    Args:
        model: `keras.Model` of any kind.
        device: str, `"cpu"`, `"gpu"` or `"tpu"`.
    """
    validation.one_of("device", device, DEVICES)

    def chosen(layer):
        if layer.implementation != "auto":
            return layer.implementation
        size = (None, None) if layer.rank == 2 else (None, 1)
        depths = tuple(
            depth // layer.num_heads for depth in (layer.key_depth, layer.value_depth)
        )
        backend = keras.backend.backend()
        return choose(Platform(device), backend, size, layer.compute_dtype, depths)

    with _implementations(model, chosen):
        yield


@contextlib.contextmanager
def _implementations(model, choice):
    with contextlib.ExitStack() as stack:
        for layer in whole_map_layers(model).values():
            stack.enter_context(_replaced(layer, "implementation", choice(layer)))
        yield


@contextlib.contextmanager
def _replaced(layer, name, value):
    """Sets an attribute of one instance without Keras' tracking, and restores it."""
    attributes, missing = vars(layer), object()
    before = attributes.get(name, missing)
    attributes[name] = value
    try:
        yield
    finally:
        if before is missing:
            del attributes[name]
        else:
            attributes[name] = before
