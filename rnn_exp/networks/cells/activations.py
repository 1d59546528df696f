"""Activations φ: their slope as a function of the output, and what each can and cannot do.

A recurrent network's backward pass needs φ'(u) but has kept only h = φ(u). For the activations
here the slope is a function of the output alone: tanh 1 − h², sigmoid h(1 − h), relu [h > 0],
identity 1. Whoever wants to know something of an activation asks it; nobody compares its name.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from rnn_exp.registry import Registry
from rnn_exp.shapes import Float

__all__ = ["ACTIVATIONS", "Activation", "TorchForm"]


@dataclass(frozen=True)
class TorchForm:
    """φ written with what torch.nn.RNN has: φ(u) = ``offset`` + ``scale`` ψ(``stretch`` u).

    Args:
        nonlinearity: torch's word for ψ, ``tanh`` or ``relu``.
        offset: what is added.
        scale: what ψ is multiplied by.
        stretch: what its argument is multiplied by.
    """

    nonlinearity: str
    offset: float = 0.0
    scale: float = 1.0
    stretch: float = 1.0

    @property
    def is_plain(self) -> bool:
        """Whether φ is ψ itself."""
        return (self.offset, self.scale, self.stretch) == (0.0, 1.0, 1.0)


@dataclass(frozen=True)
class Activation:
    """One activation.

    Args:
        name: the word of ``network.activation``.
        apply_: φ in place.
        slope: φ' from the output h = φ(u).
        largest_slope: γ = sup φ'.
        bounded: whether φ stays between two numbers. Where it does not, a state may overflow.
        halves: the slopes left and right of 0 of a φ that is linear on both sides; None for all
            others. Only such a φ is homogeneous, φ(a u) = a φ(u) for a > 0, and has a mean field
            in closed form.
        torch_form: how torch.nn.RNN can compute it; None: it cannot.
        rounds_tails: whether torch rounds the last few numbers of a block in another way than the
            rest; such blocks are padded (`layout`).

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
    halves: tuple[float, float] | None = None
    torch_form: TorchForm | None = None
    rounds_tails: bool = False

    def __call__(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return φ(u) and leave u alone."""
        return self.apply_(u.clone())

    @property
    def homogeneous(self) -> bool:
        """Whether φ(a u) = a φ(u) for every a > 0: its slope does not depend on the size of u."""
        return self.halves is not None


ACTIVATIONS: Registry[Activation] = Registry("activation")


def _tanh_slope(h: Tensor) -> Tensor:
    return 1 - h.square()


def _sigmoid_slope(h: Tensor) -> Tensor:
    return h * (1 - h)


def _relu_slope(h: Tensor) -> Tensor:
    return (h > 0).to(h.dtype)


def _identity_(u: Tensor) -> Tensor:
    return u


ACTIVATIONS.register(
    Activation(
        "tanh",
        torch.Tensor.tanh_,
        _tanh_slope,
        largest_slope=1.0,
        bounded=True,
        torch_form=TorchForm("tanh"),
    )
)
ACTIVATIONS.register(
    Activation(
        "sigmoid",
        torch.Tensor.sigmoid_,
        _sigmoid_slope,
        largest_slope=0.25,
        bounded=True,
        torch_form=TorchForm("tanh", offset=0.5, scale=0.5, stretch=0.5),
        rounds_tails=True,
    )
)
ACTIVATIONS.register(
    Activation(
        "relu",
        torch.Tensor.relu_,
        _relu_slope,
        largest_slope=1.0,
        bounded=False,
        halves=(0.0, 1.0),
        torch_form=TorchForm("relu"),
    )
)
ACTIVATIONS.register(
    Activation(
        "identity",
        _identity_,
        torch.ones_like,
        largest_slope=1.0,
        bounded=False,
        halves=(1.0, 1.0),
    )
)
