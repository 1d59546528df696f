"""A recurrent network and its read-out: what it is, and the parameters of many runs of it.

The description (`Network`) is a frozen value. The parameters of many runs live in one tensor of
shape (run, parameter), a row a run, with views under torch's names: an optimiser's step, the
gradient norm and clipping are then one operation each, whatever the number of runs and layers.
"""

import dataclasses
import math

import torch
from torch import Tensor

from rnn_exp.fields import SettingError, as_typed, check, choice, number, whole
from rnn_exp.networks.cells import GRU, LSTM, Cell, Elman, LayerWeights, Normed, Skip
from rnn_exp.networks.cells.activations import ACTIVATIONS, Activation
from rnn_exp.shapes import Float

__all__ = ["Network", "Parameters", "layer_of", "shapes"]

DTYPES = {"float32": torch.float32, "float64": torch.float64}


# What a cell makes of a unit: rnn, leaky, residual, normed are h_t = φ(…) in four forms.
CELLS = ("rnn", "leaky", "residual", "normed", "gru", "lstm")
_GATED, _SKIPPING = ("gru", "lstm"), ("leaky", "residual")


@dataclasses.dataclass(frozen=True)
class Network:
    """A stack of recurrent layers, from h_0 = ``initial_state``, and a linear read-out.

    ``cell``: ``rnn`` is h_t = φ(u_t), u_t = W_hh h_{t-1} + b_hh + W_ih x_t + b_ih; ``leaky`` is
    (1 − α) h_{t-1} + α φ(u_t) and ``residual`` h_{t-1} + α φ(u_t), α = ``leak``; ``normed``
    normalises u_t over the units; ``gru`` and ``lstm`` are torch's. ``parametrization``: with
    ``orthogonal`` W_hh stays orthogonal in training (times the init's gain). ``engine``: ``scan``
    (this package, many runs at once) or ``torch`` (the genuine module, one run at a time). Both
    give the same tables.

    Raises:
        SettingError: for a size below 1, an unknown word, or settings that exclude each other.
    """

    activation: str = choice("tanh", list(ACTIVATIONS))
    hidden_size: int = whole(64, least=1)
    num_layers: int = whole(1, least=1)
    cell: str = choice("rnn", CELLS)
    leak: float | None = number(None, above=0)
    initial_state: float = number(0.0)
    parametrization: str = choice("free", ["free", "orthogonal"])
    engine: str = choice("scan", ["scan", "torch"])
    dtype: str = choice("float32", list(DTYPES))

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        if self.gated and self.activation != "tanh":
            raise SettingError("activation", self.activation, f"tanh with cell={self.cell}")
        if self.cell in _SKIPPING and not (self.leak is not None and self.leak <= 1):
            raise SettingError(
                "leak", as_typed(self.leak), f"a number above 0 and at most 1 with cell={self.cell}"
            )
        if self.cell not in _SKIPPING and self.leak is not None:
            raise SettingError(
                "leak",
                self.leak,
                f"null with cell={self.cell} (it is the step of leaky and residual)",
            )
        if self.parametrization == "orthogonal" and self.gated:
            raise SettingError(
                "parametrization",
                "orthogonal",
                f"free with cell={self.cell}: its W_hh is a stack of gates, not a square matrix",
            )
        if self.engine == "torch":
            self._refuse_torch()

    def _refuse_torch(self) -> None:
        if self.activation == "identity":
            raise SettingError(
                "activation",
                "identity",
                "tanh, sigmoid, relu with engine=torch (torch.nn.RNN has "
                "no linear recurrence); use engine=scan",
            )
        if self.cell not in ("rnn", *_GATED):
            raise SettingError(
                "cell", self.cell, "rnn, gru, lstm with engine=torch; use engine=scan"
            )

    @property
    def gated(self) -> bool:
        """Whether W_hh is a stack of gates."""
        return self.cell in _GATED

    @property
    def top(self) -> str:
        """The name of the recurrent weights of the highest layer, which is read out."""
        return f"weight_hh_l{self.num_layers - 1}"

    @property
    def layer(self) -> Cell:
        """The cell itself."""
        if self.cell == "gru":
            return GRU()
        if self.cell == "lstm":
            return LSTM()
        if self.cell == "normed":
            return Normed(self.phi)
        if self.leak is None:
            return Elman(self.phi)
        return Skip(self.phi, 1 - self.leak if self.cell == "leaky" else 1.0, self.leak)

    @property
    def phi(self) -> Activation:
        """The activation itself."""
        return ACTIVATIONS[self.activation]

    @property
    def torch_dtype(self) -> torch.dtype:
        """The precision as torch names it."""
        return DTYPES[self.dtype]


def shapes(network: Network, input_size: int, output_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter under torch's names, in torch's order.

    Example:
        >>> list(shapes(Network(hidden_size=3), 2, 1).values())
        [(3, 2), (3, 3), (3,), (3,), (1, 3), (1,)]
    """
    H = network.hidden_size
    gates = network.layer.gates * H
    result: dict[str, tuple[int, ...]] = {}
    for depth in range(network.num_layers):
        width = H if depth else input_size
        result |= {f"weight_ih_l{depth}": (gates, width), f"weight_hh_l{depth}": (gates, H)}
        result |= {f"bias_ih_l{depth}": (gates,), f"bias_hh_l{depth}": (gates,)}
    return result | {"readout.weight": (output_size, H), "readout.bias": (output_size,)}


class Parameters:
    """The parameters of R runs: one (run, parameter) tensor and named views into it."""

    def __init__(self, flat: Float[Tensor, "run size"], shapes: dict[str, tuple[int, ...]]) -> None:
        self.flat, self.shapes = flat, shapes

    @classmethod
    def stack(cls, runs: list[dict[str, Tensor]], dtype: torch.dtype) -> "Parameters":
        """Copy the named parameters of each run into one row."""
        names = {name: tuple(tensor.shape) for name, tensor in runs[0].items()}
        rows = [torch.cat([run[name].flatten().to(dtype) for name in names]) for run in runs]
        return cls(torch.stack(rows), names)

    def views(self) -> dict[str, Tensor]:
        """Return the parameters by name, each (run, *shape), sharing memory with ``flat``."""
        result, start = {}, 0
        for name, shape in self.shapes.items():
            end = start + math.prod(shape)
            result[name] = self.flat[:, start:end].view(-1, *shape)
            start = end
        return result

    def of_run(self, run: int) -> dict[str, Tensor]:
        """Return a copy of one run's parameters by name."""
        return {name: view[run].clone() for name, view in self.views().items()}

    def pack(self, by_name: dict[str, Tensor]) -> Float[Tensor, "run size"]:
        """Lay named tensors (gradients, say) out as ``flat`` is laid out."""
        return torch.cat([by_name[name].flatten(1) for name in self.shapes], dim=1)


def layer_of(parameters: dict[str, Tensor], number: int) -> LayerWeights:
    """Return one layer's weights from the named parameters."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return LayerWeights(*(parameters[f"{name}_l{number}"] for name in names))
