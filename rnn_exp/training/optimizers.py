"""Optimisers over many runs: torch's own arithmetic, with a memory that is plain tensors.

The functions are those that ``torch.optim.SGD``, ``Adam`` and ``RMSprop`` call, with their
defaults. The classes themselves would import torch's compiler when the first one is made, which
takes longer than a small sweep, and would hide what a checkpoint has to hold.
"""

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim.adam import adam
from torch.optim.rmsprop import rmsprop
from torch.optim.sgd import sgd

from rnn_exp.registry import Registry
from rnn_exp.shapes import Float

__all__ = ["OPTIMIZERS", "Memory", "Optimizer"]

Memory = dict[str, Tensor]
"""What an optimiser remembers of many runs: a row a run, and ``step``, the number of steps."""


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """One optimiser.

    Args:
        name: the word of ``training.optimizer``.
        step: changes parameters in place, from the parameters (run, size), their gradient, the
            memory and the learning rate.
        remembers: what the memory has a row a run of, zeros at first.
    """

    name: str
    step: Callable[[Float[Tensor, "run size"], Float[Tensor, "run size"], Memory, float], None]
    remembers: tuple[str, ...] = ()

    def memory(self, flat: Float[Tensor, "run size"]) -> Memory:
        """Return what is remembered before the first step: zeros, a row a run, and ``step``.

        Example:
            >>> memory = OPTIMIZERS["adam"].memory(torch.ones(2, 3))
            >>> {name: tuple(tensor.shape) for name, tensor in memory.items()}
            {'step': (), 'mean': (2, 3), 'square': (2, 3)}
        """
        memory = {"step": torch.zeros(())} if self.remembers else {}
        return memory | {name: torch.zeros_like(flat) for name in self.remembers}


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
    """Make the step of Kingma & Ba 2015, algorithm 1: β₁ = 0.9, β₂ = 0.999, ε = 1e-8."""
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
    """Make the step of Tieleman & Hinton 2012 as torch does: α = 0.99, ε = 1e-8 beside the root."""
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


OPTIMIZERS: Registry[Optimizer] = Registry("optimizer")
OPTIMIZERS.register(Optimizer("sgd", _sgd))
OPTIMIZERS.register(Optimizer("adam", _adam, remembers=("mean", "square")))
OPTIMIZERS.register(Optimizer("rmsprop", _rmsprop, remembers=("square",)))
