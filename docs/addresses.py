"""The project's address, and links that lead somewhere from any page.

The address stands in pyproject.toml alone, under `[project.urls]`. The long description
of the package (setup.py) and the site (hooks.py) take it from there.
"""

import posixpath
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Code comes first, so that nothing in it is taken for a link.
LINK = re.compile(
    r"```.*?```|`[^`\n]*`|^ {4}[^\n]*|(!?\[[^\]]*\]\()([^)\s]+)(\))",
    re.DOTALL | re.MULTILINE,
)
PICTURES = (".png", ".jpg", ".svg")


def repository() -> str:
    """Returns the address of the repository."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return project["urls"]["Repository"].rstrip("/")


def address_of(path: str) -> str:
    """Returns the address of a file of the repository, given by its path there."""
    if not (ROOT / path).exists():
        raise ValueError(f"a link leads to {path!r}; allowed: files of the repository")
    kind = "raw" if path.endswith(PICTURES) else "blob"
    return f"{repository()}/{kind}/main/{path}"


def relink(text: str, page: str, lead=address_of) -> str:
    """Returns Markdown with other targets for its relative links.

    Args:
        text: str, the Markdown.
        page: str, the path of the page in the repository, to which links are relative.
        lead: function from the path of a file in the repository to the new target.
            Defaults to `address_of`.
    """

    def replace(match):
        path, hash_sign, anchor = (match[2] or "").partition("#")
        if not path or ":" in path:
            return match[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), path))
        return match[1] + lead(path) + hash_sign + anchor + match[3]

    return LINK.sub(replace, text)
