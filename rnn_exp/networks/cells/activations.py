"""Activations φ, their slope as a function of the output, and the largest slope there is.

A recurrent network's backward pass needs φ'(u) but has kept only h = φ(u). For the four
activations here the slope is a function of the output alone: tanh 1 − h², sigmoid h(1 − h),
relu [h > 0], identity 1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rnn_exp.shapes import Float

__all__ = ["ACTIVATIONS", "Activation"]


@dataclass(frozen=True)
class Activation:
    """One activation: φ in place, φ' from the output, and γ = sup φ'.

    Example:
        >>> tanh = ACTIVATIONS["tanh"]
        >>> h = tanh(torch.tensor([0.0]))
        >>> tanh.slope(h).item(), tanh.largest_slope
        (1.0, 1.0)
    """

    name: str
    apply_: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]
    largest_slope: float
    bounded: bool
    rounds_tails: bool = False  # the last few numbers of a block are rounded in another way

    def __call__(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return φ(u) and leave u alone."""
        return self.apply_(u.clone())


def _tanh_slope(h: Tensor) -> Tensor:
    return 1 - h.square()


def _sigmoid_slope(h: Tensor) -> Tensor:
    return h * (1 - h)


def _relu_slope(h: Tensor) -> Tensor:
    return (h > 0).to(h.dtype)


def _identity_(u: Tensor) -> Tensor:
    return u


ACTIVATIONS = {
    "tanh": Activation("tanh", torch.Tensor.tanh_, _tanh_slope, 1.0, bounded=True),
    "sigmoid": Activation(
        "sigmoid", torch.Tensor.sigmoid_, _sigmoid_slope, 0.25, bounded=True, rounds_tails=True
    ),
    "relu": Activation("relu", torch.Tensor.relu_, _relu_slope, 1.0, bounded=False),
    "identity": Activation("identity", _identity_, torch.ones_like, 1.0, bounded=False),
}
