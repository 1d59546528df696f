"""The two passes of a layer by kernels: tensors in, tensors out."""

from collections.abc import Sequence

from torch import Tensor

from rnn_exp.networks.cells.elman import Elman
from rnn_exp.networks.cells.gru import GRU
from rnn_exp.networks.cells.lstm import LSTM
from rnn_exp.networks.cells.skip import Skip
from rnn_exp.networks.cells.values import Adjoint, LayerWeights, Trace
from rnn_exp.networks.kernel.elman import elman_adjoint, elman_forward
from rnn_exp.networks.kernel.gated import gru_back, gru_states, lstm_back, lstm_states
from rnn_exp.networks.kernel.memory import (
    handed,
    room,
    rows_of,
    side_by_side,
    stretch_length,
)
from rnn_exp.schema import ACTIVATION_CODES
from rnn_exp.shapes import Float

__all__ = ["KernelCell", "adjoint", "forward", "kind_of"]

KernelCell = Elman | Skip | LSTM | GRU


def forward(
    cell: KernelCell,
    x: Float[Tensor, "time run batch input"],
    weights: LayerWeights,
    initial: Float[Tensor, "run batch hidden"],
    before: Trace | None,
) -> Trace:
    """Return what `Cell.forward` does; the arguments are the same."""
    if isinstance(cell, LSTM):
        return lstm_states(x, weights, initial, before)
    if isinstance(cell, GRU):
        return gru_states(x, weights, initial)
    (T, R, B, inputs), H = x.shape, weights.weight_hh.shape[-1]
    _, skips, _, _ = kind = kind_of(cell)
    made, states = room(initial, R, T + 1, B, H)
    states[0] = initial
    of_values, values = room(initial, R, T, B, H) if skips else (made, made)
    row, own = made.shape[-1], rows_of(x)
    packed = initial.new_empty((inputs + H + 1) * row)
    named, between = zip(*map(side_by_side, weights), strict=True)
    given = handed(x.dtype, own.values, *named, packed, made, of_values)
    sizes = R, T, B, inputs, H, row
    elman_forward(*given, (own.run, *between, own.row), kind, sizes)
    return Trace(states[1:], states[:-1], (values,) if skips else ())


def adjoint(
    cell: KernelCell,
    direct: Float[Tensor, "last run batch hidden"],
    trace: Trace,
    x: Float[Tensor, "time run batch input"],
    weights: LayerWeights,
    with_inputs: bool,
    later: Sequence[Tensor],
) -> Adjoint:
    """Return what `Cell.adjoint` does; the arguments are the same."""
    if isinstance(cell, LSTM):
        return lstm_back(direct, trace, x, weights, with_inputs, later)
    if isinstance(cell, GRU):
        return gru_back(direct, trace, x, weights, with_inputs, later)
    (T, R, B, H), inputs = trace.states.shape, x.shape[-1]
    _, skips, _, _ = kind = kind_of(cell)
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
        kind,
        (R, T, B, inputs, H, row, known, stretch),
    )
    of_V, of_b = R * H * row, R * (H + inputs) * row
    bias = found.as_strided((R, H), (row, 1), of_b)
    own_V = found.as_strided((R, H, inputs), (inputs * row, 1, row), of_V)
    own_W = found.as_strided((R, H, H), (H * row, row, 1))
    gradients = LayerWeights(own_V, own_W, bias, bias)
    earlier = tuple([handed_on[place, ..., :H] for place in range(1 + skips)])
    return Adjoint(total, None, gradients, of_inputs, earlier)


def kind_of(cell: Elman | Skip) -> tuple[int, bool, float, float]:
    """Return the activation's code, whether the cell skips φ, k and a."""
    code = ACTIVATION_CODES[cell.activation.name]
    return (code, True, cell.keep, cell.add) if isinstance(cell, Skip) else (code, False, 0.0, 1.0)
