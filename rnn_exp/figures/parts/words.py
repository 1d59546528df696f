"""Numbers and lists as words, for captions."""

import math
from collections.abc import Iterable

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float) -> str:
    """Write three significant digits, never a long row of zeros: 0.583, 12.0, 3.1e-05."""
    if not math.isfinite(value):
        return "infinite" if math.isinf(value) else "undefined"
    return f"{value:.3g}"


def power(exponent: float) -> str:
    """Write a number given by its log10, far from 1 as a power of ten: 0.25, 10⁻¹²."""
    if not math.isfinite(exponent):
        return "0" if exponent < 0 else number(exponent)
    if -3 <= exponent < 4:
        return number(10.0**exponent)
    return "10" + str(round(exponent)).translate(_RAISED)


def listing(items: Iterable[str]) -> str:
    """Join items as in a sentence: 'a, b and c'."""
    *head, last = list(items) or [""]
    return f"{', '.join(head)} and {last}" if head else last


def plural(count: int, noun: str) -> str:
    """Count something: '1 run', '2 runs'."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def rate(value: float) -> str:
    """Put a factor per step back in time in words."""
    if value < 1:
        return f"shrinks to {100 * value:.3g} % per step back"
    return f"grows by {100 * (value - 1):.3g} % per step back"


def half_life(value: float) -> str:
    """Say after how many lags a norm that changes by this factor has halved or doubled."""
    lags = math.inf if value == 1 else math.log(2) / abs(math.log(value)) if value > 0 else 0.0
    kind = "halved" if value < 1 else "doubled"
    return f"{kind} every {number(lags)} lags" if math.isfinite(lags) else "neither way"


def sentences(*parts: str) -> str:
    """Join parts to one paragraph; empty ones are left out."""
    return " ".join(part.strip() for part in parts if part.strip())


def case_name(row: object) -> str:
    """Name the panel and series of a table row: 'sigmoid, g = 0.5, T = 100'."""
    activation, series, length = (getattr(row, k) for k in ("activation", "series", "length"))
    return ", ".join(filter(None, [activation, series, f"T = {length}" if length else ""]))
