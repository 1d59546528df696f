"""The multiplication problem: multiply the two marked numbers of a sequence."""

import dataclasses
import math
from typing import ClassVar

import torch

from rnn_exp.settings import check, whole
from rnn_exp.tasks.base import Batch
from rnn_exp.tasks.marking import PASCANU
from rnn_exp.tasks.regression import Regression

__all__ = ["Multiplication"]


def _product_below(p: float) -> float:
    """P(U V < p) of two numbers U(0, 1)."""
    return p * (1 - math.log(p))


@dataclasses.dataclass(frozen=True)
class Multiplication(Regression):
    """Multiply the two marked numbers (Pascanu, Mikolov & Bengio 2013 and their code).

    ::

        time     1    2    3    4    5    6  …  10
        marker   1    0    0    1    0    0      0
        value   .50  .72  .05  .64  .90  .11 …  .31      answer .50 · .64 = .32

    Values are U(0, 1). A batch's length l is drawn from [L, L + L/10); counting from 0, the first
    marker stands in [0, l/10), the second in [l/10, l/2). The loss is the squared error of the last
    output, mean over the batch. The best constant guess is 1/4, with loss Var(U V) = 7/144. An
    answer is wrong when its squared error is 0.04 or more: off by 0.2. So the guess is wrong where
    the product is below 0.05 or above 0.45: with probability 0.3905.

    Raises:
        SettingError: if the length is below 10.
    """

    length: int = whole(50, least=PASCANU.least)

    name: ClassVar[str] = "multiplication"
    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 1
    chance_loss: ClassVar[float] = 7 / 144
    chance_error: ClassVar[float] = 1 - _product_below(0.45) + _product_below(0.05)

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    @property
    def steps(self) -> int:
        """The length of the longest sequence: below L + L/10."""
        return PASCANU.longest(self.length)

    @property
    def shortest(self) -> int:
        """L."""
        return self.length

    @property
    def wrong_by(self) -> float:
        """How far off an answer is wrong: √0.04."""
        return 0.2

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw numbers, mark two of each sequence, and ask for their product."""
        marked = PASCANU.draw(self.length, batch_size, generator)
        return marked.asking(marked.numbers.prod(0), self.steps)
