"""Marking: how three papers mark two numbers of a sequence, which the answer is made of."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks.base import Batch

__all__ = ["ARJOVSKY", "HOCHREITER", "PASCANU", "Marked", "Marking"]


class Marked(NamedTuple):
    """Sequences of which two numbers are marked: channel 0 marks, channel 1 holds the numbers."""

    inputs: Float[Tensor, "time batch 2"]
    numbers: Float[Tensor, "2 batch"]
    cues: Shaped[Tensor, "2 batch"]

    def asking(self, answers: Float[Tensor, " batch"], steps: int) -> Batch:
        """Return the batch with these answers; what is left of the steps is 0."""
        length = len(self.inputs)
        inputs = torch.nn.functional.pad(self.inputs, (0, 0, 0, 0, 0, steps - length))
        return Batch(inputs, answers.unsqueeze(0), self.cues, length)


class Marking(NamedTuple):
    """A paper's way: how it draws, the least L it can be drawn for, its longest sequence."""

    draw: Callable[[int, int, torch.Generator], Marked]
    least: int
    longest: Callable[[int], int]


def _mark(
    numbers: Float[Tensor, "time batch"], positions: Shaped[Tensor, "2 batch"], ends: float = 0.0
) -> Marked:
    markers = torch.zeros_like(numbers)
    markers[[0, -1]] = ends
    markers.scatter_(0, positions, 1.0)
    inputs = torch.stack([markers, numbers], dim=-1)
    return Marked(inputs, numbers.gather(0, positions), positions + 1)


def _arjovsky(L: int, batch_size: int, generator: torch.Generator) -> Marked:
    """One marker in each half, numbers U(0, 1)."""
    half = L // 2
    numbers = torch.rand(L, batch_size, generator=generator, dtype=torch.float32)
    first = torch.randint(0, half, (batch_size,), generator=generator)
    second = torch.randint(half, L, (batch_size,), generator=generator)
    return _mark(numbers, torch.stack([first, second]))


def _pascanu(L: int, batch_size: int, generator: torch.Generator) -> Marked:
    """The first marker in the first tenth, the second in the rest of the first half."""
    length = L + int(torch.randint(0, L // 10, (), generator=generator))
    tenth, half = length // 10, length // 2
    numbers = torch.rand(length, batch_size, generator=generator, dtype=torch.float32)
    first = torch.randint(0, tenth, (batch_size,), generator=generator)
    second = torch.randint(tenth, half, (batch_size,), generator=generator)
    return _mark(numbers, torch.stack([first, second]))


def _hochreiter(L: int, batch_size: int, generator: torch.Generator) -> Marked:
    """Numbers U(−1, 1); both markers before L/2 − 1, in any order, never on the first number."""
    length, limit = L + int(torch.randint(0, L // 10 + 1, (), generator=generator)), L // 2 - 1
    numbers = 2 * torch.rand(length, batch_size, generator=generator, dtype=torch.float32) - 1
    first = torch.randint(1, 10, (batch_size,), generator=generator)
    # One of the numbers that are left: those from the first marker on move up by one.
    second = torch.randint(1, limit - 1, (batch_size,), generator=generator)
    second = second + (second >= first)
    return _mark(numbers, torch.stack([first, second]), ends=-1.0)


ARJOVSKY = Marking(_arjovsky, least=2, longest=lambda L: L)
PASCANU = Marking(_pascanu, least=10, longest=lambda L: L + L // 10 - 1)
# With L = 22 the first nine numbers that can be marked lie before L/2 − 1.
HOCHREITER = Marking(_hochreiter, least=22, longest=lambda L: L + L // 10)
