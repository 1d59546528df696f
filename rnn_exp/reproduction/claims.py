"""A claim: what is said, by whom, the number to hit, and how ours is measured.

A `Goal` is a published or reference number, and which measured values meet it. It is given what
was measured, one value a seed, and knows no other number of ours. A `Measure` makes these values.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

__all__ = [
    "Above",
    "Below",
    "Claim",
    "DataclassMeasure",
    "Goal",
    "Measure",
    "Near",
    "Solved",
    "same_when_quick",
]


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
        """Return mean and range."""
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
        """Return mean and range."""
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
    """Return the mean and, of more than one seed, the smallest and the largest value.

    Example:
        >>> _mean_and_range([0.25, 0.5, 0.75]), _mean_and_range([2.0])
        ('0.5 (0.25 … 0.75; 3 seeds)', '2 (nothing is random)')
    """
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return f"{mean:.6g} (nothing is random)"
    return f"{mean:.4g} ({min(values):.4g} … {max(values):.4g}; {len(values)} seeds)"


@dataclasses.dataclass(frozen=True)
class Solved:
    """``count`` of ``seeds`` seeds solve a task, give or take ``slack``.

    A value is the update at which a seed had solved its task; infinite: it never did.

    Example:
        >>> Solved(3, 3).describe([400.0, math.inf]), Solved(2, 3, slack=1).met([400.0, math.inf])
        ('1 of 2 (update 400, never)', True)
    """

    count: int
    seeds: int
    slack: int = 0

    @property
    def reference(self) -> str:
        """How many of how many."""
        slack = f" ± {self.slack}" if self.slack else ""
        return f"{self.count}{slack} of {self.seeds}"

    def met(self, values: Sequence[float]) -> bool:
        """Count the seeds that solved it."""
        return abs(sum(map(math.isfinite, values)) - self.count) <= self.slack

    def describe(self, values: Sequence[float]) -> str:
        """Return how many of how many, and when."""
        when = ", ".join(f"{value:g}" if math.isfinite(value) else "never" for value in values)
        return f"{sum(map(math.isfinite, values))} of {len(values)} (update {when})"


@runtime_checkable
class Measure(Protocol):
    """Something that can be measured, with all that decides the result."""

    @property
    def settings(self) -> Mapping[str, object]:
        """What decides the result, by name."""
        ...

    @property
    def description(self) -> str:
        """What is measured; the table shows it in front of the settings."""
        ...

    @property
    def expected_seconds(self) -> float:
        """A rough guess of how long it takes; the longest is started first."""
        ...

    def __call__(self) -> Sequence[float]:
        """Measure: one value a seed."""
        ...


class DataclassMeasure:
    """A base for measures that are dataclasses: their fields are the settings."""

    @property
    def settings(self) -> Mapping[str, object]:
        """Every field."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    @property
    def description(self) -> str:
        """The first line of the class's documentation, without its full stop."""
        return (self.__doc__ or "").splitlines()[0].rstrip(".")

    @property
    def expected_seconds(self) -> float:
        """A few seconds."""
        return 5.0


@dataclasses.dataclass(frozen=True)
class Claim:
    """One row of the table.

    Args:
        group: the name under which ``--only`` chooses the claim and those like it.
        says: what is claimed.
        source: who published or proved it, and where.
        goal: the number to hit; a claim without goal and measure is told and not measured.
        full: what is measured.
        quick: what is measured in its place with ``--quick``; None: it is left out.
    """

    group: str
    says: str
    source: str
    goal: Goal | None
    full: Measure | None
    quick: Measure | None = None

    def measure(self, quick: bool) -> Measure | None:
        """Return what is measured."""
        return self.quick if quick else self.full

    def setting(self, quick: bool) -> str:
        """Return what is measured and every setting of it."""
        measure = self.measure(quick) or self.full
        if measure is None:
            return ""
        words = " ".join(f"{key}={value}" for key, value in measure.settings.items())
        return f"{measure.description}: {words}"

    def dose(self, quick: bool) -> str:
        """Return how much of the full claim is measured: `full`, or what is less.

        What is less is read off the settings, so that it cannot be forgotten.
        """
        if self.full is None:
            return "none"
        if not quick:
            return "full"
        if self.quick is None:
            return "left out of quick"
        settings, full = self.quick.settings, self.full.settings
        less = [
            f"{key}={settings.get(key, '–')} of {full.get(key, '–')}"
            for key in {**full, **settings}
            if settings.get(key) != full.get(key)
        ]
        return f"quick: {', '.join(less)}" if less else "full"


def same_when_quick(group: str, says: str, source: str, goal: Goal, measure: Measure) -> Claim:
    """Return a claim that takes seconds, so that ``--quick`` measures all of it."""
    return Claim(group, says, source, goal, measure, measure)
