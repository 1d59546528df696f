r"""The error function as an activation: its mean field is known in closed form.

    φ(u) = erf(√π/2 · u),   φ'(u) = exp(−π u²/4)

(Williams 1998, "Computation with infinite neural networks", section 3.1, integrates erf over
Gaussian inputs.) The slope at 0 is 1, as tanh's, and for u ~ N(0, q)

    E[φ(u)²] = (2/π) arcsin(π q / (2 + π q)),   E[φ'(u)²] = 1 / √(1 + π q)

    rnn-exp use=[examples/erf.py] network.activation=erf init.gain=1.2
"""

import math

import torch

import rnn_exp as rx
from rnn_exp.networks import Activation

SCALE = math.sqrt(math.pi) / 2


def phi(u):
    """Return φ."""
    return torch.erf(SCALE * u)


def slope(u):
    """Return φ' from the pre-activation; without it autograd would find it, more slowly."""
    return torch.exp(-((SCALE * u) ** 2))


rx.register(Activation("erf", phi, slope_at=slope, largest_slope=1.0, bounded=True))
