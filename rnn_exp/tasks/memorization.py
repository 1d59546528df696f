"""Noiseless memorization: hold a pattern over a long nothing, and give it back on a cue."""

import dataclasses
from typing import ClassVar

from rnn_exp.settings import SettingError, check, whole
from rnn_exp.tasks.recall import Recall

__all__ = ["Memorization"]


@dataclasses.dataclass(frozen=True)
class Memorization(Recall):
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
    def shown(self) -> int:
        """How many symbols make the pattern."""
        return self.positions

    @property
    def cue(self) -> int:
        """L steps after the pattern: the cue is itself the first recall."""
        return self.positions + self.length + 1
