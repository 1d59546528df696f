"""The networks of Pascanu, Mikolov & Bengio (2013): three inits, and the unit of their cliff."""

import dataclasses
import math
from typing import ClassVar

import torch
from torch import Tensor

from rnn_exp.inits.base import Init
from rnn_exp.inits.draws import Shapes, normal, radius, with_recurrent
from rnn_exp.randomness import generator
from rnn_exp.settings import choice, number
from rnn_exp.shapes import Float

__all__ = ["Pascanu", "Unit"]

_DEVIATIONS = {"sigmoid": 0.01, "basic_tanh": 0.1, "smart_tanh": 0.01}
_NONZEROS, _SMART_RADIUS = 15, 0.95


@dataclasses.dataclass(frozen=True)
class Pascanu(Init):
    """The inits of Pascanu, Mikolov & Bengio (2013, §4.1.1): all weights N(0, s²), biases 0.

    ``sigmoid``: s = 0.01. ``basic_tanh``: s = 0.1. ``smart_tanh``: s = 0.01, with 15 weights a row
    of W_hh that are not zero, scaled to the spectral radius 0.95.
    """

    variant: str = choice("basic_tanh", list(_DEVIATIONS))
    name: ClassVar[str] = "pascanu"

    def mean_field_gain(self, n: int) -> float | None:
        """Return g = s √n; of the sparse matrix its radius, to which g tends for large n."""
        smart = self.variant == "smart_tanh"
        return _SMART_RADIUS if smart else _DEVIATIONS[self.variant] * math.sqrt(n)

    def recurrent(self, n: int, draw: torch.Generator) -> Float[Tensor, "n n"]:
        """Return W_hh."""
        W = normal(n, draw)
        if self.variant != "smart_tanh":
            return W * _DEVIATIONS[self.variant]
        kept = torch.rand(n, n, generator=draw).argsort(dim=1) < min(_NONZEROS, n)
        return W * kept * (_SMART_RADIUS / radius(W * kept))

    def draw(self, shapes: Shapes, seed: int) -> dict[str, Tensor]:
        """Draw all parameters."""
        result = with_recurrent(self.recurrent, 1.0, shapes, seed)
        for name, shape in shapes.items():
            if "bias" in name:
                result[name] = torch.zeros(shape)
            elif not name.startswith("weight_hh"):
                draw = generator(seed, f"pascanu/{name}")
                drawn = torch.empty(shape, dtype=torch.float64).normal_(generator=draw)
                result[name] = drawn * _DEVIATIONS[self.variant]
        return result


@dataclasses.dataclass(frozen=True)
class Unit(Init):
    """A network of one unit, all of it given: h_t = φ(w h_{t-1} + b), and the output is h itself.

    Inputs have no weight. (Pascanu, Mikolov & Bengio 2013, fig. 6, with its two dials.)
    """

    weight: float = number(5.0)
    bias: float = number(-2.5)
    name: ClassVar[str] = "unit"

    def draw(self, shapes: Shapes, seed: int) -> dict[str, Tensor]:
        """Return the given numbers; nothing is drawn."""
        del seed
        given = {"weight_hh_l0": self.weight, "bias_hh_l0": self.bias, "readout.weight": 1.0}
        return {name: torch.full(shape, given.get(name, 0.0), dtype=torch.float64)
                for name, shape in shapes.items()}  # fmt: skip
