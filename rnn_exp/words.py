"""Numbers, lists, paths and versions as words."""

import math
import platform
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

_PLAIN = re.compile(r"[A-Za-z_][\w./:+-]*", re.ASCII)
_HYDRAS_OWN = ("null", "true", "false", "nan", "inf")
_KEPT, _FOLD = 0.0005, 1.5  # so near 1 a rate "keeps"; from here on it is told as "-fold"
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def number(value: float) -> str:
    """Write three significant digits, never a long row of zeros.

    Example:
        >>> number(0.583), number(1352.0), number(3.1e-05), number(2.5e39)
        ('0.583', '1350', '3.1e-05', '2.5e39')
    """
    if not math.isfinite(value):
        return "infinite" if math.isinf(value) else "undefined"
    digits, _, exponent = f"{value:.3g}".partition("e+")
    if not exponent:
        return digits
    return f"{float(f'{value:.3g}'):.0f}" if int(exponent) < 6 else f"{digits}e{int(exponent)}"


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


def first_sentence(text: str) -> str:
    """Return the first sentence of a text: up to a full stop that a capital letter follows.

    Example:
        >>> first_sentence("With g = 0.5 it keeps 12 % per step. With tanh it does not.")
        'With g = 0.5 it keeps 12 % per step.'
    """
    return re.split(r"(?<=[.!?])\s+(?=[A-ZΩ∂½])", text, maxsplit=1)[0]


def plural(count: int, noun: str) -> str:
    """Count something: '1 run', '2 runs'."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def rate(value: float) -> str:
    """Put a factor per step back in time in words.

    Example:
        >>> [rate(factor) for factor in (0.12, 2.7, 1.023)]
        ['keeps 12 % of its size per step', 'grows 2.7-fold per step', 'grows by 2.3 % per step']
        >>> rate(1.0)
        'keeps its size'
    """
    if abs(value - 1) < _KEPT:
        return "keeps its size"
    if value < 1:
        return f"keeps {rates(100 * value, near=100.0)[0]} % of its size per step"
    if value < _FOLD:
        return f"grows by {100 * (value - 1):.2g} % per step"
    return f"grows {number(value)}-fold per step"


def rates(*values: float, near: float = 1.0) -> list[str]:
    """Write rates of one sentence with three digits, and more where three would say nothing.

    They are written so finely that the ends lie at least two units of the last digit apart, and
    that none looks like 1 that is not; six digits are the most.

    Args:
        values: a rate and the ends of its interval; NaN: not known.
        near: the number from which each is to be told; NaN: there is none.

    Example:
        >>> rates(0.64, 0.6291, 0.6496)
        ['0.64', '0.629', '0.65']
        >>> rates(1.0034, 1.0008, 1.0061)
        ['1.003', '1.0008', '1.006']
    """
    known = [value for value in values if math.isfinite(value)]
    apart = (max(known) - min(known)) / 2 if known else 0.0
    return [_told(value, (apart, abs(value - near))) for value in values]


def _told(value: float, distances: Iterable[float]) -> str:
    """Write a number with three digits, or as many as these distances need, at most six."""
    if not (value and math.isfinite(value)):
        return number(value)
    size = math.floor(math.log10(abs(value)))
    needed = [-math.floor(math.log10(each)) for each in distances if 0 < each < math.inf]
    places = max(needed, default=0)
    if places <= 2 - size or not -3 <= size <= 5:
        return number(value)
    shown = f"{value:.{min(places, 5 - size)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def rate_with_interval(middle: float, low: float, high: float, of: str = "") -> str:
    """Put a rate in words, with its 95 % interval where it has one.

    Args:
        middle: the factor per step back in time.
        low: the lower end of its interval; NaN: there is none.
        high: the upper end.
        of: over what the interval is, such as " over 3 seeds".

    Example:
        >>> rate_with_interval(0.64, 0.6291, 0.6496)
        'keeps 64 % of its size per step (rate 0.64, 95 % 0.629 to 0.65)'
        >>> rate_with_interval(0.64, math.nan, math.nan)
        'keeps 64 % of its size per step'
    """
    shown = rates(middle, low, high)
    if "undefined" in shown or shown[1] == shown[2]:
        return rate(middle)
    return f"{rate(middle)} (rate {shown[0]}, 95 %{of} {shown[1]} to {shown[2]})"


def kept_with_interval(middle: float, low: float, high: float) -> str:
    """Put a rate in words alone, with its 95 % interval in the same words, where it has one.

    Args:
        middle: the factor per step back in time.
        low: the lower end of its interval; NaN: there is none.
        high: the upper end.

    Example:
        >>> kept_with_interval(0.127, 0.1172, 0.1369)
        'keeps 12.7 % (95 %: 11.7 to 13.7 %) of its size per step'
        >>> kept_with_interval(2.43, 2.33, 2.53)
        'grows 2.43-fold (95 %: 2.33 to 2.53) per step'
        >>> kept_with_interval(1.02, 0.99, 1.05)
        'grows by 2 % (95 %: -1 to 5 %) per step'
    """
    if not (math.isfinite(low) and math.isfinite(high)):
        return rate(middle)
    every = (middle, low, high)
    if abs(middle - 1) < _KEPT:
        _, *ends = rates(*(100 * each for each in every), near=100.0)
        return f"keeps its size{_within(ends, ' %')}"
    if middle < 1:
        part, *ends = rates(*(100 * each for each in every), near=100.0)
        return f"keeps {part} %{_within(ends, ' %')} of its size per step"
    if middle < _FOLD:
        more, *ends = rates(*(100 * (each - 1) for each in every), near=math.nan)
        return f"grows by {more} %{_within(ends, ' %')} per step"
    times, *ends = rates(*every)
    return f"grows {times}-fold{_within(ends)} per step"


def _within(ends: Sequence[str], unit: str = "") -> str:
    """Return the interval in a bracket; nothing where its ends are one."""
    return f" (95 %: {ends[0]} to {ends[1]}{unit})" if ends[0] != ends[1] else ""


def change(log10_change: float, lags: int) -> str:
    """Say what a norm has become so many steps back.

    Example:
        >>> change(-43.0, 84), change(1.5, 10)
        ('84 steps back 1e-43 of it is left', '10 steps back it is 31.6 times as large')
    """
    steps = plural(lags, "step")
    if math.isnan(log10_change):
        return ""
    if log10_change == -math.inf:
        return f"{steps} back nothing of it is left"
    if abs(log10_change) < 0.005:
        return f"{steps} back it is as large"
    if log10_change < 0:
        return f"{steps} back {magnitude(log10_change)} of it is left"
    return f"{steps} back it is {magnitude(log10_change)} times as large"


def magnitude(exponent: float) -> str:
    """Write a number given by its log10 as people type it: 0.25, 31.6, 1e-43.

    Example:
        >>> magnitude(-0.6), magnitude(-43.0), magnitude(-400.3)
        ('0.251', '1e-43', '5e-401')
    """
    if not math.isfinite(exponent):
        return "0" if exponent < 0 else number(exponent)
    if -3 <= exponent < 4:
        return number(10.0**exponent)
    whole = math.floor(exponent)
    digits = f"{10.0 ** (exponent - whole):.2g}"
    whole, digits = (whole + 1, "1") if digits == "10" else (whole, digits)
    return f"{digits}e{whole:+03d}".replace("e+0", "e").replace("e+", "e")


def half_life(lags: float, grows: bool) -> str:
    """Say after how many lags a norm has halved or doubled; nothing where that is not known.

    Example:
        >>> half_life(1.23, False), half_life(10.0, True)
        ('half-life 1.23 steps', 'doubling time 10 steps')
    """
    if not math.isfinite(lags):
        return ""
    return f"{'doubling time' if grows else 'half-life'} {number(lags)} steps"


def counts(words: Iterable[str], order: Iterable[str]) -> str:
    """Count words: '7 finished and 1 diverged'.

    Args:
        words: what is counted.
        order: those that come first, in this order; others follow by the alphabet.
    """
    found, first = list(words), list(order)
    there = [word for word in (*first, *sorted(set(found) - set(first))) if word in found]
    return listing(f"{found.count(word)} {word}" for word in there)


def counted(verdicts: Iterable[str], order: Iterable[str]) -> str:
    """Say how many seeds have which verdict, and that they disagree if they do.

    Args:
        verdicts: one a seed.
        order: of all words.

    Example:
        >>> counted(["stable", "vanishing", "stable"], ["vanishing", "stable"])
        '1 vanishing and 2 stable (seeds disagree)'
        >>> counted(["stable", "stable"], ["vanishing", "stable"])
        'stable for both seeds'
    """
    found = list(verdicts)
    if not found:
        return "no verdict"
    if len(set(found)) == 1:
        every = {1: "", 2: " for both seeds"}.get(len(found), f" for all {len(found)} seeds")
        return f"{found[0]}{every}"
    return f"{counts(found, order)} (seeds disagree)"


def sentences(*parts: str) -> str:
    """Join parts to one paragraph; empty ones are left out."""
    return " ".join(part.strip() for part in parts if part.strip())


def case_name(row: object) -> str:
    """Name the panel and series of a table row: 'sigmoid, g = 0.5, T = 100'."""
    activation, series, length = (getattr(row, k) for k in ("activation", "series", "length"))
    return ", ".join(filter(None, [activation, series, f"T = {length}" if length else ""]))


def hydra_word(text: str) -> str:
    """Return a text as it is typed for Hydra: in quotes where its grammar asks for them.

    Example:
        >>> hydra_word("cuda:1"), hydra_word("T (°C)"), hydra_word("1e5"), hydra_word("null")
        ('cuda:1', '"T (°C)"', '"1e5"', '"null"')
    """
    is_plain = _PLAIN.fullmatch(text) and text.lower() not in _HYDRAS_OWN
    return text if is_plain else quoted(text)


def quoted(text: str) -> str:
    """Return a text in quotes, as Hydra reads them."""
    # Hydra reads \" as a quote, and halves the backslashes before one.
    inside = re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' * bool(found[2])), text)
    return f'"{inside}"'


def from_here(path: Path, here: Path | None = None) -> Path:
    """Return a path as the user knows it: from the folder where he is, if it lies below that.

    Args:
        path: any.
        here: where the user is; None: the working directory.

    Example:
        >>> from_here(Path("/a/b/c"), Path("/a")).as_posix()
        'b/c'
        >>> from_here(Path("/b/c"), Path("/a")).as_posix()
        '/b/c'
    """
    here = Path.cwd() if here is None else here
    return path.relative_to(here) if path.is_relative_to(here) else path


def versions_line() -> str:
    """Return one line with the versions of this package and of what its results come from.

    Example:
        >>> versions_line().startswith("rnn-exp ")
        True
    """
    from importlib.metadata import version

    others = {"torch": "torch", "hydra": "hydra-core"}
    told = [f"{name} {version(package)}" for name, package in others.items()]
    told.append(f"python {platform.python_version()}")
    return f"rnn-exp {version('rnn-exp')} ({', '.join(told)})"
