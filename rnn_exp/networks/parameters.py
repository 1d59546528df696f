"""The parameters of many runs of one network: one tensor, with views under torch's names.

They live in one tensor of shape (run, parameter), a row a run: an optimiser's step, the gradient
norm and clipping are then one operation each, whatever the number of runs and layers.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping

import torch
from torch import Tensor

from rnn_exp.networks.cells import TORCHS, LayerWeights
from rnn_exp.shapes import Float

__all__ = ["Layout", "Parameters", "layer_weights"]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where each parameter lies in a row of all of them.

    Args:
        shapes: the shape of each parameter of one run, by name, in the order of the row.

    Example:
        >>> layout = Layout({"weight_hh_l0": (2, 2), "bias_hh_l0": (2,)})
        >>> {name: tuple(view.shape) for name, view in layout.views(torch.zeros(5, 6)).items()}
        {'weight_hh_l0': (5, 2, 2), 'bias_hh_l0': (5, 2)}
    """

    shapes: Mapping[str, tuple[int, ...]]

    def views(self, flat: Float[Tensor, "run size"]) -> dict[str, Tensor]:
        """Return the parts of every row by name, each (run, *shape), sharing memory with ``flat``.

        Args:
            flat: parameters, their gradients, or what is remembered of them: a row a run.
        """
        result, start = {}, 0
        for name, shape in self.shapes.items():
            end = start + math.prod(shape)
            result[name] = flat[:, start:end].view(-1, *shape)
            start = end
        return result


class Parameters:
    """The parameters of R runs: one (run, parameter) tensor and named views into it.

    Args:
        flat: all parameters, a row a run.
        shapes: the shape of each parameter of one run, by name, in the order of the rows.
    """

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
        return self.layout.views(self.flat)

    @property
    def layout(self) -> Layout:
        """Where each parameter lies in a row."""
        return Layout(self.shapes)

    def of_run(self, run: int) -> dict[str, Tensor]:
        """Return a copy of one run's parameters by name."""
        return {name: view[run].clone() for name, view in self.views().items()}

    def pack(self, by_name: dict[str, Tensor]) -> Float[Tensor, "run size"]:
        """Lay named tensors (gradients, say) out as ``flat`` is laid out."""
        return torch.cat([by_name[name].flatten(1) for name in self.shapes], dim=1)


def layer_weights(parameters: dict[str, Tensor], number: int) -> LayerWeights:
    """Return one layer's weights from the named parameters; layer 0 reads the inputs."""
    keys, names = _names_of_layer(tuple(parameters), number)
    return LayerWeights(*[parameters[key] for key in keys], names=names)


@functools.cache
def _names_of_layer(
    parameters: tuple[str, ...], number: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of one layer's parameters among all, and what the layer calls them."""
    end = f"_l{number}"
    own = {name.removesuffix(end): name for name in parameters if name.endswith(end)}
    if own.keys() == set(TORCHS):
        own = {name: own[name] for name in TORCHS}
    return tuple(own.values()), tuple(own)
