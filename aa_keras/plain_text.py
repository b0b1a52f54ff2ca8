"""Names from outside, such as those of files and classes, made safe to print."""

import unicodedata
from collections.abc import Iterable

# Controls, signs of direction, surrogates (with which Python marks bytes that are not
# UTF-8), and the ends of lines and paragraphs.
_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"  # part of words in some languages, and of emoji


def printable(text: object) -> str:
    r"""Returns text in which characters that act are written as their codes.

    An escape of a terminal, the end of a line, or a sign that turns the direction of
    the text becomes `\x1b`, `\n` or `\u202e`. All else stays as it is.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(
        _code(character)
        if unicodedata.category(character) in _CATEGORIES and character not in _JOINERS
        else character
        for character in text
    )


def as_table(rows: Iterable[dict[str, str]]) -> list[str]:
    """Returns the lines of a table for the terminal."""
    rows = list(rows)
    if not rows:
        return []
    rows = [dict(zip(rows[0], rows[0], strict=True)), *rows]
    cells = [{key: printable(value) for key, value in row.items()} for row in rows]
    widths = {key: max(len(row[key]) for row in cells) for key in rows[0]}
    return [
        "  ".join(row[key].ljust(width) for key, width in widths.items()).rstrip()
        for row in cells
    ]


def _code(character):
    if "\udc80" <= character <= "\udcff":  # Python's sign for a byte that is no UTF-8
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
