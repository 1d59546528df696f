r"""What goes in and out of a layer's passes: parameters, states, gradients, Jacobians.

All tensors are (time, run, batch, …), those of parameters (run, …).
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from rnn_exp.shapes import Float

__all__ = [
    "TORCHS",
    "Adjoint",
    "Jacobian",
    "LayerWeights",
    "StepBack",
    "Totals",
    "Trace",
]

TORCHS: Final = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""The names that torch gives the parameters of a layer, in its order."""


class LayerWeights(tuple[Tensor, ...]):
    """The parameters of one layer, for every run: (run, …) each, and the name of each.

    Args:
        tensors: in the order of the names.
        names: torch's four, or those of a cell that has parameters of its own.
    """

    names: tuple[str, ...]

    def __new__(cls, *tensors: Tensor, names: Sequence[str] = TORCHS) -> "LayerWeights":  # noqa: D102
        if len(tensors) != len(names):
            raise TypeError(f"{len(tensors)} parameters cannot be {', '.join(names)}")
        made = super().__new__(cls, tensors)
        made.names = tuple(names)
        return made

    @property
    def weight_ih(self) -> Float[Tensor, "run gates_hidden input"]:
        """V."""
        return self[self.names.index("weight_ih")]

    @property
    def weight_hh(self) -> Float[Tensor, "run gates_hidden hidden"]:
        """W_hh."""
        return self[self.names.index("weight_hh")]

    @property
    def bias_ih(self) -> Float[Tensor, "run gates_hidden"]:
        """The bias beside V."""
        return self[self.names.index("bias_ih")]

    @property
    def bias_hh(self) -> Float[Tensor, "run gates_hidden"]:
        """The bias beside W_hh."""
        return self[self.names.index("bias_hh")]

    def named(self) -> dict[str, Tensor]:
        """Return the parameters by name."""
        return dict(zip(self.names, self, strict=True))

    def each(self, change: Callable[[Tensor], Tensor]) -> "LayerWeights":
        """Return the parameters with every one of them changed."""
        return LayerWeights(*map(change, self), names=self.names)

    def _replace(self, **changed: Tensor) -> "LayerWeights":
        """Return the parameters with some of them replaced, as a NamedTuple does."""
        named = self.named() | changed
        return LayerWeights(*named.values(), names=tuple(named))

    def input_weights_with_bias(self) -> Float[Tensor, "run gates_hidden inputs_and_one"]:
        """Return V with both biases as its last column, for inputs with a 1 behind them."""
        bias = (self.bias_ih + self.bias_hh).unsqueeze(-1)
        return torch.cat([self.weight_ih, bias], dim=-1)


class Trace(NamedTuple):
    """What a layer's forward pass leaves.

    Args:
        states: h_1…h_T.
        previous_states: h_0…h_{T-1}; the same memory as ``states``, one step earlier.
        kept: what the cell needs for its adjoint; every tensor has time, run and batch as its first
            axes, and only the cell itself knows what they are.
    """

    states: Float[Tensor, "time run batch hidden"]
    previous_states: Float[Tensor, "time run batch hidden"]
    kept: tuple[Tensor, ...] = ()

    def between(self, start: int, stop: int) -> "Trace":
        """Return the trace of time steps start + 1 … stop."""
        if (start, stop) == (0, self.states.shape[0]):
            return self
        kept = tuple(tensor[start:stop] for tensor in self.kept)
        return Trace(self.states[start:stop], self.previous_states[start:stop], kept)

    def last_step(self) -> "Trace":
        """Return a copy of the trace of the last time step, from which a forward pass can go on."""
        kept = tuple(tensor[-1:].clone() for tensor in self.kept)
        return Trace(self.states[-1:].clone(), self.previous_states[-1:].clone(), kept)

    def of_runs(self, places: list[int]) -> "Trace":
        """Return a copy of the trace of some runs."""
        kept = tuple(tensor[:, places] for tensor in self.kept)
        return Trace(self.states[:, places], self.previous_states[:, places], kept)

    def each(self, change: Callable[[Tensor], Tensor]) -> "Trace":
        """Return the trace with every tensor changed."""
        kept = tuple(map(change, self.kept))
        return Trace(change(self.states), change(self.previous_states), kept)

    def double(self) -> "Trace":
        """Return the trace in float64."""
        return self.each(Tensor.double)


class Adjoint(NamedTuple):
    """What a layer's adjoint pass yields.

    Args:
        total: ∂L/∂h_t through all later time steps.
        memory: ∂L/∂c_t; None: the cell has no c.
        weights: the gradients of the layer's parameters.
        inputs: ∂L/∂x_t; None: they were not asked for.
        earlier: what the first time step hands on to those before it; only the cell itself knows
            what that is.
    """

    total: Float[Tensor, "time run batch hidden"]
    memory: Float[Tensor, "time run batch hidden"] | None
    weights: LayerWeights
    inputs: Float[Tensor, "time run batch input"] | None
    earlier: tuple[Tensor, ...] = ()


@runtime_checkable
class Totals(Protocol):
    """What a step's δ are made of: an `Adjoint`, or the same gradients from elsewhere."""

    @property
    def total(self) -> Float[Tensor, "time run batch hidden"]:
        """∂L/∂h_t through all later time steps."""
        ...

    @property
    def memory(self) -> Float[Tensor, "time run batch hidden"] | None:
        """∂L/∂c_t; None: the cell has no c."""
        ...


class StepBack(NamedTuple):
    """What time steps hand back, each to the one before it.

    Args:
        total: ∂L/∂h_{t-1} through step t.
        carried: ∂L/∂c_{t-1} other than through h_{t-1}; None: the cell has no c.
        memory: ∂L/∂c_t; None: the cell has no c.
        inputs: ∂L/∂x_t; None: they were not asked for.
    """

    total: Float[Tensor, "time run batch hidden"]
    carried: Float[Tensor, "time run batch hidden"] | None
    memory: Float[Tensor, "time run batch hidden"] | None
    inputs: Float[Tensor, "time run batch input"] | None


class Jacobian(NamedTuple):
    r"""How a step back acts on the gradient δ_t by what the cell carries from step to step.

    What is carried is h, and in a cell that has one the memory c. Wherever there is no direct part

        δ_{t-1} = keep_t ⊙ δ_t + outer_{t-1} ⊙ Σ_gates W_gateᵀ (factor_{gate,t} ⊙ δ_t).

    Args:
        keep: what is carried over as it is.
        factors: of each block of W_hh, in its order; None: the block has no part in it.
        outer: what the gradient by h_t is multiplied by on its way into what is carried; None: 1.
    """

    keep: Float[Tensor, "time run batch hidden"]
    factors: tuple[Float[Tensor, "time run batch hidden"] | None, ...]
    outer: Float[Tensor, "time run batch hidden"] | None = None

    def last(self, steps: int) -> "Jacobian":
        """Return what is known of the last time steps."""
        factors = tuple(None if factor is None else factor[-steps:] for factor in self.factors)
        outer = None if self.outer is None else self.outer[-steps:]
        return Jacobian(self.keep[-steps:], factors, outer)
