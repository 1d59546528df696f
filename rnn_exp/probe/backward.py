"""The pass back through time of one layer: total gradients, and what the layer below receives."""

from collections.abc import Sequence
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

    def memories(self) -> Sequence[Tensor | None]:
        """Return what c_t receives at each step."""
        return [None] * len(self.total) if self.memory is None else self.memory.unbind()


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
    total, last, onto = direct.total.clone(), len(direct.total) - 1, direct.memories()
    of_h = total.unbind()
    of_c = adjoint.memory(last, of_h[last], onto[last]) if adjoint.has_memory else None
    own = Received(of_h[last], of_c)
    for t in range(last, 0, -1):
        own = adjoint.back(t, own, of_h[t - 1], onto[t - 1])
    adjoint.back(0, own, torch.zeros_like(own.total), None)
    return Totals(total, None if of_c is None else adjoint.memories(of_c), adjoint.deltas)


def rescaled_backward(adjoint: Adjoint, direct: Direct) -> Totals:
    """Go back through time without a floor, in float64: each sequence has a power of two beside it.

    The recursion is linear, so that a power of two may be taken out of it at any step.
    """
    hidden, kept, memories = direct.total.shape[-1], [], direct.memories()
    carried = None
    for t in range(len(direct.total) - 1, -1, -1):
        own = _received(adjoint, direct, memories[t], t)
        if carried is not None:
            own = carried.plus(own)
        own = own.settled()
        there = _parted(own.values, hidden)
        before = adjoint.back(t, there, torch.zeros_like(there.total), None)
        parts = [each for each in before if each is not None]
        carried = Scaled(torch.cat(parts, -1), own.exponents)
        kept.append(own)
    values = torch.stack([own.values for own in reversed(kept)])
    exponents = torch.stack([own.exponents for own in reversed(kept)])
    memory = values[..., hidden:] if adjoint.has_memory else None
    return Totals(values[..., :hidden], memory, adjoint.deltas, exponents)


def _received(adjoint: Adjoint, direct: Direct, memory: Tensor | None, t: int) -> Scaled:
    """Return the gradients of step ``t`` that follow from its own direct parts."""
    parts = [direct.total[t]]
    if adjoint.has_memory:
        parts.append(adjoint.memory(t, parts[0], memory))
    values = torch.cat(parts, dim=-1)
    if direct.exponents is None:
        return Scaled.of(values)
    return Scaled(values, direct.exponents[t]).settled()


def _parted(values: Tensor, hidden: int) -> Received:
    memory = values[..., hidden:]
    return Received(values[..., :hidden], memory if memory.shape[-1] else None)
