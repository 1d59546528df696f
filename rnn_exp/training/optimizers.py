"""Optimisers over many runs: torch's own arithmetic, with a memory that is plain tensors.

The functions are those that ``torch.optim.SGD``, ``Adam`` and ``RMSprop`` call, with their
defaults. The classes themselves would import torch's compiler when the first one is made, which
takes longer than a small sweep, and would hide what a checkpoint has to hold.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from rnn_exp.shapes import Float

__all__ = ["OPTIMIZERS", "Memory", "memory_of"]

Memory = dict[str, Tensor]
Move = Callable[[Float[Tensor, "run size"], Float[Tensor, "run size"], Memory, float], None]


def _sgd(flat: Tensor, gradient: Tensor, memory: Memory, rate: float) -> None:
    """Make the plain step w ← w − η g."""
    del memory
    sgd(
        [flat],
        [gradient],
        [None],
        foreach=False,
        fused=False,
        lr=rate,
        weight_decay=0.0,
        momentum=0.0,
        dampening=0.0,
        nesterov=False,
        maximize=False,
    )


def _adam(flat: Tensor, gradient: Tensor, memory: Memory, rate: float) -> None:
    """Kingma & Ba 2015, algorithm 1: β₁ = 0.9, β₂ = 0.999, ε = 1e-8."""
    adam(
        [flat],
        [gradient],
        [memory["mean"]],
        [memory["square"]],
        [],
        [memory["step"]],
        foreach=False,
        fused=False,
        lr=rate,
        weight_decay=0.0,
        amsgrad=False,
        beta1=0.9,
        beta2=0.999,
        eps=1e-8,
        maximize=False,
    )


def _rmsprop(flat: Tensor, gradient: Tensor, memory: Memory, rate: float) -> None:
    """Tieleman & Hinton 2012 as torch has it: α = 0.99, ε = 1e-8 outside the root."""
    rmsprop(
        [flat],
        [gradient],
        [memory["square"]],
        [],
        [],
        [memory["step"]],
        foreach=False,
        lr=rate,
        alpha=0.99,
        eps=1e-8,
        weight_decay=0.0,
        momentum=0.0,
        centered=False,
        maximize=False,
    )


OPTIMIZERS: dict[str, Move] = {"sgd": _sgd, "adam": _adam, "rmsprop": _rmsprop}
_REMEMBERS = {"sgd": (), "adam": ("mean", "square"), "rmsprop": ("square",)}


def memory_of(name: str, flat: Float[Tensor, "run size"]) -> Memory:
    """Return what an optimiser remembers before its first step: zeros, a row a run, and ``step``.

    Example:
        >>> memory = memory_of("adam", torch.ones(2, 3))
        >>> {name: tuple(tensor.shape) for name, tensor in memory.items()}
        {'step': (), 'mean': (2, 3), 'square': (2, 3)}
    """
    memory = {"step": torch.zeros(())} if _REMEMBERS[name] else {}
    return memory | {what: torch.zeros_like(flat) for what in _REMEMBERS[name]}
