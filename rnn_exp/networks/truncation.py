"""Truncated backpropagation through time: the gradient in windows, summed.

BPTT(k2; k1) (Williams & Peng 1990): after every ``every`` = k1 steps, the losses of these steps go
back ``back`` = k2 steps and no further. Here the weights stay as they are until the sequence has
ended, and the gradient is the sum over all windows. The total gradient that is recorded is that
of the windows, too: what training sees.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells import Adjoint, LayerWeights, Trace

__all__ = ["Sums", "Truncation", "Window"]


class Window(NamedTuple):
    """Time steps start + 1 … end are gone through; the losses are those of first + 1 … end."""

    start: int
    end: int
    first: int


@dataclasses.dataclass(frozen=True)
class Truncation:
    """How often to look back (k1 time steps), and how far (k2, at least k1)."""

    every: int
    back: int

    def windows(self, T: int, last: int) -> Iterator[Window]:
        """Yield the windows that have a loss, where only the last so many steps have one.

        Example:
            >>> [tuple(window) for window in Truncation(every=2, back=3).windows(T=5, last=5)]
            [(0, 2, 0), (1, 4, 2), (2, 5, 4)]
        """
        for done in range(0, T, self.every):
            end, first = min(done + self.every, T), max(done, T - last)
            if first < end:
                yield Window(max(0, end - self.back), end, first)

    def all_windows(self, T: int, last: int, ends: Sequence[int] | None = None) -> list[Window]:
        """Return the windows of all runs.

        The last window of a sequence ends where it does; at that time no longer one has a loss.

        Args:
            T: time steps of the longest sequence there can be.
            last: how many of the last of them may have a loss.
            ends: the last time step of each run's sequences, which alone has a loss; None: T.

        Example:
            >>> [tuple(one) for one in Truncation(4, 4).all_windows(T=9, last=3, ends=[8, 7, 8])]
            [(3, 7, 6), (4, 8, 7)]
        """
        each = [(T, last)] if ends is None else [(end, 1) for end in sorted({*ends})]
        return [window for end, own in each for window in self.windows(end, own)]


class Sums:
    """Gradients of every layer, to which those of windows are added."""

    def __init__(self, traces: Sequence[Trace]) -> None:
        self.directs = [torch.zeros_like(trace.states) for trace in traces]
        self.totals = [torch.zeros_like(trace.states) for trace in traces]
        self.memories: list[Tensor | None] = [None for _ in traces]
        self.weights: list[LayerWeights | None] = [None for _ in traces]

    def add(self, window: Window, directs: Sequence[Tensor], adjoints: Sequence[Adjoint]) -> None:
        """Add the direct gradients and the adjoints of one window, a layer each."""
        start, end, _ = window
        for number, (direct, one) in enumerate(zip(directs, adjoints, strict=True)):
            self.directs[number][end - len(direct) : end] += direct
            self.totals[number][start:end] += one.total
            if one.memory is not None:
                memory = self.memories[number]
                if memory is None:
                    memory = self.memories[number] = torch.zeros_like(self.totals[number])
                memory[start:end] += one.memory
            before = self.weights[number]
            self.weights[number] = (
                one.weights
                if before is None
                else LayerWeights(*(a + b for a, b in zip(before, one.weights, strict=True)))
            )

    @property
    def adjoints(self) -> list[Adjoint]:
        """The sums, a layer each."""
        parts = zip(self.totals, self.memories, self.weights, strict=True)
        return [
            Adjoint(total, memory, weights, None)
            for total, memory, weights in parts
            if weights is not None
        ]
