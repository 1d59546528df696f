"""Truncated backpropagation through time: the gradient in windows, summed.

BPTT(k2; k1) (Williams & Peng 1990): after every ``every`` = k1 steps, the losses of these steps go
back ``back`` = k2 steps and no further. Here the weights stay as they are until the sequence has
ended, and the gradient is the sum over all windows. The total gradient that is recorded is that
of the windows, too: what training sees.
"""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from rnn_exp.networks.cells import Adjoint, LayerWeights
from rnn_exp.networks.readout import Objective
from rnn_exp.shapes import Float

__all__ = ["Region", "SummedTotals", "Sums", "Truncation", "WeightSums", "Window", "regions"]


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

    def windows_of(self, objective: Objective, T: int) -> list[Window]:
        """Return the windows of all sequences of all runs, in the order of time.

        The last window of a sequence ends where it does; at that time no longer one has a loss.

        Args:
            objective: which time steps have a loss.
            T: time steps of the longest sequence there can be.

        Example:
            >>> import torch
            >>> objective = Objective(abs, ends=torch.tensor([[8], [7], [8]]), shortest=7)
            >>> [tuple(window) for window in Truncation(4, 4).windows_of(objective, T=9)]
            [(3, 7, 6), (4, 8, 7)]
        """
        if objective.ends is None:
            return list(self.windows(T, objective.answers))
        ends = sorted({*objective.ends.flatten().tolist()})
        return [window for end in ends for window in self.windows(end, 1)]


class Region(NamedTuple):
    """The time steps start + 1 … stop, in which some windows end; those up to ``until`` are done.

    No later window reaches what is done: the sums over windows are then complete.
    """

    start: int
    until: int
    stop: int
    windows: Sequence[Window]


def regions(
    windows: Sequence[Window], stretches: Sequence[tuple[int, int]], begin: int = 0
) -> Iterator[Region]:
    """Yield the regions of time that must be held at once, in the order of time.

    Args:
        windows: in the order of time.
        stretches: in which the time is gone through.
        begin: after how many time steps to begin: no more than any window's start.

    Example:
        >>> windows = Truncation(every=2, back=3).windows(T=6, last=4)
        >>> for one in regions(list(windows), [(0, 3), (3, 6)]):
        ...     one.start, one.until, one.stop, [tuple(window) for window in one.windows]
        (0, 1, 3, [])
        (1, 6, 6, [(1, 4, 2), (3, 6, 4)])
    """
    place, start = 0, begin
    for _, stop in stretches:
        if stop <= begin:
            continue
        first = place
        while place < len(windows) and windows[place].end <= stop:
            place += 1
        until = min(stop, windows[place].start) if place < len(windows) else stop
        yield Region(start, until, stop, windows[first:place])
        start = until


class WeightSums:
    """The gradients of every layer's parameters, summed over windows."""

    def __init__(self) -> None:
        self.layers: list[LayerWeights] = []

    def add(self, adjoints: Sequence[Adjoint]) -> None:
        """Add those of one window, a layer each."""
        new = [adjoint.weights for adjoint in adjoints]
        self.layers[:] = (
            [
                LayerWeights(*(a + b for a, b in zip(old, one, strict=True)), names=old.names)
                for old, one in zip(self.layers, new, strict=True)
            ]
            if self.layers
            else new
        )


class SummedTotals(NamedTuple):
    """∂L/∂h_t and ∂L/∂c_t (None: no c) of some time steps, summed over windows."""

    total: Float[Tensor, "time run batch hidden"]
    memory: Float[Tensor, "time run batch hidden"] | None


class Sums:
    """Gradients by the states of every layer, summed over windows; the time moves along.

    Args:
        layers: how many.
        like: any tensor of the shape (any, run, batch, hidden), dtype and device of the states.
        has_memory: whether the cell has a c.
    """

    def __init__(self, layers: int, like: Tensor, *, has_memory: bool) -> None:
        self._names = ["direct", "total", "memory"] if has_memory else ["direct", "total"]
        nothing = like.new_zeros(0, *like.shape[1:])
        self._sums = [dict.fromkeys(self._names, nothing) for _ in range(layers)]
        self._start = 0

    def begin(self, start: int, stop: int) -> None:
        """Make room for time steps start + 1 … stop; what is before them is forgotten."""
        for layer in self._sums:
            for name, old in layer.items():
                kept = old[start - self._start :]
                new = old.new_zeros(stop - start, *old.shape[1:])
                new[: len(kept)] = kept
                layer[name] = new
        self._start = start

    def add(self, window: Window, directs: Sequence[Tensor], adjoints: Sequence[Adjoint]) -> None:
        """Add the direct gradients and the adjoints of one window, a layer each."""
        start, end = window.start - self._start, window.end - self._start
        for layer, direct, one in zip(self._sums, directs, adjoints, strict=True):
            layer["direct"][end - len(direct) : end] += direct
            layer["total"][start:end] += one.total
            if one.memory is not None:
                layer["memory"][start:end] += one.memory

    def up_to(self, until: int) -> tuple[list[Tensor], list[SummedTotals]]:
        """Return the direct gradients and the totals of the time steps up to one, a layer each."""
        steps = until - self._start
        parts = [{name: values[:steps] for name, values in layer.items()} for layer in self._sums]
        totals = [SummedTotals(part["total"], part.get("memory")) for part in parts]
        return [part["direct"] for part in parts], totals
