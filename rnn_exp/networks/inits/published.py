"""Inits as their papers have them: Pascanu et al. (2013), forget bias, chrono."""

import dataclasses
import math
from typing import ClassVar

import torch
from torch import Tensor

from rnn_exp.fields import choice, number, whole
from rnn_exp.networks.inits.init import Init, Shapes, normal, radius, torch_default, with_recurrent
from rnn_exp.randomness import generator
from rnn_exp.shapes import Float

__all__ = ["Chrono", "ForgetBias", "Pascanu", "Unit"]

_LSTM = 4


@dataclasses.dataclass(frozen=True)
class ForgetBias(Init):
    """torch's default with the bias of the gate that forgets at ``bias`` (Gers et al. 2000)."""

    bias: float = number(1.0)
    name: ClassVar[str] = "forget_bias"

    def draw(self, shapes: Shapes, seed: int) -> dict[str, Tensor]:
        """Draw all parameters."""
        result = torch_default(shapes, seed)
        for name, (rows, *_) in shapes.items():
            if name.startswith("bias"):
                n = shapes["readout.weight"][1]
                assert rows > n, "Run refuses cells without gates"
                result[name][n : 2 * n] = self.bias if name.startswith("bias_ih") else 0.0
        return result


@dataclasses.dataclass(frozen=True)
class Chrono(Init):
    """torch's default with gates that forget at all time scales (Tallec & Ollivier 2018, eq. 16).

    b_f = ln U(1, T − 1), and for an LSTM b_i = −b_f; T is ``longest``, the longest dependency there
    may be (null: the length of the task).
    """

    least: ClassVar[int] = 3
    longest: int | None = whole(None, least=least)
    name: ClassVar[str] = "chrono"

    def draw(self, shapes: Shapes, seed: int) -> dict[str, Tensor]:
        """Draw all parameters."""
        assert self.longest is not None, "Run puts the length of its task here"
        result, n = torch_default(shapes, seed), shapes["readout.weight"][1]
        for name, (rows, *_) in shapes.items():
            if not name.startswith("bias"):
                continue
            remember = torch.zeros(n, dtype=torch.float64)
            if name.startswith("bias_ih"):
                draw = generator(seed, f"chrono/{name}")
                remember.uniform_(1, self.longest - 1, generator=draw).log_()
            result[name][n : 2 * n] = remember
            if rows == _LSTM * n:
                result[name][:n] = -remember
        return result


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
        return {
            name: torch.full(shape, given.get(name, 0.0), dtype=torch.float64)
            for name, shape in shapes.items()
        }
