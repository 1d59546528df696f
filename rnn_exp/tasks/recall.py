"""Recall: symbols shown at the start are asked for much later.

`Permutation` (Pascanu, Mikolov & Bengio 2013) asks for one symbol at the last time step;
`Memorization` (the same paper) and `Copy` (Arjovsky, Shah & Bengio 2016) ask for a pattern of
several, and have an answer at every time step.
"""

import abc
import dataclasses
import math
from typing import ClassVar

import torch

from rnn_exp.fields import SettingError, check, whole
from rnn_exp.tasks.lengths import LengthRange, lengths_field, longest_field
from rnn_exp.tasks.task import Batch, Classification, one_hot

__all__ = ["Copy", "Memorization", "PatternRecall", "Permutation"]


@dataclasses.dataclass(frozen=True)
class Permutation(LengthRange, Classification):
    """Name the first symbol at the end (Pascanu, Mikolov & Bengio 2013 and their code).

    ::

        time     1  2  3  4  5  6
        symbol   1 37  5 88 41 16              answer 1: class 1 of 100

    One-hot inputs of 100 symbols: the first, the cue, is 0 or 1; all others are drawn uniformly
    from 2–99 (with replacement, despite the name). The classes are the 100 symbols. Cross-entropy
    at the last step, for the symbol that would come next: the first one again. Guessing 0 and 1
    alike scores ln 2 and is wrong 50 % of the time. Solved: fewer than 1 % of 10,000 sequences
    wrong.

    Args:
        length: L, in time steps.
        longest: where it is given, each batch has a length of its own, from L to this (null: none).
        lengths: with ``sequence``, each sequence of a batch has one, in place of the ``batch``.

    Raises:
        SettingError: if the length is below 2: the cue would be the last step.
    """

    length: int = whole(50, least=2)
    longest: int | None = longest_field()
    lengths: str = lengths_field()

    name: ClassVar[str] = "permutation"
    input_size: ClassVar[int] = 100
    output_size: ClassVar[int] = 100
    chance_loss: ClassVar[float] = math.log(2)
    chance_error: ClassVar[float] = 0.5

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        self.check_range()

    def draw_at(self, length: int, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw distractors everywhere, then put the cue first."""
        size = (length, batch_size)
        symbols = torch.randint(2, self.input_size, size, generator=generator)
        symbols[0] = torch.randint(0, 2, (batch_size,), generator=generator)
        cues = torch.ones(1, batch_size, dtype=torch.int64)
        return Batch(one_hot(symbols, self.input_size), symbols[:1], cues, length)


class PatternRecall(Classification, abc.ABC):
    """A pattern in the first inputs, a cue after ``length`` steps, the pattern in the last answers.

    Symbol 0 is the blank, which fills everything else, 1 to ``values`` make the pattern, and
    ``values + 1``, at time step ``cue_step``, asks for it. The cue is no class.
    """

    values: int

    @property
    @abc.abstractmethod
    def pattern_length(self) -> int:
        """How many symbols make the pattern."""

    @property
    @abc.abstractmethod
    def cue_step(self) -> int:
        """The time step of the cue, counted from 1."""

    @property
    def steps(self) -> int:
        """L, and the pattern twice: shown and asked for."""
        return self.length + 2 * self.pattern_length

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
        """The mean cross-entropy of a guess that knows when to answer, and no symbol."""
        return self.pattern_length * math.log(self.values) / self.steps

    @property
    def chance_error(self) -> float:
        """The share of patterns that are not the one guessed."""
        return 1 - float(self.values) ** -self.pattern_length

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw patterns; all else is the same in every sequence."""
        count = self.pattern_length
        pattern = torch.randint(1, self.values + 1, (count, batch_size), generator=generator)
        symbols = torch.zeros(self.steps, batch_size, dtype=torch.int64)
        targets = symbols.clone()
        symbols[:count] = targets[-count:] = pattern
        symbols[self.cue_step - 1] = self.values + 1
        cues = torch.arange(1, count + 1).unsqueeze(1).expand(count, batch_size)
        return Batch(one_hot(symbols, self.input_size), targets, cues, self.steps)


@dataclasses.dataclass(frozen=True)
class Memorization(PatternRecall):
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
    Cross-entropy, mean over the steps; a sequence is wrong if any step is. A guess that knows when
    to recall but no symbol scores positions · ln(values) / (L + 2 positions), and is wrong on all
    patterns but one of values^positions. Solved: fewer than 1 % of 10,000 sequences wrong.

    Args:
        length: L, the number of time steps to hold the pattern for.
        values: how many symbols a pattern can have at each position.
        positions: how many symbols make the pattern.

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
    def pattern_length(self) -> int:
        """How many symbols make the pattern."""
        return self.positions

    @property
    def cue_step(self) -> int:
        """L steps after the pattern: the cue is itself the first recall."""
        return self.positions + self.length + 1


@dataclasses.dataclass(frozen=True)
class Copy(PatternRecall):
    """Copy the first symbols once the delay is over (Arjovsky, Shah & Bengio 2016).

    ::

        time     1 2 3 4 5 6 7 8 9 10       3 symbols, delay L = 4
        input    5 8 1 . . . ? . . .
        answer   . . . . . . . 5 8 1

    One-hot inputs of ``values + 2`` symbols: 0 the blank (.), 1 to ``values`` those to copy,
    ``values + 1`` the marker (?). After the ``symbols`` to copy come L − 1 blanks, the marker, and
    as many blanks as there are symbols: L + 2 symbols steps. The copy begins one step *after* the
    marker. An answer at every step: the blank (class 0), then the symbols. (The paper numbers the
    blank after the values, which changes nothing.)

    Cross-entropy, mean over the steps; a sequence is wrong if any step is. A guess that knows when
    to answer but no symbol scores symbols · ln(values) / (L + 2 symbols), the paper's baseline, and
    is wrong on all sequences but one of values^symbols. Solved: fewer than 1 % of 10,000 sequences
    wrong.

    Args:
        length: L, the delay, in time steps.
        symbols: how many symbols are to be copied.
        values: how many there are to choose from.

    Raises:
        SettingError: if the delay or the symbols are below 1, or the values below 2.

    Example:
        >>> round(Copy(30, symbols=5).chance_loss, 4)
        0.2599
    """

    length: int = whole(50, least=1)
    symbols: int = whole(10, least=1)
    values: int = whole(8, least=2)

    name: ClassVar[str] = "copy"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    @property
    def pattern_length(self) -> int:
        """How many symbols make the pattern."""
        return self.symbols

    @property
    def cue_step(self) -> int:
        """The marker ends the delay; the copy begins after it."""
        return self.symbols + self.length
