"""Activations φ: what they are, their slopes, and what each can and cannot do.

A recurrent network's backward pass needs φ'(u). Of many activations the output h = φ(u) tells it:
tanh 1 − h², sigmoid h(1 − h), relu [h > 0]; the pre-activation u is then overwritten. Where it does
not (GELU is not monotone: two u have the same h), cells keep u, and φ' comes from it by a formula
or by autograd. Whoever wants to know something of an activation asks it; nobody compares its name.
"""

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor

from rnn_exp.networks.cells.layout import elementwise
from rnn_exp.registry import Registry
from rnn_exp.shapes import Float

__all__ = ["ACTIVATIONS", "Activation", "TorchForm"]

# Where φ is looked at when it is defined: every thousandth up to 20, and then ever more coarsely.
_NEAR, _FAR, _POINTS = 20.0, 100.0, 20_000
_HALVINGS = 45  # of such a step, to find where φ' jumps
_JUMP: Final = 1e-3  # of the largest slope: a smaller one moves no mean over φ' that matters


@dataclasses.dataclass(frozen=True)
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


@dataclasses.dataclass(frozen=True)
class Activation:
    """One activation. A name and φ are enough; what else is given makes it faster or more exact.

    Args:
        name: the word of ``network.activation``.
        phi: φ of every number of a tensor on its own, in torch, into a new tensor.
        slope: φ' from the output h = φ(u), where h is enough to know it. Cells then need not keep
            u, which is the fastest.
        slope_at: φ' from the pre-activation u. Without it and ``slope``, φ' comes by autograd.
        largest_slope: γ = sup |φ'|. Where it is not given it is found: the largest over |u| ≤ 100.
        bounded: whether |φ| ≤ 1 for every u. Where it is not, it is looked whether states overflow.
        halves: the slopes left and right of 0 of a φ that is linear on both sides; None for all
            others. Only such a φ is homogeneous, φ(a u) = a φ(u) for a > 0, and has a mean field
            in closed form.
        torch_form: how torch.nn.RNN can compute it; None: it cannot.
        rounds_tails: whether torch may round the last few numbers of a block in another way than
            the rest; such blocks are padded (`layout`). False only for what is rounded correctly.
        breaks: the u at which φ or one of its derivatives jumps; none: it is smooth. Integrals are
            cut there. Where they are not given it is looked where φ' jumps.
        subhomogeneous: whether |φ(a u)| ≤ a |φ(u)| for every a ≥ 1: no u has a larger |φ(u) / u|
            than those nearer to 0 on its side. The length of states then has one stable value.
        in_place: φ in place; None: the result of ``phi`` is copied.

    Raises:
        ValueError: for a φ that is no function of every number on its own, is not finite at some
            |u| ≤ 100, or has no φ' that autograd knows (where it is looked at: γ is not given).

    Example:
        >>> tanh = ACTIVATIONS["tanh"]
        >>> h = tanh(torch.tensor([0.0]))
        >>> tanh.from_output(h).item(), tanh.largest_slope
        (1.0, 1.0)
        >>> mine = Activation("mine", lambda u: u * torch.sigmoid(u))
        >>> mine.needs_input, mine.derivative(torch.tensor([0.0])).item()
        (True, 0.5)
        >>> round(mine.largest_slope, 4)
        1.0998
    """

    name: str
    phi: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor] | None = None
    slope_at: Callable[[Tensor], Tensor] | None = None
    largest_slope: float = math.nan
    bounded: bool = False
    halves: tuple[float, float] | None = None
    torch_form: TorchForm | None = None
    rounds_tails: bool = True
    breaks: tuple[float, ...] | None = None
    subhomogeneous: bool = False
    in_place: Callable[[Tensor], Tensor] | None = None

    def __post_init__(self) -> None:
        """Look at φ, and find its largest slope, where that is not given."""
        if math.isnan(self.largest_slope):
            _check(self)
            object.__setattr__(self, "largest_slope", _largest_slope(self))

    def __call__(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return φ(u) and leave u alone."""
        return self.apply_(u.clone())

    @functools.cached_property
    def apply_(self) -> Callable[[Tensor], Tensor]:
        """φ in place: a function that overwrites u."""
        if self.in_place is not None:
            return self.in_place
        phi = self.phi

        def apply_(u: Tensor) -> Tensor:
            return u.copy_(phi(u))

        return apply_

    @property
    def homogeneous(self) -> bool:
        """Whether φ(a u) = a φ(u) for every a > 0: its slope does not depend on the size of u."""
        return self.halves is not None

    @property
    def needs_input(self) -> bool:
        """Whether φ' needs the pre-activation u, as the output does not tell it."""
        return self.slope is None

    def slopes(self, source: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return φ' from what a cell has kept for it: u where it `needs_input`, else h."""
        return self.derivative(source) if self.slope is None else self.from_output(source)

    def from_output(self, h: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return φ' from h = φ(u), as a new tensor.

        Raises:
            ValueError: if h does not tell it.
        """
        if self.slope is None:
            reason = "does not follow from its output"
            raise ValueError(f"the slope of the activation {self.name} {reason}")
        found = self.slope(h)
        # A caller may overwrite what it gets; φ' of exp, say, is h itself.
        return found.clone() if found is h else found

    def derivative(self, u: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        """Return φ'(u), as a new tensor."""
        if self.slope is not None:
            return self.from_output(self(u))
        slope_at = self.slope_at or functools.partial(_by_autograd, self)
        return elementwise(slope_at, u)

    @functools.cached_property
    def where_not_smooth(self) -> tuple[float, ...]:
        """The u at which φ is not smooth: as given, or 0 and those at which φ' is seen to jump."""
        return _breaks(self) if self.breaks is None else self.breaks


ACTIVATIONS: Registry[Activation] = Registry("activation")


def _by_autograd(activation: Activation, u: Tensor) -> Tensor:
    """Return φ'(u) by autograd, also where it is switched off around."""
    with torch.inference_mode(False), torch.enable_grad():
        leaf = u.clone().requires_grad_()
        value = activation.phi(leaf.clone())  # a φ that works in place must not meet the leaf
        if not value.requires_grad:
            reason = "autograd knows no slope of it; give `slope` or `slope_at`"
            raise ValueError(f"the activation {activation.name}: {reason}")
        (found,) = torch.autograd.grad(value.sum(), leaf)
    return found


def _grid() -> Float[Tensor, " point"]:
    """Return the points at which a φ is looked at."""
    near = torch.arange(-_POINTS, _POINTS + 1, dtype=torch.float64) * (_NEAR / _POINTS)
    far = torch.linspace(_NEAR, _FAR, _POINTS + 1, dtype=torch.float64)[1:]
    return torch.cat([-far.flip(0), near, far])


def _check(activation: Activation) -> None:
    """Refuse a φ that is no finite function of every number on its own."""
    u, name = _grid(), f"the activation {activation.name}"
    h = activation.phi(u.clone())
    if not isinstance(h, Tensor) or h.shape != u.shape or h.dtype != u.dtype:
        raise ValueError(f"{name}: φ of a tensor is one of the same shape and precision")
    if not bool(h.isfinite().all()):
        first = u[~h.isfinite()][0].item()
        raise ValueError(f"{name}: φ({first:g}) is not finite")
    # A mean or a norm of all numbers in it would make it another function in another batch.
    few = torch.stack([activation.phi(u[place : place + 1].clone())[0] for place in (7, -9)])
    if not torch.allclose(few, h[[7, -9]], rtol=1e-9, atol=1e-12):
        raise ValueError(f"{name}: φ must be a function of every number on its own")


def _largest_slope(activation: Activation) -> float:
    """Return the largest |φ'| on the grid, which is refined around it."""
    u = _grid()
    slopes = activation.derivative(u).abs()
    if not bool(slopes.isfinite().all()):
        first = u[~slopes.isfinite()][0].item()
        raise ValueError(f"the activation {activation.name}: φ'({first:g}) is not finite")
    if not bool(slopes.any()):
        raise ValueError(f"the activation {activation.name}: its φ' is 0 wherever it was looked at")
    at = int(slopes.argmax())
    low, high = u[max(at - 1, 0)].item(), u[min(at + 1, len(u) - 1)].item()
    closer = torch.linspace(low, high, 2001, dtype=torch.float64)
    return max(slopes[at].item(), activation.derivative(closer).abs().max().item())


def _breaks(activation: Activation) -> tuple[float, ...]:
    """Return 0 and the points at which φ' jumps, found by halving the steps of a grid.

    Of a smooth φ' the change over a step halves with the step; where it jumps it stays.
    """
    u = _grid()
    change = activation.derivative(u).diff().abs()
    places = (change > _JUMP * activation.largest_slope).nonzero().flatten()
    low, high, first = u[places], u[places + 1], change[places]
    for halved in range(1, _HALVINGS):
        middle = 0.5 * (low + high)
        ends = activation.derivative(torch.stack([low, middle, high]))
        changes = ends.diff(dim=0).abs()
        left, stays = changes[0] >= changes[1], changes.amax(0) > 0.5 * first
        low, high = torch.where(left, low, middle), torch.where(left, middle, high)
        if halved > 1:
            low, high, first = low[stays], high[stays], first[stays]
    return tuple(sorted({0.0, *(0.5 * (low + high)).round(decimals=12).add(0.0).tolist()}))
