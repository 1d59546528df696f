"""Steps of optimisers by kernels: tensors in, tensors changed.

torch rounds each of ten operations, and its square root is not rounded correctly; here each number
that is kept is rounded once, and the loop gives the same bits on any processor.
"""

import math
from typing import Any

from torch import Tensor

from rnn_exp.networks.kernel.descent import adam_step, rmsprop_step
from rnn_exp.networks.kernel.memory import handed
from rnn_exp.shapes import Float

__all__ = ["adam", "rmsprop"]


def adam(
    flat: Float[Tensor, "run size"],
    gradient: Float[Tensor, "run size"],
    memory: dict[str, Tensor],
    rate: float,
    *,
    adam_beta1: float,
    adam_beta2: float,
    weight_decay: float,
) -> None:
    """Make the step of Kingma & Ba 2015, algorithm 1, with ε = 1e-8 beside the root.

    Args:
        flat: all that is trained, a row a run; changed.
        gradient: by all of it.
        memory: ``mean`` and ``square`` of the gradients, and ``step``, their number; changed.
        rate: the learning rate.
        adam_beta1: what is kept of the mean at each step.
        adam_beta2: what is kept of the square.
        weight_decay: λ; λ w is added to the gradient.
    """
    given = _handed(flat, gradient, memory["mean"], memory["square"])
    memory["step"] += 1
    step = memory["step"].item()
    size = rate / (1 - adam_beta1**step)
    root = 1 / math.sqrt(1 - adam_beta2**step)
    adam_step(*given, (size, root, 1 - adam_beta1, adam_beta2, weight_decay), flat.numel())


def rmsprop(
    flat: Float[Tensor, "run size"],
    gradient: Float[Tensor, "run size"],
    memory: dict[str, Tensor],
    rate: float,
    *,
    rmsprop_alpha: float,
    momentum: float,
    weight_decay: float,
) -> None:
    """Make the step of Tieleman & Hinton 2012 as torch does: ε = 1e-8 beside the root.

    Args:
        flat: all that is trained, a row a run; changed.
        gradient: by all of it.
        memory: ``square`` of the gradients, ``velocity`` where there is momentum, and ``step``, how
            many there were; changed.
        rate: the learning rate.
        rmsprop_alpha: what is kept of the square at each step.
        momentum: what is kept of the velocity.
        weight_decay: λ; λ w is added to the gradient.
    """
    velocity = memory["velocity"] if momentum else flat  # which is not read then
    given = _handed(flat, gradient, memory["square"], velocity)
    memory["step"] += 1
    rmsprop_step(*given, (rate, rmsprop_alpha, momentum, weight_decay), flat.numel())


def _handed(*rows: Float[Tensor, "run size"]) -> tuple[Any, tuple[int, ...]]:
    """Return rows as kernels take them.

    Raises:
        ValueError: if their numbers do not lie one behind the other.
    """
    if not all(one.is_contiguous() for one in rows):
        raise ValueError("the numbers of a step by kernels must lie one behind the other")
    return handed(rows[0].dtype, *rows)
