"""Quotes and brackets of a typed value: what is left open, and keys that a dictionary has twice.

Hydra's parser stops at the first sign that it cannot use, and lets the last of two keys win.
"""

import dataclasses
from typing import Final

__all__ = ["key_twice", "left_open"]

_CLOSING: Final = {"[": "]", "{": "}", "(": ")"}
_BEFORE_A_QUOTE: Final = "=,:[{("
_NOT_A_DICTIONARY: Final = "$"  # ${…} is an interpolation


@dataclasses.dataclass
class _Open:
    """A bracket that is open: what its dictionary has so far, and where the next key begins."""

    sign: str
    keys: list[str] | None
    begin: int


def left_open(value: str) -> str:
    r"""Return the signs that are open at the end of a value, the outermost first.

    Example:
        >>> left_open("[a,{b: (1,2)"), left_open("'it"), left_open('["]",it\'s]')
        ('[{', "'", '')
    """
    return _scanned(value)[0]


def key_twice(value: str) -> str | None:
    """Return the first key that a dictionary in a value has twice.

    Example:
        >>> key_twice("[{seed: 1}, {seed: 2, 'seed': 3}]"), key_twice("{a: {b: 1}, b: 2}")
        ('seed', None)
    """
    return _scanned(value)[1]


def _scanned(value: str) -> tuple[str, str | None]:
    """Return what is open at the end of a value, and the first key that is there twice."""
    brackets: list[_Open] = []
    quote, before, twice = "", "", None  # `before`: the last sign that is no blank
    escaped = False
    for place, sign in enumerate(value):
        if quote:
            quote = "" if sign == quote and not escaped else quote
            escaped = sign == "\\" and not escaped
        elif sign in "\"'" and (not before or before in _BEFORE_A_QUOTE):
            quote, escaped = sign, False
        elif sign in _CLOSING:
            is_dictionary = sign == "{" and before != _NOT_A_DICTIONARY
            brackets.append(_Open(sign, [] if is_dictionary else None, place + 1))
        elif brackets and sign == _CLOSING[brackets[-1].sign]:
            brackets.pop()
        elif brackets and sign == ",":
            brackets[-1].begin = place + 1
        elif sign == ":" and brackets and brackets[-1].keys is not None:
            key = value[brackets[-1].begin : place].strip().strip("\"'")
            twice = twice or (key if key in brackets[-1].keys else None)
            brackets[-1].keys.append(key)
            brackets[-1].begin = len(value)
        before = before if sign.isspace() else sign
    return "".join(each.sign for each in brackets) + quote, twice
