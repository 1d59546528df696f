"""Marked numbers: the adding problem as three papers have it, and multiplication.

Two numbers of a sequence are marked, and the answer at the end is made of these two. A
`MarkerRule` says how a paper draws the numbers and marks two of them.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from rnn_exp.fields import SettingError, check, choice, whole
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks.lengths import LengthRange, lengths_field, longest_field
from rnn_exp.tasks.task import Batch, Regression

__all__ = ["Adding", "MarkedSequences", "MarkerRule", "Multiplication"]


class MarkedSequences(NamedTuple):
    """Sequences of which two numbers each are marked.

    Args:
        inputs: channel 0 marks, channel 1 holds the numbers.
        marked: the two marked numbers.
        cues: their time steps, counted from 1.
    """

    inputs: Float[Tensor, "time batch 2"]
    marked: Float[Tensor, "2 batch"]
    cues: Shaped[Tensor, "2 batch"]

    def to_batch(self, answers: Float[Tensor, " batch"], steps: int) -> Batch:
        """Return the batch with these answers, with zeros behind the sequences up to ``steps``."""
        length = len(self.inputs)
        inputs = self.inputs
        if length < steps:
            inputs = torch.nn.functional.pad(inputs, (0, 0, 0, 0, 0, steps - length))
        return Batch(inputs, answers.unsqueeze(0), self.cues, length)


class MarkerRule(NamedTuple):
    """A paper's rule for where the two markers stand.

    Args:
        draw: draws sequences, from L, the batch size and a generator.
        least: the least L that it can draw for.
        longest: the number of time steps of its longest sequence, as a function of L.
    """

    draw: Callable[[int, int, torch.Generator], MarkedSequences]
    least: int
    longest: Callable[[int], int]


def _mark(
    numbers: Float[Tensor, "time batch"],
    positions: Shaped[Tensor, "2 batch"],
    end_markers: float = 0.0,
) -> MarkedSequences:
    """Return the numbers with a marker 1 at two positions, counted from 0, and both ends marked."""
    markers = torch.zeros_like(numbers)
    if end_markers:
        markers[[0, -1]] = end_markers
    markers.scatter_(0, positions, 1.0)
    inputs = torch.stack([markers, numbers], dim=-1)
    return MarkedSequences(inputs, numbers.gather(0, positions), positions + 1)


def _draw_arjovsky(L: int, batch_size: int, generator: torch.Generator) -> MarkedSequences:
    """Draw one marker in each half, numbers U(0, 1)."""
    half = L // 2
    numbers = torch.rand(L, batch_size, generator=generator, dtype=torch.float32)
    first = torch.randint(0, half, (batch_size,), generator=generator)
    second = torch.randint(half, L, (batch_size,), generator=generator)
    return _mark(numbers, torch.stack([first, second]))


def _draw_pascanu(L: int, batch_size: int, generator: torch.Generator) -> MarkedSequences:
    """Draw the first marker in the first tenth, the second in the rest of the first half."""
    length = L + int(torch.randint(0, L // 10, (), generator=generator))
    tenth, half = length // 10, length // 2
    numbers = torch.rand(length, batch_size, generator=generator, dtype=torch.float32)
    first = torch.randint(0, tenth, (batch_size,), generator=generator)
    second = torch.randint(tenth, half, (batch_size,), generator=generator)
    return _mark(numbers, torch.stack([first, second]))


def _draw_hochreiter(L: int, batch_size: int, generator: torch.Generator) -> MarkedSequences:
    """Draw both markers before L/2 − 1, in any order, never on the first number; U(−1, 1)."""
    length = L + int(torch.randint(0, L // 10 + 1, (), generator=generator))
    limit = L // 2 - 1
    numbers = 2 * torch.rand(length, batch_size, generator=generator, dtype=torch.float32) - 1
    first = torch.randint(1, 10, (batch_size,), generator=generator)
    # One of the numbers that are left: those from the first marker on move up by one.
    second = torch.randint(1, limit - 1, (batch_size,), generator=generator)
    second = second + (second >= first)
    return _mark(numbers, torch.stack([first, second]), end_markers=-1.0)


_ARJOVSKY = MarkerRule(_draw_arjovsky, least=2, longest=lambda L: L)
_PASCANU = MarkerRule(_draw_pascanu, least=10, longest=lambda L: L + L // 10 - 1)
# With L = 22 the first nine numbers that can be marked lie before L/2 − 1.
_HOCHREITER = MarkerRule(_draw_hochreiter, least=22, longest=lambda L: L + L // 10)


class _Convention(NamedTuple):
    """What a paper asks of the sum of the marked numbers, and what the best constant scores."""

    rule: MarkerRule
    answer: Callable[[Tensor], Tensor]
    tolerance: float
    chance_loss: float
    chance_error: float


_CONVENTIONS = {
    "arjovsky": _Convention(_ARJOVSKY, lambda total: total, 0.04, 1 / 6, (1 - 0.04) ** 2),
    "pascanu": _Convention(_PASCANU, lambda total: total / 2, 0.2, 1 / 24, (1 - 0.4) ** 2),
    "hochreiter": _Convention(
        _HOCHREITER, lambda total: 0.5 + total / 4, 0.04, 1 / 24, (1 - 0.08) ** 2
    ),
}


@dataclasses.dataclass(frozen=True)
class Adding(LengthRange, Regression):
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

    Args:
        length: L, in time steps.
        convention: which paper says where the markers stand and what the answer is.
        longest: where it is given, each batch has a length of its own, from L to this (null: none).
        lengths: with ``sequence``, each sequence of a batch has one, in place of the ``batch``.

    Raises:
        SettingError: if the length is below 2, 10 or 22 (arjovsky, pascanu, hochreiter), or the
            convention is none of these.
    """

    length: int = whole(30, least=2)
    convention: str = choice("arjovsky", list(_CONVENTIONS))
    longest: int | None = longest_field()
    lengths: str = lengths_field()

    name: ClassVar[str] = "adding"
    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 1

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        least = self._convention.rule.least
        if self.length < least:
            allowed = f"a whole number of at least {least} (task.convention={self.convention})"
            raise SettingError("length", self.length, allowed)
        self.check_range()

    @property
    def _convention(self) -> _Convention:
        return _CONVENTIONS[self.convention]

    def steps_at(self, length: int) -> int:
        """Return the number of time steps of the longest sequence: L, or about L + L/10."""
        return self._convention.rule.longest(length)

    @property
    def tolerance(self) -> float:
        """The distance from the target from which on an answer is wrong."""
        return self._convention.tolerance

    @property
    def chance_loss(self) -> float:
        """The loss of the best constant: the variance of the answers."""
        return self._convention.chance_loss

    @property
    def chance_error(self) -> float:
        """The share of answers that are far from that constant."""
        return self._convention.chance_error

    def draw_at(self, length: int, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw numbers, mark two of each sequence, and ask for what the convention asks."""
        sequences = self._convention.rule.draw(length, batch_size, generator)
        answers = self._convention.answer(sequences.marked.sum(0))
        return sequences.to_batch(answers, self.steps_at(length))


def _product_below(p: float) -> float:
    """Return P(U V < p), the probability that the product of two numbers U(0, 1) is less."""
    return p * (1 - math.log(p))


@dataclasses.dataclass(frozen=True)
class Multiplication(LengthRange, Regression):
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

    Args:
        length: L, in time steps.
        longest: where it is given, each batch has a length of its own, from L to this (null: none).
        lengths: with ``sequence``, each sequence of a batch has one, in place of the ``batch``.

    Raises:
        SettingError: if the length is below 10.
    """

    length: int = whole(50, least=_PASCANU.least)
    longest: int | None = longest_field()
    lengths: str = lengths_field()

    name: ClassVar[str] = "multiplication"
    input_size: ClassVar[int] = 2
    output_size: ClassVar[int] = 1
    chance_loss: ClassVar[float] = 7 / 144
    chance_error: ClassVar[float] = 1 - _product_below(0.45) + _product_below(0.05)

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        self.check_range()

    def steps_at(self, length: int) -> int:
        """Return the number of time steps of the longest sequence: below L + L/10."""
        return _PASCANU.longest(length)

    @property
    def tolerance(self) -> float:
        """The distance from the target from which on an answer is wrong: √0.04."""
        return 0.2

    def draw_at(self, length: int, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw numbers, mark two of each sequence, and ask for their product."""
        sequences = _PASCANU.draw(length, batch_size, generator)
        return sequences.to_batch(sequences.marked.prod(0), self.steps_at(length))
