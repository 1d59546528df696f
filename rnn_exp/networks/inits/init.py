"""What an init is: a frozen description of the weights before training, and how they are drawn.

W_hh is drawn in float64 and rounded to the network's precision; what follows torch's default is
drawn in float32, as torch draws it. In a gated cell every gate has a W_hh of its own.
"""

import abc
import dataclasses
import math
from collections.abc import Callable, Iterator
from typing import ClassVar

import torch
from torch import Tensor, nn

from rnn_exp.fields import SettingError, as_typed, check, number
from rnn_exp.networks.cells import CELLS, CellKind
from rnn_exp.networks.network import Network, Refusal
from rnn_exp.randomness import generator
from rnn_exp.registry import Registry
from rnn_exp.shapes import Float

__all__ = [
    "INITS",
    "PLAIN",
    "Init",
    "Shapes",
    "normal",
    "own_parameters",
    "radius",
    "torch_default",
    "with_recurrent",
    "without_biases",
]

Shapes = dict[str, tuple[int, ...]]
"""The shape of every parameter of one run under torch's names."""

PLAIN = CELLS["rnn"]


@dataclasses.dataclass(frozen=True)
class Init(abc.ABC):
    """Draws named parameters; its fields say what they accept.

    What an init can and cannot do is asked of it: which networks it refuses, which gain the mean
    field may reckon with, whether its W_hh is orthogonal.

    Args:
        readout_scale: what the weights of the read-out are multiplied by, its bias not.

    Raises:
        SettingError: for a setting that is not allowed.
    """

    name: ClassVar[str]
    is_orthogonal: ClassVar[bool] = False
    """Whether W_hh is an orthogonal matrix times the gain."""
    needs_matrix: ClassVar[bool] = True
    """Whether it makes no sense for a cell that has no W_hh."""
    _: dataclasses.KW_ONLY
    readout_scale: float = number(1.0, least=0, short="readout")

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    @abc.abstractmethod
    def draw(self, shapes: Shapes, seed: int, cell: CellKind = PLAIN) -> dict[str, Tensor]:
        """Draw all parameters.

        Args:
            shapes: the shape of every parameter under torch's names.
            seed: the run's seed; every matrix has a generator of its own.
            cell: the kind of cell, which says where its gates are.

        Returns:
            A tensor for each name.
        """

    def weights(self, network: Network, shapes: Shapes, seed: int) -> dict[str, Tensor]:
        """Return all parameters of a network: as drawn, with the read-out scaled.

        Biases that it has not are 0, and what is drawn beside them is what torch draws without.

        Args:
            network: what the network is.
            shapes: the shape of every parameter under torch's names.
            seed: the run's seed.
        """
        there = {name: shape for name, shape in shapes.items() if network.has(name)}
        drawn = self.draw(there, seed, network.kind)
        if self.readout_scale != 1:
            drawn["readout.weight"] = drawn["readout.weight"].double() * self.readout_scale
        return {
            name: drawn[name] if name in there else torch.zeros(shape)
            for name, shape in shapes.items()
        }

    def for_length(self, length: int) -> "Init":
        """Return the init with what it takes from the task's length filled in.

        Args:
            length: L, the nominal length of the task, in time steps.

        Raises:
            SettingError: for a length that is too short for it.
        """
        del length
        return self

    def refusals(self, network: Network, output_size: int) -> Iterator[Refusal]:
        """Yield why this init makes no sense for a network: key, value, what is allowed.

        Args:
            network: what the network is.
            output_size: numbers that the task wants as an answer.
        """
        del network, output_size
        yield from ()

    def mean_field_gain(self, W: Float[Tensor, "n n"]) -> float | None:
        """Return the gain g for which W has variance g²/n; None: the mean field does not apply.

        Args:
            W: the matrix that was drawn; in a gated cell, the block of one gate.
        """
        del W
        return None

    @property
    def critical_scale(self) -> float | None:
        """The multiple of the critical gain that W_hh is to be scaled to; None: not at all."""
        return None

    def edge_error(self, why: str) -> SettingError:
        """Return the refusal of a network for which theory finds no critical gain."""
        return SettingError("init", self.name, f"another init: {why}")

    def drive_error(self, why: str) -> SettingError:
        """Return the refusal of inputs so strong that no critical gain is known for them."""
        return SettingError("init", self.name, f"another init: {why}")


INITS: Registry[type[Init]] = Registry("init")


def normal(n: int, draw: torch.Generator) -> Float[Tensor, "n n"]:
    """Return independent N(0, 1)."""
    return torch.empty(n, n, dtype=torch.float64).normal_(generator=draw)


def without_biases(init: Init, network: Network) -> Iterator[Refusal]:
    """Yield that an init that is about biases makes no sense for a network without.

    Args:
        init: the init.
        network: what the network is.
    """
    if not network.bias:
        yield "network.bias", as_typed(False), f"true with init={init.name}, which sets biases"


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


def own_parameters(network: Network, shapes: Shapes, seed: int) -> dict[str, Tensor]:
    """Return the parameters that a cell draws itself (`CellKind.own_draw`), under torch's names.

    Args:
        network: what the network is.
        shapes: the shape of every parameter.
        seed: the run's seed; every layer has a generator of its own.

    Raises:
        ValueError: for a parameter that there is not, or of another shape.
    """
    result: dict[str, Tensor] = {}
    kind, draw = network.kind, network.kind.own_draw
    if draw is None:
        return result
    for depth in range(network.num_layers):
        end = f"_l{depth}"
        own = {
            name.removesuffix(end): shape for name, shape in shapes.items() if name.endswith(end)
        }
        for name, value in draw(own, generator(seed, f"cell{end}")).items():
            if tuple(value.shape) != own.get(name):
                raise ValueError(
                    f"the cell {kind.name} draws {name} of shape {tuple(value.shape)}; "
                    f"its parameters are {own}"
                )
            result[f"{name}{end}"] = value
    return result


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
