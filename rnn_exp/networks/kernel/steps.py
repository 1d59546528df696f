"""Steps of optimisers: weights, gradients and what is remembered of them are gone through once.

A number's step is computed in float64, and rounded where it is kept; torch rounds each of ten
operations, and its square root is not the same on all processors.
"""

import math

from torch import Tensor

from rnn_exp.networks.kernel.compiling import kept
from rnn_exp.networks.kernel.memory import handed
from rnn_exp.networks.kernel.vectors import arrays_at
from rnn_exp.shapes import Float

__all__ = ["adam", "rmsprop"]

_EPSILON = 1e-8  # torch's


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
        memory: ``mean`` and ``square`` of the gradients, and ``step``, how many there were; changed.
        rate: the learning rate.
        adam_beta1: what is kept of the mean at each step.
        adam_beta2: what is kept of the square.
        weight_decay: λ; λ w is added to the gradient.
    """
    memory["step"] += 1
    step, mean, square = memory["step"].item(), memory["mean"], memory["square"]
    size = rate / (1 - adam_beta1**step)
    root = 1 / math.sqrt(1 - adam_beta2**step)
    given = handed(flat.dtype, flat, gradient, mean, square)
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
    memory["step"] += 1
    velocity = memory["velocity"] if momentum else flat  # which is not read then
    given = handed(flat.dtype, flat, gradient, memory["square"], velocity)
    rmsprop_step(*given, (rate, rmsprop_alpha, momentum, weight_decay), flat.numel())


@kept
def adam_step(like, addresses, constants, count):
    """Change weights, means and squares.

    Args:
        like: an array of the precision.
        addresses: of weights, their gradient, its mean and its square.
        constants: η / (1 − β₁ᵗ), 1 / √(1 − β₂ᵗ), 1 − β₁, β₂, λ.
        count: how many weights there are.
    """
    weights, gradient, mean, square = arrays_at(like, addresses)
    size, root, share, keep, decay = constants
    for i in range(count):
        w = float(weights[i])
        g = gradient[i] + decay * w
        m = mean[i] + share * (g - mean[i])
        v = keep * square[i] + (1.0 - keep) * g * g
        mean[i], square[i] = m, v
        weights[i] = w - size * m / (math.sqrt(v) * root + _EPSILON)


@kept
def rmsprop_step(like, addresses, constants, count):
    """Change weights, squares and, where there is momentum, velocities.

    Args:
        like: an array of the precision.
        addresses: of weights, their gradient, its square and the velocity.
        constants: η, α, μ, λ.
        count: how many weights there are.
    """
    weights, gradient, square, velocity = arrays_at(like, addresses)
    rate, keep, momentum, decay = constants
    for i in range(count):
        w = float(weights[i])
        g = gradient[i] + decay * w
        v = keep * square[i] + (1.0 - keep) * g * g
        square[i] = v
        step = g / (math.sqrt(v) + _EPSILON)
        if momentum != 0.0:
            step = momentum * velocity[i] + step
            velocity[i] = step
        weights[i] = w - rate * step
