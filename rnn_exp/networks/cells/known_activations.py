"""The activations that are built in, each as an example of its kind.

tanh, sigmoid and softsign saturate smoothly, hard tanh at a corner; relu, leaky relu and the
identity are linear on both sides of 0; ELU is linear on one side and saturates on the other; GELU
is not monotone, so that its slope needs the pre-activation. To add one is to write it here.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from rnn_exp.networks.cells.activations import Activation, TorchForm

__all__ = ["KNOWN", "LEAK"]

LEAK = 0.01
"""The slope of leaky relu below 0."""
_NOTHING_BEYOND = 40.0  # there the density of N(0, 1) is 0 in float64


def _tanh_slope(h: Tensor) -> Tensor:
    return 1 - h.square()


def _sigmoid_slope(h: Tensor) -> Tensor:
    return h * (1 - h)


def _relu_slope(h: Tensor) -> Tensor:
    return (h > 0).to(h.dtype)


def _identity_(u: Tensor) -> Tensor:
    return u


def _softsign_slope(h: Tensor) -> Tensor:
    return (1 - h.abs()).square_()


def _elu_slope(h: Tensor) -> Tensor:
    # e^u = h + 1 below 0; above it the smaller of h and 0 is 0.
    return h.clamp(max=0).add_(1)


def _hard_tanh_slope(h: Tensor) -> Tensor:
    return (h.abs() < 1).to(h.dtype)


def _leaky_relu(u: Tensor) -> Tensor:
    return functional.leaky_relu(u, LEAK)


def _leaky_relu_(u: Tensor) -> Tensor:
    return functional.leaky_relu_(u, LEAK)


def _leaky_relu_slope(h: Tensor) -> Tensor:
    return torch.where(h > 0, torch.ones_like(h), LEAK)  # of two numbers it would be float32


def _gelu_slope_at(u: Tensor) -> Tensor:
    """Return Φ(u) + u Φ'(u), Φ the distribution of N(0, 1)."""
    near = u.clamp(-_NOTHING_BEYOND, _NOTHING_BEYOND)  # an infinite u has a slope as well
    density = near.square().mul_(-0.5).exp_().mul_(1 / math.sqrt(2 * math.pi))
    return torch.erf(near * math.sqrt(0.5)).add_(1).mul_(0.5).add_(near.mul_(density))


_GELU_STEEPEST = 0.5 * (1 + math.erf(1)) + math.exp(-1) / math.sqrt(math.pi)
"""φ'(√2) = 1.1289: φ'' = (2 − u²) Φ'(u) is 0 there."""

KNOWN: tuple[Activation, ...] = (
    Activation(
        "tanh",
        torch.tanh,
        _tanh_slope,
        largest_slope=1.0,
        bounded=True,
        torch_form=TorchForm("tanh"),
        rounds_tails=False,
        breaks=(),
        subhomogeneous=True,
        in_place=torch.Tensor.tanh_,
    ),
    Activation(
        "sigmoid",
        torch.sigmoid,
        _sigmoid_slope,
        largest_slope=0.25,
        bounded=True,
        torch_form=TorchForm("tanh", offset=0.5, scale=0.5, stretch=0.5),
        breaks=(),
        subhomogeneous=True,
        in_place=torch.Tensor.sigmoid_,
    ),
    Activation(
        "relu",
        torch.relu,
        _relu_slope,
        largest_slope=1.0,
        halves=(0.0, 1.0),
        torch_form=TorchForm("relu"),
        rounds_tails=False,
        breaks=(0.0,),
        subhomogeneous=True,
        in_place=torch.Tensor.relu_,
    ),
    Activation(
        "identity",
        torch.clone,
        torch.ones_like,
        largest_slope=1.0,
        halves=(1.0, 1.0),
        rounds_tails=False,
        breaks=(),
        subhomogeneous=True,
        in_place=_identity_,
    ),
    # u / (1 + |u|) (Bergstra, Desjardins, Lamblin & Bengio 2009)
    Activation(
        "softsign",
        functional.softsign,
        _softsign_slope,
        largest_slope=1.0,
        bounded=True,
        rounds_tails=False,
        breaks=(0.0,),
        subhomogeneous=True,
    ),
    Activation(
        "hard_tanh",
        functional.hardtanh,
        _hard_tanh_slope,
        largest_slope=1.0,
        bounded=True,
        rounds_tails=False,
        breaks=(-1.0, 1.0),
        subhomogeneous=True,
        in_place=functional.hardtanh_,
    ),
    # Slope .01 below 0 (Maas, Hannun & Ng 2013)
    Activation(
        "leaky_relu",
        _leaky_relu,
        _leaky_relu_slope,
        largest_slope=1.0,
        halves=(LEAK, 1.0),
        rounds_tails=False,
        breaks=(0.0,),
        subhomogeneous=True,
        in_place=_leaky_relu_,
    ),
    # e^u − 1 below 0 (Clevert, Unterthiner & Hochreiter 2016, with α = 1)
    Activation(
        "elu",
        functional.elu,
        _elu_slope,
        largest_slope=1.0,
        breaks=(0.0,),
        subhomogeneous=True,
        in_place=functional.elu_,
    ),
    # u Φ(u) (Hendrycks & Gimpel 2016), not their approximation by a tanh
    Activation(
        "gelu",
        functional.gelu,
        slope_at=_gelu_slope_at,
        largest_slope=_GELU_STEEPEST,
        breaks=(),
    ),
)
