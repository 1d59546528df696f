"""Where rates rise above 1, in words: how well that gain is known, and what stays on one side."""

import math
from collections.abc import Collection, Mapping
from typing import Final

import pandas as pd

from rnn_exp.words import listing, number, rates

__all__ = ["ENDS", "explodes", "holds_1", "of_theory", "stays"]

ENDS: Final = ("earliest", "latest")
"""The ends of the 95 % interval of a measured gain: the names under which `explodes` finds them."""
_SIDES: Final = dict(zip(ENDS, ("lower", "upper"), strict=True))
_MOST_NAMED: Final = 4
# From here on two digits of a percentage are no longer a plain number.
_HUNDRED: Final = 99.5

_Gains = Mapping[str, float]


def explodes(found: Mapping[str, _Gains]) -> str:
    """Say from which gain on each network explodes, how well that is known, and what is promised.

    Args:
        found: by network, the gains at which its rates cross 1: bound, measured and `ENDS`; of each
            that of the measured rate is known.
    """
    at = listing(f"{number(gains['measured'])} ({name})" for name, gains in found.items())
    shares = sorted(100 * gains["bound"] / gains["measured"] for gains in found.values())
    promised = [_percent(share) for share in shares if math.isfinite(share)]
    span = " to ".join(dict.fromkeys([*promised[:1], *promised[-1:]]))
    bound = f"; the bound guarantees vanishing only up to {span} % of that gain" if span else ""
    return f"The gradient explodes from g = {at} on{_known_to(found)}{bound}.".replace(" ()", "")


def _known_to(found: Mapping[str, _Gains]) -> str:
    """Of one network the interval itself; of several how far its farthest end is, and open ones."""
    if len(found) == 1:
        [gains] = found.values()
        return _interval(*(gains[end] for end in ENDS))
    ends = {end: [gains[end] / gains["measured"] for gains in found.values()] for end in ENDS}
    known = [abs(math.log(part)) for parts in ends.values() for part in parts if part == part]
    if not known:
        return ""
    said = [f"95 %: within {_apart(max(known))}"]
    for end, parts in ends.items():
        if count := sum(map(math.isnan, parts)):
            which = "one network" if count == 1 else f"{count} networks"
            said.append(f"for {which} the interval has no {_SIDES[end]} end")
    return f" ({'; '.join(said)})"


def _interval(low: float, high: float) -> str:
    if math.isfinite(low) and math.isfinite(high):
        return f" (95 %: {' to '.join(rates(low, high, near=math.nan))})"
    told = [f"from {number(low)} on" if math.isfinite(low) else ""]
    told += [f"up to {number(high)}" if math.isfinite(high) else ""]
    return "".join(f" (95 %: {words})" for words in told if words)


def _apart(log: float) -> str:
    """How far two gains lie apart: in per cent, and from twice as much on as a factor."""
    share = 100 * math.expm1(log)
    return f"{_percent(share)} %" if share < _HUNDRED else f"a factor of {number(math.exp(log))}"


def _percent(share: float) -> str:
    return f"{share:.2g}" if share < _HUNDRED else number(share)


def holds_1(low: float, high: float) -> str:
    """Say between which gains the interval of a rate holds 1; nothing where that is not known.

    Args:
        low: the gain from which on it does; NaN: not known.
        high: the gain up to which it does.

    Example:
        >>> holds_1(1.37, 1.44)
        ' (its 95 % interval holds 1 from 1.37 to 1.44)'
        >>> holds_1(1.37, math.nan), holds_1(math.nan, 1.44)
        (' (its 95 % interval holds 1 from 1.37 on)', '')
    """
    if math.isfinite(low) and math.isfinite(high):
        return f" (its 95 % interval holds 1 from {' to '.join(rates(low, high, near=math.nan))})"
    return f" (its 95 % interval holds 1 from {number(low)} on)" if math.isfinite(low) else ""


def of_theory(part: pd.DataFrame, at: _Gains, drawn: Collection[str]) -> list[str]:
    """Say where the lines of theory rise above 1, and where there is no theory of these lags.

    Args:
        part: the rows of a panel, in order of their gains.
        at: the gains at which its lines cross 1: predicted and asymptotic.
        drawn: the names of the lines that are drawn.
    """
    predicted = part["predicted"]
    known, said = part.loc[predicted.notna(), "gain"], list[str]()
    is_partial, where = len(known) < len(part), f"known {_gains(known, len(part))} alone"
    if math.isfinite(at["predicted"]):
        some = f" of these lags, {where}," if is_partial else ""
        said.append(f"theory{some} first rises above 1 at {number(at['predicted'])}")
    elif is_partial and len(known):
        sides = set(map(_side, predicted.dropna()))
        said.append(f"theory of these lags is {where}, {' and '.join(sorted(sides))} 1 there")
    elif len(known):
        said.append(f"theory {stays(predicted)}")
    if "asymptotic" not in drawn:
        return said
    if math.isfinite(at["asymptotic"]):
        crosses = f"first rises above 1 at {number(at['asymptotic'])}"
        return [*said, f"theory's asymptote {crosses}"]
    return [*said, f"theory's asymptote {stays(part['asymptotic'])}"]


def _gains(known: pd.Series, count: int) -> str:
    values = [f"{gain:g}" for gain in known]
    if len(values) <= _MOST_NAMED:
        return f"at g = {listing(values)}"
    return f"at {len(values)} of {count} gains from g = {values[0]} to {values[-1]}"


def stays(values: pd.Series) -> str:
    """Say on which side of 1 rates are that nowhere rise above it.

    Args:
        values: the rates, in order of their gains; NaN: not known.

    Example:
        >>> stays(pd.Series([0.5, 0.9])), stays(pd.Series([1.5, math.nan]))
        ('stays below 1', 'stays above 1 where it is known')
        >>> stays(pd.Series([1.5, 0.9]))
        'does not rise from below 1 to above it'
    """
    where = " where it is known" if values.isna().any() else ""
    sides = {_side(value) for value in values.dropna()}
    way = f"stays {sides.pop()} 1" if len(sides) == 1 else "does not rise from below 1 to above it"
    return f"{way}{where}"


def _side(value: float) -> str:
    return "above" if value > 1 else "below" if value < 1 else "at"
