"""Sequences in one layout: time first, padded, each with its own length, in its own direction.

A module may read (time, batch), (batch, time), one sequence without a batch, or packed sequences.
Inside this package there is one layout alone: (time, batch, k), with zeros behind a sequence's end.
A layer that reads backwards has each sequence turned about, so that its own first step is first.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from rnn_exp.networks.scaled import OF_ZERO
from rnn_exp.shapes import Float, Shaped

__all__ = ["Layout", "Lengths"]

Values = Tensor | PackedSequence


class Lengths(NamedTuple):
    """The number of time steps of each sequence; ``each`` is None where all have ``longest``."""

    longest: int
    batch: int
    each: Shaped[Tensor, " batch"] | None = None

    def turned(self, values: Shaped[Tensor, "time batch k"]) -> Shaped[Tensor, "time batch k"]:
        """Return each sequence from its last time step to its first; the padding stays behind."""
        if self.each is None:
            return values.flip(0)
        back = self.each - 1 - self._steps(values.device)
        return self._there(values.gather(0, _wide(back.clamp(min=0), values)))

    def by_lag(self, values: Float[Tensor, "time batch k"]) -> Float[Tensor, "time batch k"]:
        """Return the sequences with their ends side by side, at the last place; zeros before."""
        if self.each is None:
            return values
        place = self._place_by_lag(self.each, values.device)
        moved = values.gather(0, _wide(place.clamp(min=0), values))
        return torch.where((place >= 0).unsqueeze(-1), moved, moved.new_zeros(()))

    def exponents_by_lag(self, exponents: Shaped[Tensor, "time batch"]) -> Tensor:
        """Return powers of two as `by_lag` does; where there is no number, one that counts not."""
        if self.each is None:
            return exponents
        place = self._place_by_lag(self.each, exponents.device)
        return torch.where(place >= 0, exponents.gather(0, place.clamp(min=0)), OF_ZERO)

    def at_end(self, values: Float[Tensor, "batch k"]) -> Float[Tensor, "time batch k"]:
        """Return zeros with a value at the last time step of each sequence."""
        found = values.new_zeros(self.longest, *values.shape)
        if self.each is None:
            found[-1] = values
            return found
        found[self.each.to(values.device) - 1, torch.arange(self.batch)] = values
        return found

    def count_by_lag(self, device: torch.device) -> Float[Tensor, " time"]:
        """Return how many sequences have each place of `by_lag`."""
        if self.each is None:
            count = float(self.batch)
            return torch.full((self.longest,), count, dtype=torch.float64, device=device)
        place = self._place_by_lag(self.each, device)
        return (place >= 0).sum(1).double()

    def _place_by_lag(
        self, each: Shaped[Tensor, " batch"], device: torch.device
    ) -> Shaped[Tensor, "time batch"]:
        """Return which step of a sequence stands at a place of `by_lag`; below 0: none does."""
        return self._steps(device) - (self.longest - each.to(device))

    def _steps(self, device: torch.device) -> Shaped[Tensor, "time 1"]:
        return torch.arange(self.longest, device=device).unsqueeze(1)

    def _there(self, values: Tensor) -> Tensor:
        """Return values with zeros behind each sequence's end."""
        if self.each is None:
            return values
        there = self._steps(values.device) < self.each.to(values.device)
        return torch.where(there.unsqueeze(-1), values, values.new_zeros(()))


class Layout(NamedTuple):
    """How a call of a module lays out its sequences.

    Args:
        lengths: of the sequences.
        batch_first: whether tensors are (batch, time).
        unbatched: whether there is one sequence without a batch axis.
        packed: the packed sequences whose layout it is; None: tensors.
    """

    lengths: Lengths
    batch_first: bool
    unbatched: bool
    packed: PackedSequence | None = None

    @classmethod
    def of(cls, values: Values, batch_first: bool) -> "Layout":
        """Return the layout of what a module reads."""
        if isinstance(values, PackedSequence):
            padded, each = pad_packed_sequence(values)
            same = bool((each == each[0]).all())
            lengths = Lengths(len(padded), padded.shape[1], None if same else each)
            return cls(lengths, batch_first, False, values._replace(data=values.data[:0]))
        if values.ndim == 2:
            return cls(Lengths(len(values), 1), batch_first, True)
        T, B = values.shape[:2] if not batch_first else values.shape[1::-1]
        return cls(Lengths(T, B), batch_first, False)

    def padded(self, values: Tensor) -> Float[Tensor, "time batch k"]:
        """Return values that lie as the call has them in the one layout.

        Args:
            values: a tensor; of packed sequences their ``data``.
        """
        if self.packed is not None:
            return pad_packed_sequence(self.packed._replace(data=values))[0]
        if self.unbatched:
            return values.unsqueeze(1)
        return values.transpose(0, 1) if self.batch_first else values

    def hidden(self, values: Tensor) -> Float[Tensor, "part batch k"]:
        """Return h_0, c_0, h_n or c_n with a batch axis."""
        return values.unsqueeze(1) if self.unbatched else values


def _wide(index: Tensor, values: Tensor) -> Tensor:
    return index.to(values.device).unsqueeze(-1).expand_as(values)
