"""Inits as their papers have them: Pascanu et al. (2013), forget bias, chrono."""

import dataclasses
import math
from collections.abc import Iterator
from typing import ClassVar

import torch
from torch import Tensor

from rnn_exp.fields import SettingError, as_typed, choice, number, whole
from rnn_exp.networks.cells import CELLS, CellKind
from rnn_exp.networks.inits.init import (
    PLAIN,
    Init,
    Shapes,
    normal,
    radius,
    torch_default,
    with_recurrent,
    without_biases,
)
from rnn_exp.networks.network import Network, Refusal
from rnn_exp.randomness import generator
from rnn_exp.shapes import Float

__all__ = ["Chrono", "ForgetBias", "Pascanu", "Unit"]


@dataclasses.dataclass(frozen=True)
class _ForGates(Init):
    """An init of the gate that forgets: an LSTM's f, a GRU's z (for which 1 means: keep).

    Of the gate's two biases b_ih gets the value and b_hh is 0.
    """

    needs_matrix: ClassVar[bool] = False

    def refusals(self, network: Network, output_size: int) -> Iterator[Refusal]:
        """Yield that a cell has no gate that forgets, or no bias."""
        del output_size
        yield from without_biases(self, network)
        if network.kind.forget_gate is None:
            able = " or ".join(CELLS.where(lambda cell: cell.forget_gate is not None))
            yield (
                "init",
                self.name,
                f"another init with network.cell={network.cell}: it has no gate that forgets "
                f"(use network.cell={able})",
            )

    def mean_field_gain(self, W: Float[Tensor, "n n"]) -> float:
        """Return the gain g for which W has variance g²/n: 1/√3, as torch draws it."""
        del W
        return 1 / math.sqrt(3)

    def forget_gate(self, cell: CellKind, n: int) -> slice:
        """Return the rows of the gate that forgets.

        Raises:
            SettingError: for a cell without one.
        """
        if cell.forget_gate is None:
            raise SettingError("init", self.name, f"another init: {cell.name} has no forget gate")
        return slice(cell.forget_gate * n, (cell.forget_gate + 1) * n)


@dataclasses.dataclass(frozen=True)
class ForgetBias(_ForGates):
    """torch's default with the bias of the gate that forgets at ``bias`` (Gers et al. 2000).

    Args:
        bias: of the gate that forgets; the larger it is, the longer a cell remembers.
    """

    bias: float = number(1.0)
    name: ClassVar[str] = "forget_bias"

    def draw(self, shapes: Shapes, seed: int, cell: CellKind = PLAIN) -> dict[str, Tensor]:
        """Draw all parameters."""
        result, n = torch_default(shapes, seed), shapes["readout.weight"][1]
        gate = self.forget_gate(cell, n)
        for name in shapes:
            if name.startswith("bias"):
                result[name][gate] = self.bias if name.startswith("bias_ih") else 0.0
        return result


@dataclasses.dataclass(frozen=True)
class Chrono(_ForGates):
    """torch's default with gates that forget at all time scales (Tallec & Ollivier 2018, eq. 16).

    b_f = ln U(1, T − 1), and where there is an input gate b_i = −b_f.

    Args:
        longest: T there, the longest dependency that there may be (null: the length of the task).
    """

    least: ClassVar[int] = 3
    longest: int | None = whole(None, least=least)
    name: ClassVar[str] = "chrono"

    def for_length(self, length: int) -> "Chrono":
        """Return the init with the task's length as the longest dependency, if none is given."""
        if self.longest is not None:
            return self
        if length < self.least:
            allowed = f"a whole number of at least {self.least} with init=chrono"
            raise SettingError("task.length", length, f"{allowed} (or give init.longest)")
        return dataclasses.replace(self, longest=length)

    def draw(self, shapes: Shapes, seed: int, cell: CellKind = PLAIN) -> dict[str, Tensor]:
        """Draw all parameters.

        Raises:
            SettingError: if ``longest`` is not known (see `for_length`).
        """
        if self.longest is None:
            raise SettingError("longest", as_typed(None), "a whole number: the length of the task")
        result, n = torch_default(shapes, seed), shapes["readout.weight"][1]
        gate = self.forget_gate(cell, n)
        for name in shapes:
            if not name.startswith("bias"):
                continue
            remember = torch.zeros(n, dtype=torch.float64)
            if name.startswith("bias_ih"):
                draw = generator(seed, f"chrono/{name}")
                remember.uniform_(1, self.longest - 1, generator=draw).log_()
            result[name][gate] = remember
            if cell.input_gate is not None:
                result[name][cell.input_gate * n : (cell.input_gate + 1) * n] = -remember
        return result


_DEVIATIONS = {"sigmoid": 0.01, "basic_tanh": 0.1, "smart_tanh": 0.01}
_NONZEROS, _SMART_RADIUS = 15, 0.95


@dataclasses.dataclass(frozen=True)
class Pascanu(Init):
    """The inits of Pascanu, Mikolov & Bengio (2013, §4.1.1): all weights N(0, s²), biases 0.

    ``sigmoid``: s = 0.01. ``basic_tanh``: s = 0.1. ``smart_tanh``: s = 0.01, with 15 weights a row
    of W_hh that are not zero, scaled to the spectral radius 0.95.

    Args:
        variant: which of the three.
    """

    variant: str = choice("basic_tanh", list(_DEVIATIONS))
    name: ClassVar[str] = "pascanu"

    def refusals(self, network: Network, output_size: int) -> Iterator[Refusal]:
        """Yield that the paper's networks have no gates."""
        del output_size
        if network.kind.gated:
            yield (
                "init",
                self.name,
                f"another init with network.cell={network.cell}: the paper's networks have no "
                "gates",
            )

    def mean_field_gain(self, W: Float[Tensor, "n n"]) -> float | None:
        """Return g = s √n; of the sparse matrix its radius, to which g tends for large n."""
        smart = self.variant == "smart_tanh"
        return _SMART_RADIUS if smart else _DEVIATIONS[self.variant] * math.sqrt(len(W))

    def recurrent(self, n: int, draw: torch.Generator) -> Float[Tensor, "n n"]:
        """Return W_hh."""
        W = normal(n, draw)
        if self.variant != "smart_tanh":
            return W * _DEVIATIONS[self.variant]
        kept = torch.rand(n, n, generator=draw).argsort(dim=1) < min(_NONZEROS, n)
        return W * kept * (_SMART_RADIUS / radius(W * kept))

    def draw(self, shapes: Shapes, seed: int, cell: CellKind = PLAIN) -> dict[str, Tensor]:
        """Draw all parameters."""
        del cell
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

    Args:
        weight: w.
        bias: b.
    """

    weight: float = number(5.0)
    bias: float = number(-2.5)
    name: ClassVar[str] = "unit"

    def refusals(self, network: Network, output_size: int) -> Iterator[Refusal]:
        """Yield that it gives all of a network of one plain unit with one output."""
        yield from without_biases(self, network)
        if self.readout_scale != 1:
            reason = "1.0 with init=unit, whose output is the state itself"
            yield "init.readout_scale", self.readout_scale, reason
        if (network.hidden_size, network.num_layers) != (1, 1):
            yield (
                "network.hidden_size",
                network.hidden_size,
                "1 (and network.num_layers=1) with init=unit, which gives all of a network of one "
                "unit",
            )
        if not network.kind.is_plain or output_size != 1:
            plain = " or ".join(CELLS.where(lambda cell: cell.is_plain))
            reason = f"another init unless network.cell={plain} and the task has one output"
            yield "init", self.name, reason

    def draw(self, shapes: Shapes, seed: int, cell: CellKind = PLAIN) -> dict[str, Tensor]:
        """Return the given numbers; nothing is drawn."""
        del seed, cell
        given = {"weight_hh_l0": self.weight, "bias_hh_l0": self.bias, "readout.weight": 1.0}
        return {
            name: torch.full(shape, given.get(name, 0.0), dtype=torch.float64)
            for name, shape in shapes.items()
        }
