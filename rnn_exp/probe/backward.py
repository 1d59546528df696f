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
    nothing = Received(torch.zeros_like(direct.total[0]), None)
    total, memory, deltas = [], [], []
    last = len(direct.total) - 1
    own = direct.at(last)
    for t in range(last, -1, -1):
        if adjoint.has_memory:
            own = own._replace(memory=adjoint.memory(t, own))
            memory.append(own.memory)
        delta = adjoint.delta(t, own)
        total.append(own.total)
        deltas.append(delta)
        own = adjoint.before(t, own, delta, direct.at(t - 1) if t else nothing)
    return Totals(_by_time(total), _by_time(memory) if memory else None, _by_time(deltas))


def rescaled_backward(adjoint: Adjoint, direct: Direct) -> Totals:
    """Go back through time without a floor, in float64: each sequence has a power of two beside it.

    The recursion is linear, so that a power of two may be taken out of it at any step.
    """
    nothing = Received(torch.zeros_like(direct.total[0]), None)
    received = _scaled(direct)
    own = Scaled.zeros(tuple(received.values.shape[1:]), received.values.device)
    total, memory, deltas, exponents = [], [], [], []
    for t in range(len(direct.total) - 1, -1, -1):
        own = own.plus(Scaled(received.values[t], received.exponents[t])).settled()
        there = _parted(own.values, nothing.total.shape[-1])
        if adjoint.has_memory:
            there = there._replace(memory=adjoint.memory(t, there))
            memory.append(there.memory)
        delta = adjoint.delta(t, there)
        for kept, values in ((total, there.total), (deltas, delta), (exponents, own.exponents)):
            kept.append(values)
        passed = adjoint.before(t, there, delta, nothing)
        own = Scaled(torch.cat([part for part in passed if part is not None], -1), own.exponents)
    every = _by_time(total), _by_time(memory) if memory else None, _by_time(deltas)
    return Totals(*every, _by_time(exponents))


def _scaled(direct: Direct) -> Scaled:
    """Return what a layer receives as scaled numbers: those of h_t, and of c_t behind them."""
    values = torch.cat([part for part in direct[:2] if part is not None], dim=-1)
    if direct.exponents is None:
        return Scaled.of(values)
    return Scaled(values, direct.exponents).settled()


def _parted(values: Tensor, hidden: int) -> Received:
    memory = values[..., hidden:]
    return Received(values[..., :hidden], memory if memory.shape[-1] else None)


def _by_time(backwards: list[Tensor]) -> Tensor:
    return torch.stack(backwards[::-1])
