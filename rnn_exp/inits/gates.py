"""Inits of gated cells: torch's default, but for the biases of the gates that forget.

The gate that forgets is an LSTM's f and a GRU's z (for which 1 means: keep): the second of torch's
blocks of rows. Of its two biases b_ih gets the value and b_hh is 0.
"""

import dataclasses
from typing import ClassVar

import torch
from torch import Tensor

from rnn_exp.inits.base import Init
from rnn_exp.inits.draws import Shapes, torch_default
from rnn_exp.randomness import generator
from rnn_exp.settings import number, whole

__all__ = ["Chrono", "ForgetBias"]

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
