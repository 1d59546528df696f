r"""What a cell is: how a layer's states come about, and how the gradient goes back through them.

All tensors are (time, run, batch, …). ``gates`` is the number of pre-activations a unit has: 1 for
the plain recurrence, 3 for a GRU, 4 for an LSTM; W_hh has gates · n rows, in torch's order.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from rnn_exp.shapes import Float

__all__ = ["Adjoint", "Cell", "LayerWeights", "Trace"]


class LayerWeights(NamedTuple):
    """The parameters of one layer, for every run, as torch names them."""

    weight_ih: Float[Tensor, "run gates_hidden input"]
    weight_hh: Float[Tensor, "run gates_hidden hidden"]
    bias_ih: Float[Tensor, "run gates_hidden"]
    bias_hh: Float[Tensor, "run gates_hidden"]

    def of_inputs_and_one(self) -> Float[Tensor, "run gates_hidden inputs_and_one"]:
        """Return V with both biases as its last column, for inputs with a 1 behind them."""
        bias = (self.bias_ih + self.bias_hh).unsqueeze(-1)
        return torch.cat([self.weight_ih, bias], dim=-1)


class Trace(NamedTuple):
    """What the forward pass leaves: h_1…h_T, h_0…h_{T-1} (one memory), and what the cell kept.

    Every tensor in ``kept`` has time as its first axis; only the cell itself knows what they are.
    """

    now: Float[Tensor, "time run batch hidden"]
    before: Float[Tensor, "time run batch hidden"]
    kept: tuple[Tensor, ...] = ()

    def between(self, start: int, stop: int) -> "Trace":
        """Return the trace of time steps start + 1 … stop."""
        kept = tuple(tensor[start:stop] for tensor in self.kept)
        return Trace(self.now[start:stop], self.before[start:stop], kept)


class Adjoint(NamedTuple):
    """What the adjoint pass yields: total gradients, and the gradients of the parameters.

    ``total`` is ∂L/∂h_t and ``memory`` is ∂L/∂c_t (None: the cell has no c).
    """

    total: Float[Tensor, "time run batch hidden"]
    memory: Float[Tensor, "time run batch hidden"] | None
    weights: LayerWeights
    inputs: Float[Tensor, "time run batch input"] | None


@runtime_checkable
class Cell(Protocol):
    """One kind of layer."""

    @property
    def gates(self) -> int:
        """Pre-activations a unit has: W_hh has gates · n rows, in torch's order."""
        ...

    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
    ) -> Trace:
        """Return the states h_1…h_T from h_0."""
        ...

    def adjoint(
        self,
        direct: Float[Tensor, "last run batch hidden"],
        trace: Trace,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        *,
        inputs_wanted: bool = False,
    ) -> Adjoint:
        """Return the total gradients and those of the parameters.

        ``direct`` is ∂L/∂h_t other than through later time steps, of the *last* steps, as many as
        it has; before them it is 0.
        """
        ...

    def deltas(self, trace: Trace, found: Adjoint) -> Float[Tensor, "time run batch gates_hidden"]:
        """Return ∂L/∂(W_hh h_{t-1} + b_hh): their outer products with h_{t-1} sum to ∂L/∂W_hh."""
        ...

    def saturation(self, trace: Trace) -> Float[Tensor, "time run"]:
        """Return the mean of φ' over batch, units and gates: the smaller, the more saturated."""
        ...
