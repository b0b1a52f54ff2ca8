"""The public names, their signatures and docstrings, and what editors see of them.

`public_names.txt` is the list. CONTRIBUTING.md says how it may change.
"""

import importlib
import importlib.util
import inspect
import re
from pathlib import Path

import jedi
import pytest

import aa_keras
from aa_keras import layers, models
from aa_keras.docstrings import argument_docs

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_name("public_names.txt")
# Modules that `aa_keras` has for its own parts; what is in them is not public.
INTERNAL = {"checkpoints", "tasks", "workdir"}


def public_objects():
    """Yields each public name with its dots, and what it is."""
    for name in aa_keras.__all__:
        value = getattr(aa_keras, name)
        yield f"aa_keras.{name}", value
        if inspect.ismodule(value) and name not in INTERNAL:
            names = getattr(value, "__all__", None) or own_names(value)
            for inner in names:
                yield f"aa_keras.{name}.{inner}", getattr(value, inner)


def own_names(module):
    """What a module without `__all__` defines without an underscore."""
    for name, value in vars(module).items():
        is_own = getattr(value, "__module__", None) == module.__name__
        if is_own and not name.startswith("_"):
            yield name


def described(name, value):
    if not callable(value):
        return name
    parameters = inspect.signature(value).parameters.values()
    if name.partition("models.")[2] in models.list_models():
        return f"{name}(...)"  # networks.pyi has their arguments
    bare = [p.replace(annotation=p.empty, default=plain(p)) for p in parameters]
    return name + str(inspect.Signature(bare))


def plain(parameter):
    """The default; a name for what is printed otherwise in each process."""
    default = parameter.default
    unstable = isinstance(default, frozenset) or inspect.isroutine(default)
    return ... if unstable else default


OBJECTS = dict(sorted(public_objects()))


def test_the_list_is_that_of_the_public_names():
    assert [described(*item) for item in OBJECTS.items()] == LIST.read_text().split(
        "\n"
    )


def explained(value):
    """The documented arguments, and those of the layer that the text refers to."""
    text, documented = inspect.getdoc(value), argument_docs(value)
    for other in re.findall(r"arguments[^.]* those of\s`(\w+)`", text):
        documented |= explained(getattr(layers, other))
    return documented


@pytest.mark.parametrize("name", [n for n, v in OBJECTS.items() if callable(v)])
def test_a_docstring_explains_each_argument(name):
    value = OBJECTS[name]
    text = inspect.getdoc(value) or ""
    documented = explained(value)
    assert text
    for parameter in inspect.signature(value).parameters:
        # One argument may stand in the sentence; a file says `import` for `imports`.
        names = {parameter, parameter.removesuffix("s")}
        assert names & documented.keys() or f"`{parameter}`" in text, parameter


def generate():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.GENERATED


@pytest.mark.parametrize("path", generate())
def test_a_generated_file_is_current(path):
    command = "run python docs/generate.py"
    assert (ROOT / path).read_text("utf-8") == generate()[path](), command


# An editor reads the sources and runs nothing: (program, what it offers).
PROGRAMS = {
    "aa_keras.models.AAResNet5": ["AAResNet50", "AAResNet56"],
    "aa_keras.models.build_ret": ["build_retinanet"],
    "aa_keras.visu": ["visualization"],
    "aa_keras.layers.AugmentedConv": ["AugmentedConv1D", "AugmentedConv2D"],
}
CALLS = {
    "aa_keras.models.AAResNet50(": {"input_shape", "classes", "attention", "dropout"},
    "aa_keras.models.AARetinaNet50(": {"classes", "decoding", "bounding_box_format"},
    "aa_keras.AugmentedConv2D(": {"filters", "num_heads", "key_depth"},
    "aa_keras.export.export(": {"workdir", "out", "format"},
}


def editor(program):
    project = jedi.Project(ROOT)
    return jedi.Script(f"import aa_keras\n{program}", project=project)


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_editor_completes_names(program):
    assert [c.name for c in editor(program).complete()] == PROGRAMS[program]


@pytest.mark.parametrize("program", CALLS)
def test_an_editor_completes_arguments(program):
    (signature,) = editor(program).get_signatures()
    assert {parameter.name for parameter in signature.params} >= CALLS[program]
