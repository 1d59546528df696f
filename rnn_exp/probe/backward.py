"""The pass back through time of one layer: total gradients, and what the layer below receives."""

from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.scaled import Scaled
from rnn_exp.probe.adjoints import Adjoint, Received
from rnn_exp.shapes import Float, Shaped

__all__ = ["Direct", "Totals", "backward", "rescaled_backward"]


class Direct(NamedTuple):
    """What the states of a layer receive from outside it: from the loss, or the layer above.

    Args:
        total: of h_t, at every step.
        memory: of c_t; None: nothing.
        exponents: both are multiplied by 2 to this power; None: 0 everywhere.
    """

    total: Float[Tensor, "time batch hidden"]
    memory: Float[Tensor, "time batch memory"] | None
    exponents: Shaped[Tensor, "time batch"] | None = None

    def at(self, t: int) -> Received:
        """Return what step ``t`` (counted from 0) receives."""
        return Received(self.total[t], None if self.memory is None else self.memory[t])


class Totals(NamedTuple):
    """The gradients of one layer at every step.

    Args:
        total: ∂L/∂h_t.
        memory: ∂L/∂c_t; None: the layer has no memory.
        deltas: ∂L/∂(W h_{t−1} + b).
        exponents: all are multiplied by 2 to this power; None: 0 everywhere.
    """

    total: Float[Tensor, "time batch hidden"]
    memory: Float[Tensor, "time batch memory"] | None
    deltas: Float[Tensor, "time batch gates"]
    exponents: Shaped[Tensor, "time batch"] | None = None


def backward(adjoint: Adjoint, direct: Direct) -> Totals:
    """Go back through time in the precision of the numbers that are given."""
    total, last = torch.empty_like(direct.total), len(direct.total) - 1
    total[last] = direct.total[last]
    memory = None
    if adjoint.has_memory:
        first = adjoint.memory(last, *direct.at(last))
        memory = first.new_empty(len(total), *first.shape)
        memory[last] = first
    by_step = total.unbind(), [None] * len(total) if memory is None else memory.unbind()
    into = [Received(*parts) for parts in zip(*by_step, strict=True)]
    for t in range(last, 0, -1):
        adjoint.back(t, into[t], direct.at(t - 1), into[t - 1])
    adjoint.back(0, into[0], *_nothing(into[0]))
    return Totals(total, memory, adjoint.deltas)


def rescaled_backward(adjoint: Adjoint, direct: Direct) -> Totals:
    """Go back through time without a floor, in float64: each sequence has a power of two beside it.

    The recursion is linear, so that a power of two may be taken out of it at any step.
    """
    hidden, kept = direct.total.shape[-1], []
    carried = None
    for t in range(len(direct.total) - 1, -1, -1):
        own = _received(adjoint, direct, t)
        if carried is not None:
            own = carried.plus(own)
        own = own.settled()
        there = _parted(own.values, hidden)
        before, into = _nothing(there)
        adjoint.back(t, there, before, into)
        carried = Scaled(torch.cat([each for each in into if each is not None], -1), own.exponents)
        kept.append(own)
    values = torch.stack([own.values for own in reversed(kept)])
    exponents = torch.stack([own.exponents for own in reversed(kept)])
    memory = values[..., hidden:] if adjoint.has_memory else None
    return Totals(values[..., :hidden], memory, adjoint.deltas, exponents)


def _nothing(like: Received) -> tuple[Received, Received]:
    """Return direct parts that are zero, and a place for gradients that follow from these alone."""
    memory = None if like.memory is None else torch.zeros_like(like.memory)
    before = Received(torch.zeros_like(like.total), None)
    return before, Received(torch.zeros_like(like.total), memory)


def _received(adjoint: Adjoint, direct: Direct, t: int) -> Scaled:
    """Return the gradients of step ``t`` that follow from its own direct parts."""
    own = direct.at(t)
    parts = [own.total]
    if adjoint.has_memory:
        parts.append(adjoint.memory(t, *own))
    values = torch.cat(parts, dim=-1)
    if direct.exponents is None:
        return Scaled.of(values)
    return Scaled(values, direct.exponents[t]).settled()


def _parted(values: Tensor, hidden: int) -> Received:
    memory = values[..., hidden:]
    return Received(values[..., :hidden], memory if memory.shape[-1] else None)
