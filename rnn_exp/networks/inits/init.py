"""What an init is: a frozen description of the weights before training, and how they are drawn.

W_hh is drawn in float64 and rounded to the network's precision; what follows torch's default is
drawn in float32, as torch draws it. In a gated cell every gate has a W_hh of its own.
"""

import abc
import dataclasses
import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from rnn_exp.fields import check
from rnn_exp.randomness import generator
from rnn_exp.shapes import Float

__all__ = ["Init", "Shapes", "normal", "radius", "torch_default", "with_recurrent"]

Shapes = dict[str, tuple[int, ...]]


def normal(n: int, draw: torch.Generator) -> Float[Tensor, "n n"]:
    """Return independent N(0, 1)."""
    return torch.empty(n, n, dtype=torch.float64).normal_(generator=draw)


def uniform(shape: tuple[int, ...], bound: float, draw: torch.Generator) -> Tensor:
    """Return U(−bound, bound) as torch draws it."""
    return nn.init.uniform_(torch.empty(shape, dtype=torch.float32), -bound, bound, generator=draw)


def radius(W: Float[Tensor, "n n"]) -> float:
    """Return the largest modulus of an eigenvalue."""
    return float(torch.linalg.eigvals(W).abs().max())


def torch_default(shapes: Shapes, seed: int) -> dict[str, Tensor]:
    """Draw all parameters, bit for bit as torch's recurrent modules and torch.nn.Linear do."""
    draw = {"": generator(seed, "weights"), "readout": generator(seed, "readout")}
    bound = 1 / math.sqrt(shapes["readout.weight"][1])
    return {
        name: uniform(shape, bound, draw["readout" if "readout" in name else ""])
        for name, shape in shapes.items()
    }


def with_recurrent(
    recurrent: Callable[[int, torch.Generator], Tensor], scale: float, shapes: Shapes, seed: int
) -> dict[str, Tensor]:
    """Put recurrent matrices, one a gate, and zero biases into torch's default draw."""
    result = torch_default(shapes, seed)
    for name, shape in shapes.items():
        if name.startswith("weight_hh"):
            draw, n = generator(seed, f"recurrent/{name}"), shape[1]
            result[name] = torch.cat([recurrent(n, draw) for _ in range(shape[0] // n)])
        elif name.startswith("weight_ih"):
            result[name] = result[name].double() * scale
        elif name.startswith("bias"):
            result[name] = torch.zeros_like(result[name])
    return result


@dataclasses.dataclass(frozen=True)
class Init(abc.ABC):
    """Draws named parameters; its fields say what they accept.

    Raises:
        SettingError: for a setting that is not allowed.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    def mean_field_gain(self, n: int) -> float | None:
        """Return the gain g for which W has variance g²/n; None: the mean field does not apply."""
        del n
        return None

    @abc.abstractmethod
    def draw(self, shapes: Shapes, seed: int) -> dict[str, Tensor]:
        """Draw all parameters."""
