"""The adding problem: sum the two marked numbers of a sequence."""

import dataclasses
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from rnn_exp.settings import SettingError, check, choice, whole
from rnn_exp.tasks.base import Batch
from rnn_exp.tasks.marking import ARJOVSKY, HOCHREITER, PASCANU, Marking
from rnn_exp.tasks.regression import Regression

__all__ = ["Adding"]


class _Convention(NamedTuple):
    """What a paper asks for, and what the best constant guess would score."""

    marking: Marking
    answer: Callable[[Tensor], Tensor]
    wrong_by: float
    chance_loss: float
    chance_error: float


_CONVENTIONS = {
    "arjovsky": _Convention(ARJOVSKY, lambda total: total, 0.04, 1 / 6, (1 - 0.04) ** 2),
    "pascanu": _Convention(PASCANU, lambda total: total / 2, 0.2, 1 / 24, (1 - 0.4) ** 2),
    "hochreiter": _Convention(
        HOCHREITER, lambda total: 0.5 + total / 4, 0.04, 1 / 24, (1 - 0.08) ** 2
    ),
}


@dataclasses.dataclass(frozen=True)
class Adding(Regression):
    """Add the two marked numbers, as one of three papers has it.

    ::

        time     1    2    3    4    5    6
        marker   0    1    0    0    0    1
        value   .31  .72  .05  .64  .90  .11      answer .72 + .11 = .83

    The loss is the squared error of the last output, mean over the batch; chance is the best
    constant guess. The conventions:

    * ``arjovsky`` (Arjovsky, Shah & Bengio 2016): values U(0, 1), one marker in each half, answer
      the sum. Guessing 1 scores Var(U + U) = 1/6.
    * ``pascanu`` (Pascanu, Mikolov & Bengio 2013 and their code): values U(0, 1). A batch's length
      l is drawn from [L, L + L/10); counting from 0, the first marker stands in [0, l/10), the
      second in [l/10, l/2). The answer is half the sum; guessing 1/2 scores 1/24.
    * ``hochreiter`` (Hochreiter & Schmidhuber 1997, experiment 4): values U(−1, 1). A batch's
      length is drawn from L to L + L/10. One of the first 10 numbers and another one of the first
      L/2 − 1 are marked; the markers of the first and the last number are −1. The answer is
      1/2 + sum/4; guessing 1/2 scores 1/24. The paper now and then marks the first number too and
      counts it as 0: here it never does, so that chance is 1/24 for every L.

    An answer is wrong when it is off by 0.04 or more (Hochreiter & Schmidhuber 1997; also taken for
    ``arjovsky``), for ``pascanu`` when its squared error is 0.04 or more (their code): off by 0.2.
    The guess is wrong with probability (1 − 0.04)², (1 − 0.4)² and (1 − 0.08)².

    Raises:
        SettingError: if the length is below 2, 10 or 22 (arjovsky, pascanu, hochreiter), or the
            convention is none of these.
    """

    length: int = whole(50, least=2)
    convention: str = choice("arjovsky", list(_CONVENTIONS))

    name: ClassVar[str] = "adding"
    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        least = self._convention.marking.least
        if self.length < least:
            allowed = f"a whole number of at least {least} (task.convention={self.convention})"
            raise SettingError("length", self.length, allowed)

    @property
    def _convention(self) -> _Convention:
        return _CONVENTIONS[self.convention]

    @property
    def steps(self) -> int:
        """L, or what the paper's longest sequence has."""
        return self._convention.marking.longest(self.length)

    @property
    def shortest(self) -> int:
        """L."""
        return self.length

    @property
    def wrong_by(self) -> float:
        """How far off an answer is wrong."""
        return self._convention.wrong_by

    @property
    def chance_loss(self) -> float:
        """The loss of the best constant: the variance of the answers."""
        return self._convention.chance_loss

    @property
    def chance_error(self) -> float:
        """The share of answers that are far from that constant."""
        return self._convention.chance_error

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw numbers, mark two of each sequence, and ask for what the convention asks."""
        marked = self._convention.marking.draw(self.length, batch_size, generator)
        return marked.asking(self._convention.answer(marked.numbers.sum(0)), self.steps)
