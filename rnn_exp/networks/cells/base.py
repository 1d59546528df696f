r"""What a cell is: how a layer's states come about, and how the gradient goes back through them.

All tensors are (time, run, batch, …). A cell is described (`CellKind`: a word, and what such a
cell can and cannot do) apart from what computes it (`Cell`). W_hh of a cell with several gates is
a stack of one (hidden, hidden) block a gate, in torch's order.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from rnn_exp.networks.cells.activations import Activation
from rnn_exp.networks.cells.values import (
    TORCHS,
    Adjoint,
    Jacobian,
    LayerWeights,
    StepBack,
    Totals,
    Trace,
)
from rnn_exp.registry import Registry
from rnn_exp.shapes import Float

__all__ = [
    "CELLS",
    "TORCHS",
    "Adjoint",
    "Cell",
    "CellKind",
    "Jacobian",
    "LayerWeights",
    "StepBack",
    "Totals",
    "Trace",
]


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


Shape = tuple[int, ...]


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
        forget_gate: the block of the gate that keeps the old state when it is 1; None: no gate.
        input_gate: the block of the gate that lets new content in; None: there is none, or it is
            one minus the forget gate.
        only_activation: the word of the only activation it can have; None: any.
        takes_phi: whether it has an activation at all; an own step may have none.
        has_memory: whether it has a memory c beside the state h.
        kept: how many numbers a unit keeps for its adjoint beside its state (`Trace.kept`).
        kept_with_input: the same with an activation whose slope needs its pre-activation; None: the
            activation makes no difference to what is kept.
        has_leak: whether it takes ``network.leak``.
        no_edge: why there is no gain at which its gradient keeps its size: a clause; None: there
            may be one.
        is_plain: whether it is h_t = φ(W h_{t-1} + V x_t + b), for which the mean field, the
            Lyapunov exponents and the regulariser Ω are written.
        torch_module: the name of torch's module of this kind; None: torch has none.
        options: the frozen dataclass of its own settings, which are ``network.…``; None: none.
        is_bounded: whether its states are bounded where its activation is.
        recurrent: the name of the parameter through which h_{t-1} comes in: of which the gradient,
            its contributions and the change in training are recorded. ``weight_hh`` is a stack of
            one (hidden, hidden) block a gate; any other is no such matrix.
        own_shapes: the shape of every parameter by its name, from the numbers of units and inputs;
            None: torch's four.
        own_draw: draws parameters before training, from the shapes and a generator; what it does
            not return is the init's. None: all are.
    """

    name: str
    build: Callable[[Activation, Any], Cell]
    gates: int = 1
    candidate: int = 0
    forget_gate: int | None = None
    input_gate: int | None = None
    only_activation: str | None = None
    takes_phi: bool = True
    has_memory: bool = False
    kept: int = 0
    kept_with_input: int | None = None
    has_leak: bool = False
    no_edge: str | None = None
    is_plain: bool = False
    torch_module: str | None = None
    options: type | None = None
    is_bounded: bool = True
    recurrent: str = "weight_hh"
    own_shapes: Callable[[int, int], Mapping[str, Shape]] | None = None
    own_draw: Callable[[Mapping[str, Shape], torch.Generator], Mapping[str, Tensor]] | None = None

    def kept_numbers(self, activation: Activation) -> int:
        """Return how many numbers a unit keeps for its adjoint beside its state."""
        with_input = self.kept if self.kept_with_input is None else self.kept_with_input
        return with_input if activation.needs_input else self.kept

    @property
    def clears_kept(self) -> bool:
        """Whether what is kept of the steps after a sequence's end is set to 0, as its states are.

        It is where φ' is computed from it: of what has overflowed there φ' may be NaN.
        """
        return self.kept_with_input is not None

    @property
    def gated(self) -> bool:
        """Whether W_hh is a stack of gates and no square matrix."""
        return self.gates > 1

    @property
    def is_square(self) -> bool:
        """Whether W_hh is one square matrix."""
        return self.has_matrix and not self.gated

    @property
    def not_square(self) -> str:
        """What W_hh is in its place, after the word that it belongs to."""
        if self.has_matrix:
            return "W_hh is a stack of gates, not a square matrix"
        return f"recurrent weights are {self.recurrent}, no matrix W_hh"

    @property
    def has_matrix(self) -> bool:
        """Whether there is a W_hh."""
        return self.recurrent == "weight_hh"

    def shapes(self, hidden: int, inputs: int) -> dict[str, Shape]:
        """Return the shape of every parameter of a layer, by its name.

        Args:
            hidden: units of the layer.
            inputs: numbers it reads a time step.

        Raises:
            ValueError: if there are no recurrent weights among them, or a W_hh that is none.
        """
        if self.own_shapes is not None:
            found = dict(self.own_shapes(hidden, inputs))
            if self.recurrent not in found:
                raise ValueError(
                    f"the cell {self.name} has no {self.recurrent}: {', '.join(found)}"
                )
            wanted = (self.gates * hidden, hidden)
            if found.get("weight_hh", wanted) != wanted:
                raise ValueError(
                    f"weight_hh of the cell {self.name} is {found['weight_hh']}, not {wanted}: "
                    "give what is no stack of square matrices another name"
                )
            return found
        rows = self.gates * hidden
        return dict(zip(TORCHS, ((rows, inputs), (rows, hidden), (rows,), (rows,)), strict=True))

    def recurrent_size(self, hidden: int) -> int:
        """Return how many numbers the recurrent parameter of a layer is."""
        return math.prod(self.shapes(hidden, 1)[self.recurrent])

    def candidate_block(
        self, weight_hh: Float[Tensor, "run gates_hidden hidden"]
    ) -> Float[Tensor, "run hidden hidden"]:
        """Return the block of W_hh that makes the candidate for the new state."""
        n = weight_hh.shape[-1]
        return weight_hh[:, self.candidate * n : (self.candidate + 1) * n]


CELLS: Registry[CellKind] = Registry("cell")
