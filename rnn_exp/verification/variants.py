"""Variants: a part with one setting moved from its default, so that its checks look there too."""

import dataclasses
from collections.abc import Collection, Iterator
from typing import Any, TypeVar

from rnn_exp.fields import Allowed, SettingError, allowed_of, as_typed

__all__ = ["others"]

Part = TypeVar("Part")


def others(part: Part, names: Collection[str] | None = None) -> Iterator[tuple[str, Part]]:
    """Yield a part with one setting moved, for each that another value is allowed for.

    Args:
        part: a frozen dataclass with its defaults.
        names: of the settings; None: all.

    Yields:
        What was moved, in words (``margin=0.05``), and the part.

    Example:
        >>> from rnn_exp.tasks import Adding
        >>> [words for words, _ in others(Adding(), ["length"])]
        ['length=31']
    """
    own: Any = part
    for field in dataclasses.fields(own):
        allowed = allowed_of(field)
        if allowed is None or (names is not None and field.name not in names):
            continue
        before = getattr(part, field.name)
        for value in _values(allowed, before):
            if value == before or not allowed.test(value):
                continue
            try:
                moved = dataclasses.replace(own, **{field.name: value})
            except SettingError:  # two settings may exclude each other
                continue
            yield f"{field.name}={as_typed(value)}", moved
            break


def _values(allowed: Allowed, before: Any) -> Iterator[Any]:  # noqa: ANN401 - of any field
    """Yield values that may be allowed, the likely ones first."""
    if allowed.options is not None:
        yield from allowed.options
    elif isinstance(before, bool):
        yield not before
    elif allowed.is_number:
        size = before or 1.0
        yield from (0.5 * size, 0.5 + size, 2 * size)
    else:
        yield from (1 if before is None else before + 1, 2 if before is None else before - 1)
