"""What the docstrings of this package say about arguments, as data."""

import inspect
import re

_ARGS = re.compile(r"^Args:\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
_ENTRY = re.compile(r"^    ([*\w, ]+): (.*?)(?=^    \S|\Z)", re.MULTILINE | re.DOTALL)


def argument_docs(documented) -> dict[str, str]:
    """Returns the text of each entry of `Args:` by its name, each on one line.

    Args:
        documented: function or class. A class adds the entries of its base classes,
            which its own replace.
    """
    texts: dict[str, str] = {}
    is_class = inspect.isclass(documented)
    for source in reversed(documented.__mro__) if is_class else (documented,):
        section = _ARGS.search(inspect.cleandoc(source.__doc__ or ""))
        entries = _ENTRY.findall(section[1]) if section else ()
        for names, text in entries:
            for name in names.replace("*", "").split(", "):
                texts[name] = " ".join(text.split())
    return texts
