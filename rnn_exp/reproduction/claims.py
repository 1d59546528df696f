"""A claim: what is said, by whom, the number to hit, and how ours is measured.

A `Measure` makes the values, and a goal (`goals`) says which of them meet the claim.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from rnn_exp.reproduction.goals import Goal

__all__ = ["Claim", "DataclassMeasure", "Measure", "same_when_quick"]


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
