"""A claim: what is said, by whom, the number to hit, and how ours is measured."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from rnn_exp.results.goals import Goal

__all__ = ["Claim", "Measure", "PlainMeasure", "cheap"]


@runtime_checkable
class Measure(Protocol):
    """Something that can be measured, described by all that decides the result."""

    @property
    def settings(self) -> Mapping[str, object]:
        """What decides the result, by name."""
        ...

    @property
    def what(self) -> str:
        """What is measured, in front of the settings."""
        ...

    @property
    def work(self) -> float:
        """A rough guess of the seconds it takes; the longest is started first."""
        ...

    def __call__(self) -> Sequence[float]:
        """Measure: one value a seed."""
        ...


class PlainMeasure:
    """A measure that is a dataclass: its fields are its settings."""

    @property
    def settings(self) -> dict[str, object]:
        """Every field."""
        return dataclasses.asdict(self)  # type: ignore[call-overload]

    @property
    def what(self) -> str:
        """The first line of the class's documentation, without its full stop."""
        return (self.__doc__ or "").splitlines()[0].rstrip(".")

    @property
    def work(self) -> float:
        """A few seconds."""
        return 5.0


@dataclasses.dataclass(frozen=True)
class Claim:
    """One row of the table.

    ``group``: H1, H2, …; ``quick``: what is measured in its place with ``--quick`` (None: it is
    left out). A claim without goal and measure is only told.
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
        return f"{measure.what}: {words}"

    def dose(self, quick: bool) -> str:
        """Say how much of the full claim is measured: `full`, or what is less.

        What is less is read off the settings, so that it cannot be forgotten.
        """
        if self.full is None:
            return "none"
        if not quick:
            return "full"
        if self.quick is None:
            return "left out of quick"
        mine, full = self.quick.settings, self.full.settings
        less = [f"{key}={mine.get(key, '–')} of {full.get(key, '–')}"
                for key in {**full, **mine} if mine.get(key) != full.get(key)]  # fmt: skip
        return f"quick: {', '.join(less)}" if less else "full"


def cheap(group: str, says: str, source: str, goal: Goal, measure: Measure) -> Claim:
    """Return a claim that takes seconds: ``--quick`` measures all of it."""
    return Claim(group, says, source, goal, measure, measure)
