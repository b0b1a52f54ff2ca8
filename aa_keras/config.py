"""Experiment files: YAML in, a checked and frozen `Experiment` out.

The schema is strict. An unknown key, a wrong type or a value out of range stops
before anything is built, in one line that names the file, the key, the value and
what is allowed. Whether depths and heads fit the network is for the network to say,
when it is built.
"""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pydantic
import pydantic_core
import yaml
from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1)]
Ratio = Annotated[float, Field(ge=0, le=1)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class ConfigError(ValueError):
    """A mistake in an experiment file, told in one line."""


class Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False
    )


class PaperRow(Section):
    """A row of the paper's tables that a run reproduces."""

    table: Annotated[int, Field(ge=1, le=8)]
    row: str
    figure: Literal[5] | None = None


class Attention(Section):
    """Which convolutions are augmented, and how; left out: the family's own choice."""

    key_ratio: Annotated[float, Field(gt=0, le=1)] | None = None
    value_ratio: Annotated[float, Field(gt=0, le=1)] | None = None
    num_heads: Positive | None = None
    min_key_depth_per_head: Annotated[int, Field(ge=0)] | None = None
    stages: list[Positive] | None = None
    downsampled_stages: list[Positive] | None = None
    position_encoding: Literal["relative", "none", "sine", "coordconv"] | None = None


class Network(Section):
    name: str
    classes: Annotated[int, Field(ge=2)]
    attention: Attention | None = None
    channel_attention: Literal["se", "ge", "bam", "cbam"] | None = None


class ResNet(Network):
    name: Literal["resnet"]
    depth: Positive


class WideResNet(Network):
    name: Literal["wide_resnet"]
    depth: Positive
    width: Positive


class MnasNet(Network):
    name: Literal["mnasnet"]
    width_multiplier: Annotated[float, Field(gt=0)] = 1.0
    dropout: Fraction = 0.0


class RetinaNet(Network):
    name: Literal["retinanet"]
    depth: Positive


class Data(Section):
    """The images: which, where they lie, and what is done to them.

    The `*_options` are the arguments of the functions of `aa_keras.data`.
    """

    name: str
    batch_size: Positive
    image_size: Positive
    augmentation: Literal[
        "none", "crop", "flip", "cifar", "inception", "scale_jitter"
    ] = "none"
    data_dir: str | None = None
    download: bool = False
    validation_examples: Annotated[int, Field(ge=0)] = 0
    corrupt_images: Literal["stop", "skip"] = "stop"
    central_crop: Annotated[float, Field(gt=0, le=1)] | None = None
    scale_range: list[Annotated[float, Field(gt=0)]] = [0.8, 1.2]
    rand_augment: Annotated[float, Field(gt=0, le=1)] | None = None
    mixup: Annotated[float, Field(gt=0)] | None = None
    cutmix: Annotated[float, Field(gt=0, le=1)] | None = None

    @pydantic.field_validator("scale_range")
    @classmethod
    def _ascending(cls, scales):
        if len(scales) != 2 or scales[0] > scales[1]:
            raise pydantic_core.PydanticCustomError(
                "scale_range", "scale range", {"expected": "[smallest, largest]"}
            )
        return scales

    @property
    def source_options(self):
        return self.model_dump(
            include={
                "name",
                "data_dir",
                "download",
                "validation_examples",
                "corrupt_images",
            }
        )

    @property
    def preprocessing_options(self):
        return self.model_dump(include={"image_size", "central_crop"})

    @property
    def training_options(self):
        return self.model_dump(
            include={"augmentation", "batch_size", "rand_augment", "mixup", "cutmix"}
        )

    @property
    def detection_options(self):
        return self.model_dump(include={"augmentation", "batch_size", "scale_range"})


class SGD(Section):
    name: Literal["sgd"]
    learning_rate_per_256: Annotated[float, Field(gt=0)]
    momentum: Fraction = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip_norm: Annotated[float, Field(gt=0)] | None = None


class RMSProp(Section):
    name: Literal["rmsprop"]
    learning_rate_per_256: Annotated[float, Field(gt=0)]
    decay: Fraction = 0.9
    momentum: Fraction = 0.9
    epsilon: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip_norm: Annotated[float, Field(gt=0)] | None = None


class AdamW(Section):
    name: Literal["adamw"]
    learning_rate_per_256: Annotated[float, Field(gt=0)]
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    clip_norm: Annotated[float, Field(gt=0)] | None = None


class Constant(Section):
    name: Literal["constant"]
    warmup_epochs: Annotated[float, Field(ge=0)] = 0


class Cosine(Section):
    name: Literal["cosine"]
    warmup_epochs: Annotated[float, Field(ge=0)] = 0


class Step(Section):
    name: Literal["step"]
    epochs: list[Annotated[float, Field(gt=0)]]
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    warmup_epochs: Annotated[float, Field(ge=0)] = 0


class Exponential(Section):
    name: Literal["exponential"]
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.97
    every_epochs: Annotated[float, Field(gt=0)] = 2.4
    warmup_epochs: Annotated[float, Field(ge=0)] = 0


class Train(Section):
    epochs: Positive
    optimizer: Annotated[SGD | RMSProp | AdamW, Field(discriminator="name")]
    schedule: Annotated[
        Constant | Cosine | Step | Exponential, Field(discriminator="name")
    ]
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    deterministic: bool = False
    jit_compile: bool | None = None
    mixed_precision: Literal["float16", "bfloat16"] | None = None
    label_smoothing: Fraction = 0.0
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    accumulate_steps: Positive = 1
    distribution: Literal["none", "mirrored", "multi_worker"] = "none"
    steps_per_execution: Positive = 1
    keep_checkpoints: Positive = 3
    attention_maps_every: Annotated[int, Field(ge=0)] = 0  # epochs; 0 is never


class Experiment(Section):
    """One run: what is built, on which data, trained how. Plain data, frozen."""

    name: str
    paper: list[PaperRow] = []
    model: Annotated[
        ResNet | WideResNet | MnasNet | RetinaNet, Field(discriminator="name")
    ]
    data: Data
    train: Train


class _Loader(yaml.SafeLoader):
    """YAML in which `5e-4` is a number and a key given twice is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", node.start_mark
                )
        return super().construct_mapping(node, deep)


# PyYAML follows YAML 1.1, which takes a float without a dot for a string.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)


def load(path, overrides=()):
    """Reads an experiment file.

    Args:
        path: A YAML file. Its top-level `base:` may name another file, relative to
            its own folder, whose values it overrides (one level, no deeper).
        overrides: Strings `"train.epochs=2"`, applied last; values are YAML.

    Returns:
        An `Experiment`. Its name is the file's stem unless the file gives one.

    Raises:
        ConfigError: With one line that names file, key, value and what is allowed.
    """
    path = Path(path)
    values = _read(path)
    if "base" in values:
        base = path.parent / str(values.pop("base"))
        inherited = _read(base)
        if "base" in inherited:
            raise ConfigError(
                f"{path}: base: received {str(base)!r}, which has a base of its own; "
                "allowed: one level"
            )
        values = _merge(inherited, values)
    values.setdefault("name", path.stem)
    for override in overrides:
        _override(values, override)
    try:
        return Experiment.model_validate(values)
    except pydantic.ValidationError as error:
        # A misspelt key is also a missing one: the first names the mistake.
        errors = sorted(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
        first, *others = errors
        more = f" (and {len(others)} more)" if others else ""
        raise ConfigError(f"{path}: {_explain(first)}{more}") from None


def dump(experiment):
    """The experiment as YAML text, all defaults written out; `load` reads it back."""
    values = experiment.model_dump(mode="json", exclude_none=True)
    return yaml.safe_dump(values, sort_keys=False)


def flatten(experiment):
    """The experiment as `{"train.epochs": 30, ...}`, to compare two of them."""

    def walk(prefix, value):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk(f"{prefix}.{key}" if prefix else key, inner)
        else:
            yield prefix, value

    return dict(walk("", experiment.model_dump(mode="json", exclude_none=True)))


def _read(path):
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file in UTF-8") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {_one_line(error)}") from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path}: received {_short(values)}; allowed: the keys "
            + ", ".join(Experiment.model_fields)
        )
    return values


def _merge(base, values):
    merged = dict(base)
    for key, value in values.items():
        inherited = merged.get(key)
        both = isinstance(value, dict) and isinstance(inherited, dict)
        merged[key] = _merge(inherited, value) if both else value
    return merged


def _override(values, override):
    key, equals, text = override.partition("=")
    *parents, last = key.strip().split(".")
    if not equals or not last:
        raise ConfigError(
            f"--set: received {override!r}; allowed: KEY=VALUE, as in train.epochs=2"
        )
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ConfigError(f"--set: {key}: {parent!r} holds a value, not keys")
    try:
        values[last] = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(
            f"--set: {key}: received {text!r}, not valid YAML: {_one_line(error)}"
        ) from None


# What a value may be, by pydantic's error type; where absent, pydantic's words serve.
_ALLOWED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "list_type": "a list, as in [2, 3]",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dict_type": "a mapping of keys to values",
}


def _explain(error):
    path, section = _locate(error["loc"])
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        key, allowed = path.rpartition(".")[2], list(section.model_fields)
        close = difflib.get_close_matches(key, allowed, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return (
            f"{path}: unknown key, received {_short(error['input'])}; {hint}"
            f"allowed: {', '.join(allowed)}"
        )
    if kind == "missing":
        return f"{path}: missing; it has no default"
    if kind == "union_tag_not_found":
        return f"{path}.name: missing; allowed: {', '.join(_tags(section, path))}"
    if kind == "union_tag_invalid":
        return (
            f"{path}.name: received {context['tag']!r}; "
            f"allowed: {context['expected_tags']}"
        )
    allowed = _ALLOWED.get(kind) or context.get("expected")
    if not allowed:  # the bounds: "Input should be less than 1"
        allowed = error["msg"].removeprefix("Input should be ")
    return f"{path}: received {_short(error['input'])}; allowed: {allowed}"


def _locate(loc):
    """The key path of an error as the user wrote it, and the section it lies in.

    Pydantic puts the tag of a tagged union into the location ("model", "resnet",
    "depth"), which stands in no file.
    """
    section, path, position = Experiment, [], 0
    while position < len(loc):
        key = loc[position]
        path.append(str(key))
        position += 1
        field = section.model_fields.get(key) if isinstance(key, str) else None
        if field is None or position == len(loc):
            continue
        members = _sections(field.annotation)
        if field.discriminator:
            members = [m for m in members if loc[position] in _tag(m)]
            position += 1
        section = members[0] if members else section
    return ".".join(path), section


def _sections(annotation):
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [s for inner in get_args(annotation) for s in _sections(inner)]


def _tag(section):
    return get_args(section.model_fields["name"].annotation)


def _tags(section, path):
    field = section.model_fields[path.rpartition(".")[2]]
    return [tag for member in _sections(field.annotation) for tag in _tag(member)]


def _short(value: Any):
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _one_line(error):
    return " ".join(str(error).split())
