"""What is read along a forward pass: outputs, losses, and the direct gradient of any time steps.

Few answers are read at once (`ReadAtOnce`). Where a long sequence has more of them than a stretch
has time steps, they are read in blocks of rows (`ReadInBlocks`), and the gradient of the read-out's
weights, which needs the states a second time, is added up while these are computed again.
"""

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from rnn_exp.networks.cells import Trace
from rnn_exp.networks.cells.layout import flatten_time_batch
from rnn_exp.networks.forward import ForwardPass
from rnn_exp.networks.readout import (
    Objective,
    Reader,
    at_ends,
    onto_time,
    read,
    reader_of,
    states_read,
)
from rnn_exp.shapes import Float

__all__ = ["ReadAtOnce", "ReadInBlocks", "TimeReading", "read_along"]

# Rows of a block. A matrix product adds up a few hundred rows at a time, and then these sums: with
# blocks of whole such parts the sum is that of one product over all rows, to the bit.
_ROWS = 3072


@runtime_checkable
class TimeReading(Protocol):
    """Outputs, each run's loss, and the loss's gradient by C, c and the states that were read."""

    outputs: Float[Tensor, "run answer batch output"]
    loss: Float[Tensor, " run"]

    def direct(self, start: int, stop: int) -> Float[Tensor, "some run batch hidden"]:
        """Return the direct gradient of steps start + 1 … stop, all of which may have a loss."""
        ...

    def add(self, start: int, stop: int, top: Float[Tensor, "time run batch hidden"]) -> None:
        """Take the top layer's states of steps start + 1 … stop, in the order of time."""
        ...

    def of_weights(self) -> dict[str, Tensor]:
        """Return the gradients of C and c, when `add` has had all states."""
        ...


def read_along(
    along: ForwardPass, objective: Objective, *, double: bool = False, again: bool = False
) -> TimeReading:
    """Read what an objective asks for.

    Args:
        along: the forward pass.
        objective: which time steps are read, and the loss of what is read.
        double: whether to read in float64, whatever the network's precision.
        again: whether the forward pass has been made before.
    """
    weight, bias = (along.parameters[f"readout.{name}"] for name in ("weight", "bias"))
    if double:
        weight, bias = weight.double(), bias.double()
    walk = _from(along, objective.first(len(along.x))) if again else along.walk()
    few = objective.ends is not None or objective.answers <= along.grid.stretch
    kind = ReadAtOnce if along.is_whole or few else ReadInBlocks
    return kind(walk, len(along.x), objective, reader_of(along.network, weight, bias), weight.dtype)


def _from(along: ForwardPass, first: int) -> Iterator[tuple[int, int, list[Trace]]]:
    """Yield the stretches that have a time step after the first ones."""
    for start, stop in along.stretches:
        if stop > first:
            yield start, stop, along.between(start, stop)


class ReadAtOnce:
    """All answers as one matrix.

    Args:
        walk: the stretches of the forward pass.
        T: time steps.
        objective: which of them are read, and the loss of what is read.
        reader: of the network.
        dtype: the precision to read in.
    """

    def __init__(
        self,
        walk: Iterable[tuple[int, int, list[Trace]]],
        T: int,
        objective: Objective,
        reader: Reader,
        dtype: torch.dtype,
    ) -> None:
        self._objective, self._T = objective, T
        states = self._states_read(walk).to(dtype)
        self._found = read(states, reader, objective.loss_of)
        self.outputs, self.loss = self._found.outputs, self._found.loss

    def _states_read(self, walk: Iterable[tuple[int, int, list[Trace]]]) -> Tensor:
        answers, ends, first = self._objective.answers, self._objective.ends, self._first
        parts, found = list[Tensor](), None
        for start, stop, traces in walk:
            top = traces[-1].states
            if (start, stop) == (0, self._T):
                return states_read(top, answers, ends)
            if ends is not None:
                found = torch.zeros_like(top[0]) if found is None else found
                found = at_ends(top, ends, start, found)
            elif stop > first:
                parts.append(top[max(first - start, 0) :].clone())
        return states_read(torch.cat(parts), answers) if found is None else found.unsqueeze(1)

    @property
    def _first(self) -> int:
        return self._objective.first(self._T)

    def direct(self, start: int, stop: int) -> Float[Tensor, "some run batch hidden"]:
        """Return the direct gradient of steps start + 1 … stop, all of which may have a loss."""
        return onto_time(self._found.states, self._objective, self._T, start, stop)

    def add(self, start: int, stop: int, top: Float[Tensor, "time run batch hidden"]) -> None:
        """Do nothing: all states that are read have been."""

    def of_weights(self) -> dict[str, Tensor]:
        """Return the gradients of C and c."""
        return {"readout.weight": self._found.weight, "readout.bias": self._found.bias}


class ReadInBlocks:
    """Answers in blocks of rows; takes what `ReadAtOnce` takes."""

    def __init__(
        self,
        walk: Iterable[tuple[int, int, list[Trace]]],
        T: int,
        objective: Objective,
        reader: Reader,
        dtype: torch.dtype,
    ) -> None:
        self._first, self._T, self._reader, self._dtype = objective.first(T), T, reader, dtype
        self._rows, self._batch, found = _Rows(), 0, list[Tensor]()
        for start, stop, traces in walk:
            top = traces[-1].states
            self._batch = top.shape[2]
            rows = self._rows_of(start, stop, top)
            found += map(reader.outputs, self._rows.add(rows, last=stop == T))
        y = torch.cat(found, dim=1)
        y = y.view(len(y), objective.answers, self._batch, -1)
        self.loss, self._of_y = reader.differentiated(y, objective.loss_of)
        self.outputs, self._done = y.detach(), 0

    def _rows_of(self, start: int, stop: int, top: Tensor) -> Tensor:
        """Return the states that are read, a row a time step and sequence."""
        own = flatten_time_batch(top[min(max(self._first, start), stop) - start :])
        return self._reader.rows(own.unsqueeze(2).to(self._dtype))

    def direct(self, start: int, stop: int) -> Float[Tensor, "some run batch hidden"]:
        """Return the direct gradient of steps start + 1 … stop, all of which have a loss."""
        rows = slice((start - self._first) * self._batch, (stop - self._first) * self._batch)
        found = self._reader.of_states(self._of_y[:, rows])
        return found.view(len(found), stop - start, self._batch, -1).transpose(0, 1)

    def add(self, start: int, stop: int, top: Float[Tensor, "time run batch hidden"]) -> None:
        """Take the top layer's states of steps start + 1 … stop, in the order of time."""
        for rows in self._rows.add(self._rows_of(start, stop, top), last=stop == self._T):
            self._reader.add(self._of_y[:, self._done : self._done + rows.shape[1]], rows)
            self._done += rows.shape[1]

    def of_weights(self) -> dict[str, Tensor]:
        """Return the gradients of C and c."""
        weight, bias = self._reader.of_weights()
        return {"readout.weight": weight, "readout.bias": bias}


class _Rows:
    """Rows of a long matrix as they come, and in blocks as they go; the last one may be longer."""

    def __init__(self) -> None:
        self._waiting: Tensor | None = None

    def add(self, rows: Float[Tensor, "run row k"], *, last: bool) -> Iterator[Tensor]:
        """Take rows and yield the blocks that are complete; after the last rows all of them."""
        held = rows if self._waiting is None else torch.cat([self._waiting, rows], dim=1)
        ready = held.shape[1] if last else max(0, held.shape[1] // _ROWS - 1) * _ROWS
        self._waiting = None if last else held[:, ready:].clone()
        if ready:
            yield held[:, :ready]
