"""Checked, frozen options, and errors in them reported as a single line."""

import difflib
import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args

import pydantic
import pydantic_core
from pydantic import Field

# The upper bounds are far above every sound value: a network beyond them would take all
# memory before it is refused.
Positive = Annotated[int, Field(ge=1, le=1_000_000)]
NonNegative = Annotated[int, Field(ge=0, le=10_000_000)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(gt=0, le=1)]


class Section(pydantic.BaseModel):
    """Base of all options: no unknown keys, no converted types, no changes."""

    model_config = pydantic.ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        serialize_by_alias=True,
    )


AnySection = TypeVar("AnySection", bound=Section)

# What a value may be, by pydantic's error type. Other types use pydantic's words.
_MAPPING = "a mapping of keys to values"
_ALLOWED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_pattern_mismatch": "letters, digits and ._-, not one of these first",
    "list_type": "a list, as in [2, 3]",
    "tuple_type": "a list, as in [2, 3]",
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dict_type": _MAPPING,
}


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = _REPR.maxlong = 200
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = _REPR.maxset = 20


def check(section: type[AnySection], values: Mapping[str, Any]) -> AnySection:
    """Returns `values` as a `section`.

    Raises:
        ValueError: in one line with the key, the received value and what is allowed.
    """
    try:
        return section.model_validate(values)
    except pydantic.ValidationError as error:
        # A misspelt key is also a missing one: the first names the mistake.
        first, *others = sorted(
            error.errors(), key=lambda e: e["type"] != "extra_forbidden"
        )
        more = f" (and {len(others)} more)" if others else ""
        raise ValueError(_explain(first, section) + more) from None


def refusal(allowed: str) -> pydantic_core.PydanticCustomError:
    """Returns the error that a validator of a section raises for a value."""
    return pydantic_core.PydanticCustomError(
        "refusal", "{expected}", {"expected": allowed}
    )


def with_description(allowed: str) -> pydantic.WrapValidator:
    """Returns an annotation that describes what a field of several types may be."""

    def validate(value, handler):
        try:
            return handler(value)
        except pydantic.ValidationError:
            raise refusal(allowed) from None

    return pydantic.WrapValidator(validate)


def short(value: Any) -> str:
    """Returns the `repr` of a value, cut to 60 characters, however large it is."""
    text = _REPR.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _explain(error, root):
    path, section = _locate(error["loc"], root)
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        fields = section.model_fields.items()
        allowed = [field.alias or name for name, field in fields]
        close = difflib.get_close_matches(path.rpartition(".")[2][:60], allowed, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        return (
            f"{path}: unknown key, received {short(error['input'])}; {hint}"
            f"allowed: {', '.join(allowed)}"
        )
    if kind == "missing":
        return f"{path}: missing; it has no default"
    if kind == "union_tag_not_found":
        field = section.model_fields[path.rpartition(".")[2]]
        tags = [tag for member in _sections(field.annotation) for tag in _tags(member)]
        return f"{path}.name: missing; allowed: {', '.join(tags)}"
    if kind == "union_tag_invalid":
        path, value = f"{path}.name", context["tag"]
        allowed = context["expected_tags"]
    else:  # the bounds: "Input should be less than 1"
        value = error["input"]
        allowed = _ALLOWED.get(kind) or context.get("expected")
        allowed = allowed or error["msg"].removeprefix("Input should be ")
    return f"{path}: received {short(value)}; allowed: {allowed}"


def _locate(loc, section):
    """The key path of an error as the user wrote it, and the section it lies in.

    Pydantic adds the tag of a tagged union ("model", "resnet", "depth") to the path.
    """
    path, keys = [], iter(loc)
    for key in keys:
        path.append(str(key)[:60])
        field = section.model_fields.get(key)
        members = _sections(field.annotation) if field else []
        if field and field.discriminator:
            tag = next(keys, None)
            members = [member for member in members if tag in _tags(member)]
        section = members[0] if members else section
    return ".".join(path), section


def _sections(annotation):
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [s for inner in get_args(annotation) for s in _sections(inner)]


def _tags(section):
    return get_args(section.model_fields["name"].annotation)
