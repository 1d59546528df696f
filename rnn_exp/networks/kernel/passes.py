"""The two passes of a layer by kernels, and what measures them: tensors in, tensors out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from torch import Tensor

from rnn_exp.networks.cells.values import Adjoint, LayerWeights, Totals, Trace
from rnn_exp.networks.kernel.elman import elman_adjoint, elman_forward
from rnn_exp.networks.kernel.measures import elman_measures
from rnn_exp.networks.kernel.memory import (
    handed,
    room,
    rows_of,
    side_by_side,
    stretch_length,
)
from rnn_exp.shapes import Float

__all__ = ["ElmanPasses", "Passes"]


class Passes(ABC):
    """The two passes of a kind of layer, as `Cell` has them, and what measures them."""

    gates: ClassVar[int] = 1
    """Numbers of δ a unit."""

    @abstractmethod
    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None,
    ) -> Trace:
        """Return what `Cell.forward` does; the arguments are the same."""

    @abstractmethod
    def adjoint(
        self,
        direct: Float[Tensor, "last run batch hidden"],
        trace: Trace,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        with_inputs: bool,
        later: Sequence[Tensor],
    ) -> Adjoint:
        """Return what `Cell.adjoint` does; the arguments are the same."""

    @abstractmethod
    def read(self, trace: Trace, totals: Totals, row: int) -> tuple[Tensor, ...]:
        """Return what `measure` reads of the passes.

        Args:
            trace: what the forward pass has left.
            totals: the gradients by its states.
            row: numbers of a row of units that is filled up.
        """

    @abstractmethod
    def measure(self, *given: Any) -> None:  # noqa: ANN401 - arrays and tuples of numbers
        """Fill in what is recorded; it is given what `measures.gru_measures` is."""


class ElmanPasses(Passes):
    """Those of the plain cell and of those that skip φ.

    Args:
        code: of the activation.
        keep: k, where the cell skips φ; None: it does not.
        add: a.
    """

    def __init__(self, code: int, keep: float | None = None, add: float = 1.0) -> None:
        self._kind = (code, keep is not None, keep or 0.0, add)

    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None,
    ) -> Trace:
        """Return what `Cell.forward` does; the arguments are the same."""
        del before
        (T, R, B, inputs), H = x.shape, weights.weight_hh.shape[-1]
        _, skips, _, _ = self._kind
        made, states = room(initial, R, T + 1, B, H)
        states[0] = initial
        of_values, values = room(initial, R, T, B, H) if skips else (made, made)
        row, own = made.shape[-1], rows_of(x)
        packed = initial.new_empty((inputs + H + 1) * row)
        named, between = zip(*map(side_by_side, weights), strict=True)
        given = handed(x.dtype, own.values, *named, packed, made, of_values)
        sizes = R, T, B, inputs, H, row
        elman_forward(*given, (own.run, *between, own.row), self._kind, sizes)
        return Trace(states[1:], states[:-1], (values,) if skips else ())

    def adjoint(
        self,
        direct: Float[Tensor, "last run batch hidden"],
        trace: Trace,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        with_inputs: bool,
        later: Sequence[Tensor],
    ) -> Adjoint:
        """Return what `Cell.adjoint` does; the arguments are the same."""
        (T, R, B, H), inputs = trace.states.shape, x.shape[-1]
        _, skips, _, _ = self._kind
        made, total = room(direct, R, T, B, H)
        row, known = made.shape[-1], T - len(direct)
        total[known:] = direct
        handed_on, stretch = direct.new_zeros(2, R, B, row), stretch_length(T, B, row)
        for place, given in enumerate(later):  # δ, and ∂L/∂h where it skips φ
            handed_on[place, ..., :H] = given
        of_x, of_inputs = room(direct, R, T, B, inputs) if with_inputs else (handed_on, None)
        in_row, found = of_x.shape[-1] * with_inputs, direct.new_empty(R * (H + inputs + 1) * row)
        most, longest = max(H, inputs), max(row, in_row)
        spare = direct.new_empty((stretch + 1) * B * row + (most + H) * row + H * in_row + longest)
        own, before = rows_of(x), rows_of(trace.previous_states, whole_vectors=True)
        source = rows_of(trace.kept[0] if skips else trace.states, whole_vectors=True)
        (W, W_run), (V, V_run) = side_by_side(weights.weight_hh), side_by_side(weights.weight_ih)
        read = own.values, before.values, source.values, W, V
        elman_adjoint(
            *handed(direct.dtype, *read, made, handed_on, spare, found, of_x),
            (own.run, before.run, source.run, W_run, V_run, own.row, in_row),
            self._kind,
            (R, T, B, inputs, H, row, known, stretch),
        )
        of_V, of_b = R * H * row, R * (H + inputs) * row
        bias = found.as_strided((R, H), (row, 1), of_b)
        own_V = found.as_strided((R, H, inputs), (inputs * row, 1, row), of_V)
        own_W = found.as_strided((R, H, H), (H * row, row, 1))
        gradients = LayerWeights(own_V, own_W, bias, bias)
        earlier = tuple([handed_on[place, ..., :H] for place in range(1 + skips)])
        return Adjoint(total, None, gradients, of_inputs, earlier)

    def read(self, trace: Trace, totals: Totals, row: int) -> tuple[Tensor, ...]:
        """Return h_t, h_{t-1}, φ(u_t) and ∂L/∂h_t."""
        del row
        values = trace.kept[0] if self._kind[1] else trace.states
        return trace.states, trace.previous_states, values, totals.total

    def measure(self, *given: Any) -> None:  # noqa: ANN401
        """Fill in what is recorded."""
        *first, sizes, found = given
        elman_measures(*first, self._kind, sizes, found)
