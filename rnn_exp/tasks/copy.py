"""Copy memory: give back ten symbols after a long delay."""

import dataclasses
from typing import ClassVar

from rnn_exp.settings import check, whole
from rnn_exp.tasks.recall import Recall

__all__ = ["Copy"]


@dataclasses.dataclass(frozen=True)
class Copy(Recall):
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

    Example:
        >>> round(Copy(30, symbols=5).chance_loss, 4)
        0.2599

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
    def shown(self) -> int:
        """How many symbols make the pattern."""
        return self.symbols

    @property
    def cue(self) -> int:
        """The marker ends the delay; the copy begins after it."""
        return self.symbols + self.length
