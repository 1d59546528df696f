"""What is measured on networks that are trained: the runs, and what is read off their tables."""

import dataclasses
import math

import numpy as np

from rnn_exp.experiment import execute
from rnn_exp.outcome import Outcome
from rnn_exp.planning import seconds
from rnn_exp.run import Run

__all__ = ["LateError", "LateLoss", "SolvedAt", "Trained"]


@dataclasses.dataclass(frozen=True)
class Trained:
    """One run with seeds 0, 1, …, trained side by side."""

    run: Run
    seeds: int = 3

    @property
    def settings(self) -> dict[str, str]:
        """Every setting of the command line that is not its default, and the seeds."""
        words = (word.strip("'").split("=", 1) for word in self.run.command.split(" ")[1:])
        seeds = ",".join(map(str, range(self.seeds)))
        return {key: value for key, value in words if key != "seed"} | {"seed": seeds}

    @property
    def what(self) -> str:
        """The first line of the class's documentation, without its full stop."""
        return (self.__doc__ or "").splitlines()[0].rstrip(".")

    @property
    def work(self) -> float:
        """What `planning` guesses."""
        return self.seeds * seconds(self.run)

    def outcomes(self) -> list[Outcome]:
        """Train every seed."""
        return execute([dataclasses.replace(self.run, seed=seed) for seed in range(self.seeds)])


class SolvedAt(Trained):
    """Update at which under 1 % of 10,000 fresh sequences were wrong."""

    def __call__(self) -> list[float]:
        """Return the update of every seed, infinite where it never was."""
        return [
            float(outcome.updates["update"][-1]) if outcome.status == "solved" else math.inf
            for outcome in self.outcomes()
        ]


class LateLoss(Trained):
    """Median loss of the fresh batches of the last tenth of all updates."""

    def __call__(self) -> list[float]:
        """Return the median of every seed, NaN where it diverged."""
        return [_late(outcome, "loss") for outcome in self.outcomes()]


class LateError(Trained):
    """Mean share of wrong sequences of the fresh batches of the last tenth of all updates."""

    def __call__(self) -> list[float]:
        """Return the share of every seed, NaN where it diverged."""
        return [_late(outcome, "error") for outcome in self.outcomes()]


def _late(outcome: Outcome, column: str) -> float:
    """Return a column's average over the recorded updates of the last tenth."""
    if outcome.status == "diverged":
        return math.nan
    late = outcome.updates["update"] >= 0.9 * outcome.run.training.updates
    average = np.median if column == "loss" else np.mean
    return float(average(outcome.updates[column][late]))
