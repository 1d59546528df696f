"""Steps of optimisers, each as one loop over the weights.

All is computed in float64; in float32 each number that is kept is rounded once. Arrays are flat.
"""

import math

from rnn_exp.networks.kernel.compiling import kept
from rnn_exp.networks.kernel.vectors import arrays_at

__all__ = ["adam_step", "rmsprop_step"]

_EPSILON = 1e-8  # torch's


@kept
def adam_step(like, addresses, constants, count):
    """Change weights, means and squares: the step t of Adam.

    g' = g + λ w, m ← m + (1 − β₁) (g' − m), v ← β₂ v + (1 − β₂) g'²,
    w ← w − η / (1 − β₁ᵗ) m / (√v / √(1 − β₂ᵗ) + ε).

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
        # Of a large share the second form is the exact one (torch's choice): of 1 it is g.
        off = g - mean[i]
        m = mean[i] + share * off if share < 0.5 else g - (1.0 - share) * off
        v = keep * square[i] + (1.0 - keep) * g * g
        mean[i], square[i] = m, v
        weights[i] = w - size * m / (math.sqrt(v) * root + _EPSILON)


@kept
def rmsprop_step(like, addresses, constants, count):
    """Change weights, squares and, where there is momentum, velocities: a step of RMSprop.

    g' = g + λ w, v ← α v + (1 − α) g'², u ← μ u + g' / (√v + ε), w ← w − η u.

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
