r"""What a cell is: how a layer's states come about, and how the gradient goes back through them.

All tensors are (time, run, batch, …). A cell is described (`CellKind`: a word, and what such a
cell can and cannot do) apart from what computes it (`Cell`). W_hh of a cell with several gates is
a stack of one (hidden, hidden) block a gate, in torch's order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from rnn_exp.networks.cells.activations import Activation
from rnn_exp.registry import Registry
from rnn_exp.shapes import Float

__all__ = [
    "CELLS",
    "Adjoint",
    "Cell",
    "CellKind",
    "Jacobian",
    "LayerWeights",
    "StepBack",
    "Totals",
    "Trace",
]


class LayerWeights(NamedTuple):
    """The parameters of one layer, for every run, as torch names them."""

    weight_ih: Float[Tensor, "run gates_hidden input"]
    weight_hh: Float[Tensor, "run gates_hidden hidden"]
    bias_ih: Float[Tensor, "run gates_hidden"]
    bias_hh: Float[Tensor, "run gates_hidden"]

    def input_weights_with_bias(self) -> Float[Tensor, "run gates_hidden inputs_and_one"]:
        """Return V with both biases as its last column, for inputs with a 1 behind them."""
        bias = (self.bias_ih + self.bias_hh).unsqueeze(-1)
        return torch.cat([self.weight_ih, bias], dim=-1)


class Trace(NamedTuple):
    """What a layer's forward pass leaves.

    Args:
        states: h_1…h_T.
        previous_states: h_0…h_{T-1}; the same memory as ``states``, one step earlier.
        kept: what the cell needs for its adjoint; every tensor has time and run as its first axes,
            and only the cell itself knows what they are.
    """

    states: Float[Tensor, "time run batch hidden"]
    previous_states: Float[Tensor, "time run batch hidden"]
    kept: tuple[Tensor, ...] = ()

    def between(self, start: int, stop: int) -> "Trace":
        """Return the trace of time steps start + 1 … stop."""
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

    def double(self) -> "Trace":
        """Return the trace in float64."""
        kept = tuple(tensor.double() for tensor in self.kept)
        return Trace(self.states.double(), self.previous_states.double(), kept)


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


@runtime_checkable
class Cell(Protocol):
    """What computes one kind of layer."""

    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None = None,
    ) -> Trace:
        """Return the states h_1…h_T.

        Args:
            x: the inputs x_1…x_T.
            weights: the layer's parameters.
            initial: h_0.
            before: the trace of the time steps before x_1, the last state of which is h_0; what
                else is carried from step to step goes on from there. None: there are none.
        """
        ...

    def adjoint(
        self,
        direct: Float[Tensor, "last run batch hidden"],
        trace: Trace,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        *,
        with_inputs: bool = False,
        later: tuple[Tensor, ...] = (),
    ) -> Adjoint:
        """Return the total gradients and those of the parameters.

        Args:
            direct: ∂L/∂h_t other than through later time steps, of the *last* steps, as many as it
                has; before them it is 0.
            trace: what the forward pass has left.
            x: the inputs of that pass.
            weights: the layer's parameters.
            with_inputs: whether the gradient of the inputs is wanted.
            later: what the adjoint of the time steps after these has handed on (``earlier``);
                empty: there are none.
        """
        ...

    def step_back(
        self,
        total: Float[Tensor, "time run batch hidden"],
        carried: Float[Tensor, "time run batch hidden"] | None,
        trace: Trace,
        weights: LayerWeights,
        with_inputs: bool,
    ) -> StepBack:
        """Go back through time steps, each on its own: the adjoint, where a caller walks the time.

        Args:
            total: ∂L/∂h_t, complete.
            carried: ∂L/∂c_t other than through h_t; None: the cell has no c.
            trace: of the same time steps.
            weights: the layer's parameters.
            with_inputs: whether the gradient of the inputs is wanted.
        """
        ...

    def deltas(self, trace: Trace, adjoint: Totals) -> Float[Tensor, "time run batch gates_hidden"]:
        """Return ∂L/∂(W_hh h_{t-1} + b_hh): their outer products with h_{t-1} sum to ∂L/∂W_hh."""
        ...

    def saturation(self, trace: Trace) -> Float[Tensor, "time run"]:
        """Return the mean of φ' over batch, units and gates: the smaller, the more saturated."""
        ...

    def jacobian(self, trace: Trace) -> Jacobian | None:
        """Return what a step back does to the gradient; None: theory has nothing to go by.

        A class that is derived from this one has no theory unless it says otherwise.

        Args:
            trace: what the forward pass has left.
        """
        del trace
        return None

    def step_bound(self, largest_singular_value: float) -> float | None:
        """Return a bound on ‖∂L/∂h_{t-1}‖ / ‖∂L/∂h_t‖ where only the last step has a direct part.

        Args:
            largest_singular_value: σ_max(W_hh).

        Returns:
            The bound, exact for every network and sequence; None: no such bound is known. Below 1
            it is sufficient for vanishing; above 1 it is only necessary for exploding.
        """
        ...


@dataclass(frozen=True)
class CellKind:
    """What a word of ``network.cell`` stands for, and what such a cell can and cannot do.

    Args:
        name: the word.
        build: what computes it, from the activation and the setting ``network.leak``; or, where it
            has settings of its own, from the activation and these.
        gates: pre-activations a unit has: W_hh has so many blocks of rows.
        candidate: the block of W_hh that makes the candidate for the new state; its spectrum is
            the one that is recorded.
        forget_gate: the block of the gate that keeps the old state when it is 1; None: there is
            none.
        input_gate: the block of the gate that lets new content in; None: there is none, or it is
            one minus the forget gate.
        only_activation: the word of the only activation it can have; None: any.
        has_memory: whether it has a memory c beside the state h.
        kept: how many numbers a unit keeps for its adjoint beside its state (`Trace.kept`).
        kept_with_input: the same with an activation whose slope needs its pre-activation.
        has_leak: whether it takes ``network.leak``.
        no_edge: why there is no gain at which its gradient keeps its size: a clause; None: there
            may be one.
        is_plain: whether it is h_t = φ(W h_{t-1} + V x_t + b), for which the mean field, the
            Lyapunov exponents and the regulariser Ω are written.
        torch_module: the name of torch's module of this kind; None: torch has none.
        options: the frozen dataclass of its own settings, which are ``network.…``; None: none.
    """

    name: str
    build: Callable[[Activation, Any], Cell]
    gates: int = 1
    candidate: int = 0
    forget_gate: int | None = None
    input_gate: int | None = None
    only_activation: str | None = None
    has_memory: bool = False
    kept: int = 0
    kept_with_input: int = 0
    has_leak: bool = False
    no_edge: str | None = None
    is_plain: bool = False
    torch_module: str | None = None
    options: type | None = None

    def kept_numbers(self, activation: Activation) -> int:
        """Return how many numbers a unit keeps for its adjoint beside its state."""
        return self.kept_with_input if activation.needs_input else self.kept

    @property
    def gated(self) -> bool:
        """Whether W_hh is a stack of gates and no square matrix."""
        return self.gates > 1

    def candidate_block(
        self, weight_hh: Float[Tensor, "run gates_hidden hidden"]
    ) -> Float[Tensor, "run hidden hidden"]:
        """Return the block of W_hh that makes the candidate for the new state."""
        n = weight_hh.shape[-1]
        return weight_hh[:, self.candidate * n : (self.candidate + 1) * n]


CELLS: Registry[CellKind] = Registry("cell")
