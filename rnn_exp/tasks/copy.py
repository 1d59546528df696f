"""Copy memory: give back ten symbols after a long delay."""

import dataclasses
from typing import ClassVar

import torch

from rnn_exp.settings import check, whole
from rnn_exp.tasks import recall
from rnn_exp.tasks.base import Batch
from rnn_exp.tasks.classification import Classification

__all__ = ["Copy"]


@dataclasses.dataclass(frozen=True)
class Copy(Classification):
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

    Cross-entropy, mean over the steps; a sequence is wrong if any step is. Who knows when to answer
    but no symbol scores symbols · ln(values) / (L + 2 symbols), the paper's baseline, and is wrong
    on all sequences but one of values^symbols. Solved: fewer than 1 % of 10,000 sequences wrong.

    Raises:
        SettingError: if the delay or the symbols are below 1, or the values below 2.
    """

    length: int = whole(50, least=1)
    symbols: int = whole(10, least=1)
    values: int = whole(8, least=2)

    name: ClassVar[str] = "copy"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    @property
    def steps(self) -> int:
        """L + 2 symbols."""
        return self.length + 2 * self.symbols

    @property
    def shortest(self) -> int:
        """L + 2 symbols."""
        return self.steps

    @property
    def answers(self) -> int:
        """One at every step."""
        return self.steps

    @property
    def input_size(self) -> int:
        """The blank, the values, the marker."""
        return self.values + 2

    @property
    def output_size(self) -> int:
        """The blank and the values."""
        return self.values + 1

    @property
    def chance_loss(self) -> float:
        """The mean cross-entropy of who knows when to answer and no symbol.

        Example:
            >>> round(Copy(30, symbols=5).chance_loss, 4)
            0.2599
        """
        return recall.chance_loss(self.symbols, self.values, self.steps)

    @property
    def chance_error(self) -> float:
        """The share of sequences that are not the one guessed."""
        return recall.chance_error(self.symbols, self.values)

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw symbols; the marker ends the delay, and the copy begins after it."""
        marker = self.symbols + self.length
        shape = (self.symbols, batch_size)
        return recall.draw(shape, self.values, cue=marker, steps=self.steps, generator=generator)
