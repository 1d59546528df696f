"""Weight scales: what the network's weights are before training.

Each init is a frozen description; `draw` turns it into named parameters (torch's names and
shapes). W_hh is drawn in float64 and rounded to the network's precision; what follows torch's
default is drawn in float32, as torch draws it.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from rnn_exp.randomness import generator
from rnn_exp.settings import check, number
from rnn_exp.shapes import Float

__all__ = ["INITS", "Gaussian", "Identity", "Init", "Orthogonal", "TorchDefault"]

Shapes = dict[str, tuple[int, ...]]


@dataclasses.dataclass(frozen=True)
class TorchDefault:
    """torch.nn.RNN's own default: every weight and bias U(−1/√n, 1/√n), which is gain 1/√3."""

    name: ClassVar[str] = "torch"

    @property
    def mean_field_gain(self) -> float:
        """The gain g for which W has variance g²/n: 1/√3."""
        return 1 / math.sqrt(3)

    def draw(self, shapes: Shapes, seed: int) -> dict[str, Tensor]:
        """Draw all parameters, bit for bit as torch.nn.RNN and torch.nn.Linear do."""
        draw = {"": generator(seed, "weights"), "readout": generator(seed, "readout")}
        bound = 1 / math.sqrt(shapes["readout.weight"][1])
        return {name: _uniform(shape, bound, draw["readout" if "readout" in name else ""])
                for name, shape in shapes.items()}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Gaussian:
    """W_hh ~ N(0, g²/n); W_ih as torch's default times ``input_scale``; biases 0.

    Raises:
        SettingError: for a gain or a scale below 0.
    """

    gain: float = number(1.0, least=0)
    input_scale: float = number(1.0, least=0)
    name: ClassVar[str] = "gaussian"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    @property
    def mean_field_gain(self) -> float | None:
        """The gain g for which W has variance g²/n; None where W is not random."""
        return self.gain

    def recurrent(self, n: int, draw: torch.Generator) -> Float[Tensor, "n n"]:
        """Return W_hh."""
        return _normal(n, draw) * (self.gain / math.sqrt(n))

    def draw(self, shapes: Shapes, seed: int) -> dict[str, Tensor]:
        """Draw all parameters; the read-out is torch.nn.Linear's default."""
        return _with_recurrent(self.recurrent, self.input_scale, shapes, seed)


@dataclasses.dataclass(frozen=True)
class Orthogonal(Gaussian):
    """W_hh = g Q with Q uniform among orthogonal matrices; the rest as `Gaussian`."""

    name: ClassVar[str] = "orthogonal"

    def recurrent(self, n: int, draw: torch.Generator) -> Float[Tensor, "n n"]:
        """Return W_hh: the Q of a Gaussian matrix's QR, signs fixed so that it is uniform."""
        q, r = torch.linalg.qr(_normal(n, draw))
        return self.gain * q * r.diagonal().sign()


@dataclasses.dataclass(frozen=True)
class Identity(Gaussian):
    """W_hh = g I (IRNN with relu: Le, Jaitly & Hinton 2015); the rest as `Gaussian`."""

    name: ClassVar[str] = "identity"

    @property
    def mean_field_gain(self) -> float | None:
        """None: the mean field speaks of random matrices."""
        return None

    def recurrent(self, n: int, draw: torch.Generator) -> Float[Tensor, "n n"]:
        """Return W_hh; nothing is drawn."""
        del draw
        return self.gain * torch.eye(n, dtype=torch.float64)


Init = TorchDefault | Gaussian
INITS: dict[str, type[TorchDefault] | type[Gaussian]] = {
    "gaussian": Gaussian,
    "torch": TorchDefault,
    "orthogonal": Orthogonal,
    "identity": Identity,
}


def _normal(n: int, draw: torch.Generator) -> Tensor:
    return torch.empty(n, n, dtype=torch.float64).normal_(generator=draw)


def _uniform(shape: tuple[int, ...], bound: float, draw: torch.Generator) -> Tensor:
    return nn.init.uniform_(torch.empty(shape, dtype=torch.float32), -bound, bound, generator=draw)


def _with_recurrent(
    recurrent: Callable[[int, torch.Generator], Tensor], scale: float, shapes: Shapes, seed: int
) -> dict[str, Tensor]:
    """Put recurrent matrices and zero biases into torch's default draw."""
    result = TorchDefault().draw(shapes, seed)
    for name in shapes:
        if name.startswith("weight_hh"):
            n = shapes[name][0]
            result[name] = recurrent(n, generator(seed, f"recurrent/{name}"))
        elif name.startswith("weight_ih"):
            result[name] = result[name].double() * scale
        elif name.startswith("bias"):
            result[name] = torch.zeros_like(result[name])
    return result
