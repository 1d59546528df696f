"""Goals: a published or reference number, and which measured values meet it.

A goal is given what was measured, one value a seed, and knows no other number of ours. It is
written down before the measurement, and there are values that it turns down.
"""

import dataclasses
import math
import statistics
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

__all__ = ["Above", "AtLeast", "AtMost", "Below", "Goal", "Near", "SolvedMore", "fisher"]

_SURE = 0.05


@runtime_checkable
class Goal(Protocol):
    """What a claim asks of the measured values."""

    @property
    def reference(self) -> str:
        """The number to hit, with its tolerance."""
        ...

    def met(self, values: Sequence[float]) -> bool:
        """Return whether the values of all seeds meet it; NaN never does."""
        ...

    def describe(self, values: Sequence[float]) -> str:
        """Return the values as the table shows them."""
        ...


@dataclasses.dataclass(frozen=True)
class Near:
    """The mean over seeds is at most ``tolerance`` away from ``value``.

    Example:
        >>> Near(0.5, 0.1).reference, Near(0.5, 0.1).met([0.3, 0.6]), Near(0.5, 0.1).met([0.3])
        ('0.5 ± 0.1', True, False)
    """

    value: float
    tolerance: float

    @property
    def reference(self) -> str:
        """The number and its tolerance."""
        return f"{self.value:g} ± {self.tolerance:g}"

    def met(self, values: Sequence[float]) -> bool:
        """Compare the mean."""
        return abs(math.fsum(values) / len(values) - self.value) <= self.tolerance

    def describe(self, values: Sequence[float]) -> str:
        """Return the mean, its error, and the range."""
        return _mean_and_range(values)


@dataclasses.dataclass(frozen=True)
class Below:
    """Every seed is below ``limit``."""

    limit: float

    @property
    def reference(self) -> str:
        """The limit."""
        return f"< {self.limit:g}"

    def met(self, values: Sequence[float]) -> bool:
        """Compare every seed."""
        return all(value < self.limit for value in values)

    def describe(self, values: Sequence[float]) -> str:
        """Return the mean, its error, and the range."""
        return _mean_and_range(values)


@dataclasses.dataclass(frozen=True)
class Above(Below):
    """Every seed is above ``limit``."""

    @property
    def reference(self) -> str:
        """The limit."""
        return f"> {self.limit:g}"

    def met(self, values: Sequence[float]) -> bool:
        """Compare every seed."""
        return all(value > self.limit for value in values)


def _mean_and_range(values: Sequence[float]) -> str:
    """Return the mean, and of more than one seed its standard error, and the range.

    Example:
        >>> _mean_and_range([0.25, 0.5, 0.75]), _mean_and_range([2.0])
        ('0.5 ± 0.14 (0.25 … 0.75; 3 seeds)', '2 (nothing is random)')
    """
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.6g} (nothing is random)"
    error = statistics.stdev(values) / math.sqrt(len(values)) if math.isfinite(mean) else math.nan
    return f"{mean:.4g} ± {error:.2g} ({min(values):.4g} … {max(values):.4g}; {len(values)} seeds)"


@dataclasses.dataclass(frozen=True)
class AtLeast:
    """At least ``count`` of ``seeds`` seeds solve a task.

    A value is the update at which a seed had solved its task; infinite: it never did. Another
    number of seeds than was asked for meets nothing.

    Example:
        >>> AtLeast(2, 3).met([400.0, 50.0, math.inf]), AtLeast(2, 3).met([400.0, 50.0])
        (True, False)
        >>> AtLeast(2, 2).describe([400.0, math.inf])
        '1 of 2 (update 400, never)'
    """

    count: int
    seeds: int

    @property
    def reference(self) -> str:
        """How many of how many."""
        return f"at least {self.count} of {self.seeds}"

    def met(self, values: Sequence[float]) -> bool:
        """Count the seeds that solved it."""
        return len(values) == self.seeds and _solved(values) >= self.count

    def describe(self, values: Sequence[float]) -> str:
        """Return how many of how many, and when."""
        return _count_and_when(values)


@dataclasses.dataclass(frozen=True)
class AtMost(AtLeast):
    """At most ``count`` of ``seeds`` seeds solve a task.

    Example:
        >>> AtMost(1, 3).met([400.0, math.inf, math.inf]), AtMost(1, 3).met([400.0, 50.0, math.inf])
        (True, False)
    """

    @property
    def reference(self) -> str:
        """How many of how many."""
        return f"at most {self.count} of {self.seeds}"

    def met(self, values: Sequence[float]) -> bool:
        """Count the seeds that solved it."""
        return len(values) == self.seeds and _solved(values) <= self.count


@dataclasses.dataclass(frozen=True)
class SolvedMore(AtLeast):
    """At least ``count`` of ``seeds`` seeds solve a task with a remedy, and fewer without it.

    Fewer: one-sided, by Fisher's exact test, at 5 %. The values are those with the remedy, and
    behind them as many without it.

    Example:
        >>> always, never = [300.0] * 4, [math.inf] * 4
        >>> SolvedMore(3, 4).met(always + never), SolvedMore(3, 4).met(always + always)
        (True, False)
        >>> SolvedMore(3, 4).describe(always[:2] + never[:2])
        '2 of 2 (update 300, 300), without 0 of 2 (update never, never): p = 0.17'
    """

    @property
    def reference(self) -> str:
        """How many of how many, and the test."""
        return f"at least {self.count} of {self.seeds}, without it fewer (Fisher, p < {_SURE:g})"

    def met(self, values: Sequence[float]) -> bool:
        """Count both, and test whether they differ."""
        ours, others = _halves(values)
        enough = len(ours) == len(others) == self.seeds and _solved(ours) >= self.count
        return enough and fisher(_solved(ours), _solved(others), self.seeds) < _SURE

    def describe(self, values: Sequence[float]) -> str:
        """Return both counts, when, and the probability."""
        ours, others = _halves(values)
        p = fisher(_solved(ours), _solved(others), len(ours))
        return f"{_count_and_when(ours)}, without {_count_and_when(others)}: p = {p:.2g}"


def fisher(more: int, fewer: int, seeds: int) -> float:
    """Return the probability that so many more solve a task by chance alone (Fisher 1935).

    Of two groups of ``seeds`` seeds ``more`` and ``fewer`` have solved it: how likely is it that,
    of as many in all, the first group has at least ``more``?

    Example:
        >>> round(fisher(3, 0, 3), 4), round(fisher(8, 4, 8), 4), fisher(2, 2, 2)
        (0.05, 0.0385, 1.0)
    """
    solved = more + fewer
    ways = sum(
        math.comb(seeds, k) * math.comb(seeds, solved - k)
        for k in range(more, min(seeds, solved) + 1)
    )
    return ways / math.comb(2 * seeds, solved)


def _halves(values: Sequence[float]) -> tuple[Sequence[float], Sequence[float]]:
    """Return the first and the second half."""
    return values[: len(values) // 2], values[len(values) // 2 :]


def _solved(values: Sequence[float]) -> int:
    """Return how many are finite."""
    return sum(map(math.isfinite, values))


def _count_and_when(values: Sequence[float]) -> str:
    """Return how many of how many are finite, and all of them."""
    when = ", ".join(f"{value:g}" if math.isfinite(value) else "never" for value in values)
    return f"{_solved(values)} of {len(values)} (update {when})"
