"""Noiseless memorization: hold a pattern over a long nothing, and give it back on a cue."""

import dataclasses
from typing import ClassVar

import torch

from rnn_exp.settings import SettingError, check, whole
from rnn_exp.tasks import recall
from rnn_exp.tasks.base import Batch
from rnn_exp.tasks.classification import Classification

__all__ = ["Memorization"]


@dataclasses.dataclass(frozen=True)
class Memorization(Classification):
    """Hold a pattern for L steps, and recall it from the cue on (Pascanu et al. 2013, their code).

    ::

        time     1 2 3 4 5 6 7 8 9 10       values 2, positions 3, L = 4
        input    2 1 2 . . . . ? . .
        answer   . . . . . . . 2 1 2

    One-hot inputs of ``values + 2`` symbols: 0 the blank (.), 1 to ``values`` the pattern,
    ``values + 1`` the cue (?). The distractors are L blanks, all the same: nothing is noisy. The
    cue stands at step positions + L + 1, and the first symbol of the pattern is asked for at that
    same step. An answer at each of the L + 2 positions steps: the blank (class 0) until the cue,
    then the pattern. (The authors' code numbers the blank after the values, which changes nothing.)

    2 values at 5 positions are the 5-bit problem (the default), 5 at 10 the 20-bit problem.
    Cross-entropy, mean over the steps; a sequence is wrong if any step is. Who knows when to recall
    but no symbol scores positions · ln(values) / (L + 2 positions), and is wrong on all patterns
    but one of values^positions. Solved: fewer than 1 % of 10,000 sequences wrong.

    Raises:
        SettingError: if there are fewer than 2 values, no positions, or no steps to hold the
            pattern for.
    """

    length: int = whole(50, least=1)
    values: int = whole(2, least=2)
    positions: int = whole(5, least=1)

    name: ClassVar[str] = "memorization"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        if self.length == 0:
            why = "with none the cue follows the pattern, and there is nothing to hold it over"
            raise SettingError("length", self.length, f"a whole number of at least 1: {why}")
        check(self)

    @property
    def steps(self) -> int:
        """L + 2 positions."""
        return self.length + 2 * self.positions

    @property
    def shortest(self) -> int:
        """L + 2 positions."""
        return self.steps

    @property
    def answers(self) -> int:
        """One at every step."""
        return self.steps

    @property
    def input_size(self) -> int:
        """The blank, the values, the cue."""
        return self.values + 2

    @property
    def output_size(self) -> int:
        """The blank and the values."""
        return self.values + 1

    @property
    def chance_loss(self) -> float:
        """The mean cross-entropy of who knows when to answer and no symbol."""
        return recall.chance_loss(self.positions, self.values, self.steps)

    @property
    def chance_error(self) -> float:
        """The share of patterns that are not the one guessed."""
        return recall.chance_error(self.positions, self.values)

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw patterns; the cue comes L steps after each, and is itself the first recall."""
        cue = self.positions + self.length + 1
        shape = (self.positions, batch_size)
        return recall.draw(shape, self.values, cue=cue, steps=self.steps, generator=generator)
