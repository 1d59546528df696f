"""A recurrent network and its read-out: what it is, and the parameters of many runs of it.

The description (`Network`) is a frozen value. The parameters of many runs live in one tensor of
shape (run, parameter), a row a run, with views under torch's names: an optimiser's step, the
gradient norm and clipping are then one operation each, whatever the number of runs and layers.
"""

import dataclasses
import math

import torch
from torch import Tensor

from rnn_exp.activations import ACTIVATIONS, Activation
from rnn_exp.recurrence import LayerWeights
from rnn_exp.settings import SettingError, check, choice, whole
from rnn_exp.shapes import Float

__all__ = ["Network", "Parameters", "layer", "shapes"]

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclasses.dataclass(frozen=True)
class Network:
    """A stack of Elman layers h_t = φ(W_hh h_{t-1} + b_hh + W_ih x_t + b_ih) and a linear read-out.

    ``engine`` says who computes it: ``scan`` (this package, many runs at once) or ``torch`` (the
    genuine ``torch.nn.RNN``, one run at a time). Both give the same tables.

    Raises:
        SettingError: for a size below 1, an unknown word, or identity with engine torch.
    """

    activation: str = choice("tanh", list(ACTIVATIONS))
    hidden_size: int = whole(64, least=1)
    num_layers: int = whole(1, least=1)
    cell: str = choice("rnn", ["rnn"])
    engine: str = choice("scan", ["scan", "torch"])
    dtype: str = choice("float32", list(DTYPES))

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        if self.engine == "torch" and self.activation == "identity":
            raise SettingError(
                "activation", "identity", "tanh, sigmoid, relu with engine=torch (torch.nn.RNN has "
                "no linear recurrence); use engine=scan",
            )  # fmt: skip

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
    result: dict[str, tuple[int, ...]] = {}
    for number in range(network.num_layers):
        width = H if number else input_size
        result |= {f"weight_ih_l{number}": (H, width), f"weight_hh_l{number}": (H, H)}
        result |= {f"bias_ih_l{number}": (H,), f"bias_hh_l{number}": (H,)}
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


def layer(parameters: dict[str, Tensor], number: int) -> LayerWeights:
    """Return one layer's weights from the named parameters."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return LayerWeights(*(parameters[f"{name}_l{number}"] for name in names))
