"""What is recorded of a layer's passes, where a cell finds it in a way of its own."""

from abc import ABC, abstractmethod
from typing import NamedTuple, Protocol, runtime_checkable

from torch import Tensor

from rnn_exp.networks.cells.values import LayerWeights, Totals, Trace
from rnn_exp.shapes import Float

__all__ = ["Measured", "Measures", "OwnContributions"]


class Measured(NamedTuple):
    """What is recorded of a layer's passes, in float64.

    Args:
        total: log10 ‖∂L/∂h_t‖ (Frobenius, over the batch).
        contribution: log10 ‖Σ_b δ_b h_bᵀ‖, of what a time step adds to ∂L/∂W_hh.
        saturation: the mean of φ' over batch, units and gates.
        states: ‖h_t‖.
        memory: log10 ‖∂L/∂c_t‖; None: the cell has no c.
    """

    total: Float[Tensor, "time run"]
    contribution: Float[Tensor, "time run"]
    saturation: Float[Tensor, "time run"]
    states: Float[Tensor, "time run"]
    memory: Float[Tensor, "time run"] | None


@runtime_checkable
class OwnContributions(Protocol):
    """A cell in which weights enter in such a way that there is no δ."""

    def contributions(
        self, trace: Trace, totals: Totals, weights: LayerWeights, name: str
    ) -> Float[Tensor, "time run ..."]:
        """Return what each time step adds to the gradient of one parameter.

        Args:
            trace: what the forward pass has left of these time steps.
            totals: the gradients by their states.
            weights: the layer's parameters.
            name: of the parameter.
        """
        ...


class Measures(ABC):
    """A cell that has a quicker way to what is recorded of its passes."""

    @abstractmethod
    def measured(self, trace: Trace, totals: Totals) -> Measured:
        """Return what is recorded of a layer's passes.

        Args:
            trace: what the forward pass has left.
            totals: the gradients by its states.
        """

    @abstractmethod
    def log10_norms(
        self, values: Float[Tensor, "time run batch hidden"]
    ) -> Float[Tensor, "time run"]:
        """Return log10 of the norms over batch and units, in float64."""
