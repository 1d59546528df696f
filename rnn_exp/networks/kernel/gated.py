"""The passes of cells with gates by kernels (see `passes`)."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells.lstm import TORCHS_ORDER, Kept, inside, ordered
from rnn_exp.networks.cells.values import Adjoint, LayerWeights, Totals, Trace
from rnn_exp.networks.kernel.blocks import empty
from rnn_exp.networks.kernel.gru import gru_adjoint, gru_forward
from rnn_exp.networks.kernel.lstm import lstm_adjoint, lstm_forward
from rnn_exp.networks.kernel.measures import gru_measures, lstm_measures
from rnn_exp.networks.kernel.memory import (
    begun,
    handed,
    room,
    rows_of,
    spare_room,
    stretch_length,
    widened,
    with_direct,
)
from rnn_exp.networks.kernel.passes import Passes
from rnn_exp.shapes import Float

__all__ = ["GRUPasses", "LSTMPasses"]

_N_FIRST, _TORCHS = (2, 0, 1), (1, 2, 0)
"""The order of a GRU's gates that read the inputs: in the kernel n, r, z; in torch r, z, n."""
_Sizes = tuple[int, int, int, int, int, int, int, int]
"""R, T, B, inputs, units, row, the first step with a direct part, and the steps of a stretch."""


class _Rooms(NamedTuple):
    """Room for what the adjoint of a layer with gates finds, and for what it works with.

    Args:
        handed_on: δ of four gates, and what skips W, of the step after the last; then of the first.
        of_x: rows for the gradient of the inputs; none: it is not wanted.
        of_inputs: what is seen of it.
        spare: room for δ of a stretch and for a product, and zeros.
        found: ∂L/∂W by gates, ∂L/∂V by inputs, ∂L/∂b of four gates.
    """

    handed_on: tuple[Tensor, Tensor]
    of_x: Tensor
    of_inputs: Tensor | None
    spare: tuple[Tensor, Tensor, Tensor]
    found: tuple[Tensor, Tensor, Tensor]

    @classmethod
    def of(
        cls, like: Tensor, later: Sequence[Tensor], sizes: _Sizes, gates: int, with_inputs: bool
    ) -> "_Rooms":
        """Return room for an adjoint of so many gates that read the inputs."""
        R, T, B, inputs, H, row, _, stretch = sizes
        handed_on = like.new_zeros(R, B, 4, row), like.new_zeros(R, B, row)
        for mine, given in zip(handed_on, later, strict=False):
            mine.copy_(given)
        of_x, of_inputs = room(like, R, T if with_inputs else 0, B, inputs)
        spare = spare_room(like, (stretch + 1, B, 4 * row), (max(H, gates * inputs), row), of_x)
        shapes = (R, gates * H, row), (R, inputs, gates, row), (R, 4, row)
        of_W, of_V, of_b = (like.new_empty(*shape) for shape in shapes)
        own = of_inputs if with_inputs else None
        return cls(handed_on, of_x, own, spare, (of_W, of_V, of_b))

    def all(self) -> tuple[Tensor, ...]:
        """Return what is handed on, the spare room, and what is found, as kernels take them."""
        return *self.handed_on, *self.spare, *self.found, self.of_x


class LSTMPasses(Passes):
    """Those of an LSTM."""

    gates: ClassVar[int] = 4

    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None,
    ) -> Trace:
        """Return the trace of an LSTM, of whose last gate the candidate itself is kept."""
        (T, R, B, inputs), H = x.shape, weights.weight_hh.shape[-1]
        c_0 = torch.zeros_like(initial) if before is None else Kept(*before.kept).c[-1]
        (S, states), (C, cells) = begun(initial, T), begun(c_0, T)
        squashed, tanh_c = room(initial, R, T, B, H)
        row = S.shape[-1]
        U = empty(initial, R, T, B, 4, row)
        V, W = inside(weights)
        of_x = _transposed_gates(V, row, 4)
        matrices = of_x[:, :-1].contiguous(), of_x[:, -1].contiguous(), _transposed_gates(W, row, 4)
        sizes = R, T, B, inputs, H, row
        own = rows_of(x)
        given = handed(x.dtype, own.values, *matrices, S, C, U, squashed)
        lstm_forward(*given, (own.run, own.row), sizes)
        kept = Kept(U[..., :H].transpose(0, 1), cells[1:], cells[:-1], tanh_c)
        return Trace(states[1:], states[:-1], kept)

    def adjoint(
        self,
        direct: Float[Tensor, "last run batch hidden"],
        trace: Trace,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        with_inputs: bool,
        later: Sequence[Tensor],
    ) -> Adjoint:
        """Return the adjoint of an LSTM, which hands on δ (run, batch, gate, row) and f ∂L/∂c."""
        (T, R, B, H), inputs, kept = trace.states.shape, x.shape[-1], Kept(*trace.kept)
        (G, total), (M, memory) = with_direct(direct, T), room(direct, R, T, B, H)
        row = G.shape[-1]
        sizes = R, T, B, inputs, H, row, T - len(direct), stretch_length(T, B, row)
        rooms, (V, W) = _Rooms.of(direct, later, sizes, 4, with_inputs), inside(weights)
        V = widened(V[..., :-1]) if with_inputs else rooms.of_x
        whole = trace.previous_states, kept.c_before, _whole_gates(kept.gates, row), kept.tanh_c
        steps = rows_of(x), *(rows_of(one, whole_vectors=True) for one in whole)
        in_row = rooms.of_x.shape[-1] * with_inputs
        read = *(one.values for one in steps), widened(W), V
        lstm_adjoint(
            *handed(G.dtype, *read, G, M, *rooms.all()),
            (*(one.run for one in steps), steps[0].row, in_row),
            sizes,
        )
        of_W, of_V, of_b = rooms.found
        bias = ordered(of_b[..., :H].flatten(1), TORCHS_ORDER)
        own_V = ordered(of_V[..., :H].flatten(2).transpose(1, 2), TORCHS_ORDER)
        gradients = LayerWeights(own_V, ordered(of_W[..., :H], TORCHS_ORDER), bias, bias)
        return Adjoint(total, memory, gradients, rooms.of_inputs, rooms.handed_on)

    def read(self, trace: Trace, totals: Totals, row: int) -> tuple[Tensor, ...]:
        """Return h_t, h_{t-1}, c_{t-1}, the gates, tanh c, ∂L/∂h_t and ∂L/∂c_t.

        Raises:
            ValueError: if the adjoint is that of another cell.
        """
        if totals.memory is None:
            raise ValueError("the adjoint is of another cell: an LSTM's has ∂L/∂c_t")
        states, kept = (trace.states, trace.previous_states), Kept(*trace.kept)
        gates = _whole_gates(kept.gates, row)
        return *states, kept.c_before, gates, kept.tanh_c, totals.total, totals.memory

    def measure(self, *given: Any) -> None:  # noqa: ANN401
        """Fill in what is recorded."""
        lstm_measures(*given)


class GRUPasses(Passes):
    """Those of a GRU."""

    gates: ClassVar[int] = 3

    def forward(
        self,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        initial: Float[Tensor, "run batch hidden"],
        before: Trace | None,
    ) -> Trace:
        """Return the trace of a GRU; one tensor is kept: n, r, z, m."""
        del before
        (T, R, B, inputs), H = x.shape, weights.weight_hh.shape[-1]
        S, states = begun(initial, T)
        row = S.shape[-1]
        U = empty(initial, R, T, B, 4, row)
        of_x = _transposed_gates(ordered(weights.weight_ih, _N_FIRST), row, 3)
        before_n, of_m = weights.bias_ih + weights.bias_hh, weights.bias_hh[:, 2 * H :]
        before_n[:, 2 * H :] = weights.bias_ih[:, 2 * H :]
        bias = torch.cat([ordered(before_n, _N_FIRST), of_m], dim=1).unsqueeze(-1)
        matrices = (
            of_x,
            _transposed_gates(bias, row, 4),
            _transposed_gates(weights.weight_hh, row, 3),
        )
        sizes = R, T, B, inputs, H, row
        own = rows_of(x)
        given = handed(x.dtype, own.values, *matrices, S, U)
        gru_forward(*given, (own.run, own.row), sizes)
        return Trace(states[1:], states[:-1], (U[..., :H].transpose(0, 1),))

    def adjoint(
        self,
        direct: Float[Tensor, "last run batch hidden"],
        trace: Trace,
        x: Float[Tensor, "time run batch input"],
        weights: LayerWeights,
        with_inputs: bool,
        later: Sequence[Tensor],
    ) -> Adjoint:
        """Return the adjoint of a GRU, which hands on δ (run, batch, 4, row) and z ∂L/∂h."""
        (T, R, B, H), inputs = trace.states.shape, x.shape[-1]
        G, total = with_direct(direct, T)
        row = G.shape[-1]
        sizes = R, T, B, inputs, H, row, T - len(direct), stretch_length(T, B, row)
        rooms = _Rooms.of(direct, later, sizes, 3, with_inputs)
        V = widened(ordered(weights.weight_ih, _N_FIRST)) if with_inputs else rooms.of_x
        whole = trace.previous_states, _whole_gates(trace.kept[0], row)
        steps = rows_of(x), *(rows_of(one, whole_vectors=True) for one in whole)
        in_row = rooms.of_x.shape[-1] * with_inputs
        read = *(one.values for one in steps), widened(weights.weight_hh), V
        gru_adjoint(
            *handed(G.dtype, *read, G, *rooms.all()),
            (*(one.run for one in steps), steps[0].row, in_row),
            sizes,
        )
        of_W, of_V, of_b = rooms.found
        own_V = ordered(of_V[..., :H].flatten(2).transpose(1, 2), _TORCHS)
        biases = (of_b[:, gates, :H].flatten(1) for gates in ([1, 2, 0], [1, 2, 3]))
        gradients = LayerWeights(own_V, of_W[..., :H], *biases)
        return Adjoint(total, None, gradients, rooms.of_inputs, rooms.handed_on)

    def read(self, trace: Trace, totals: Totals, row: int) -> tuple[Tensor, ...]:
        """Return h_t, h_{t-1}, the gates n, r, z, m, and ∂L/∂h_t."""
        states, gates = (trace.states, trace.previous_states), _whole_gates(trace.kept[0], row)
        return *states, gates, totals.total

    def measure(self, *given: Any) -> None:  # noqa: ANN401
        """Fill in what is recorded."""
        gru_measures(*given)


def _transposed_gates(
    blocks: Tensor, row: int, gates: int
) -> Float[Tensor, "run columns gates row"]:
    """Return the transposed blocks of gates side by side, each filled up to a row."""
    R, rows, columns = blocks.shape
    made = blocks.new_zeros(R, columns, gates, row)
    own = blocks.reshape(R, gates, rows // gates, columns)
    made[..., : rows // gates] = own.permute(0, 3, 1, 2)
    return made


def _whole_gates(gates: Float[Tensor, "time run batch 4 hidden"], row: int) -> Tensor:
    """Return gates as rows with what fills them up; a view, if they lie in a kernel's memory."""
    T, R, B, _, H = gates.shape
    if gates.stride()[-2:] == (row, 1):
        return gates.as_strided((T, R, B, 4 * row), (*gates.stride()[:3], 1))
    return torch.nn.functional.pad(gates, (0, row - H)).flatten(-2)
