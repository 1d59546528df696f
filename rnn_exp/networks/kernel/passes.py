"""The two passes of a layer by kernels: tensors in, tensors out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnn_exp.networks.cells.lstm import TORCHS_ORDER, Kept, inside, ordered
from rnn_exp.networks.cells.skip import Skip
from rnn_exp.networks.cells.values import Adjoint, LayerWeights, Trace
from rnn_exp.networks.kernel import lstm as kernel
from rnn_exp.networks.kernel.elman import elman_adjoint, elman_forward
from rnn_exp.networks.kernel.memory import (
    flat,
    room,
    rows_of,
    stretch_length,
    transposed,
    widened,
)
from rnn_exp.shapes import Float

__all__ = ["adjoint", "forward", "lstm_adjoint", "lstm_forward", "warm_up"]


@torch.inference_mode()
def forward(
    x: Tensor, weights: LayerWeights, initial: Tensor, code: int, skip: Skip | None
) -> tuple[Tensor, Tensor]:
    """Return h_0…h_T, and φ(u_1)…φ(u_T) where the cell skips φ."""
    (T, R, B, inputs), H = x.shape, weights.weight_hh.shape[-1]
    made, states = room(initial, R, T + 1, B, H)
    made[:, 0] = 0
    states[0] = initial
    of_values, values = room(initial, R, T if skip else 0, B, H)
    given, row = rows_of(x), made.shape[-1]
    V, bias = (
        transposed(weights.weight_ih),
        widened((weights.bias_ih + weights.bias_hh).unsqueeze(1)),
    )
    W = transposed(weights.weight_hh)
    keep, add = (0.0, 1.0) if skip is None else (skip.keep, skip.add)
    kind, sizes = (code, skip is not None, keep, add), (R, T, B, inputs, H, row)
    elman_forward(
        tuple(given), tuple(map(flat, (V, bias, W))), *map(flat, (made, of_values)), kind, sizes
    )
    return states, values


@torch.inference_mode()
def adjoint(
    direct: Tensor,
    trace: Trace,
    x: Tensor,
    weights: LayerWeights,
    code: int,
    skip: Skip | None,
    with_inputs: bool,
    later: Sequence[Tensor],
) -> Adjoint:
    """Return the adjoint, which hands on δ and ∂L/∂h of the first step."""
    (T, R, B, H), inputs = trace.states.shape, x.shape[-1]
    made, total = room(direct, R, T, B, H)
    row, known = made.shape[-1], T - len(direct)
    made[:, known:, :, H:] = 0
    total[known:] = direct
    of_later, handed_on = room(direct, R, 2, B, H)
    of_later.zero_()
    for step, one in zip(handed_on, later, strict=False):
        step.copy_(one)
    passed, ahead = (part.contiguous() for part in of_later.unbind(1))
    of_x, of_inputs = room(direct, R, T if with_inputs else 0, B, inputs)
    V = widened(weights.weight_ih) if with_inputs else of_x
    part = direct.new_empty(max(H, inputs), row)
    zeros = direct.new_zeros(max(row, of_x.shape[-1]))
    units = zeros.new_zeros(row)
    units[:H] = 1
    stretch = min(T, stretch_length(B, row))
    D, squares = direct.new_empty(stretch + 1, B, row), torch.empty(R, T, dtype=torch.float64)
    of_W, of_V = direct.new_empty(R, H, row), direct.new_empty(R, inputs, row)
    of_b = direct.new_empty(R, row)
    before = rows_of(trace.previous_states, whole_vectors=True)
    source = rows_of(trace.states if skip is None else trace.kept[0], whole_vectors=True)
    keep, add = (0.0, 1.0) if skip is None else (skip.keep, skip.add)
    elman_adjoint(
        tuple(rows_of(x)),
        (before.flat, before.run),
        (source.flat, source.run),
        (flat(widened(weights.weight_hh)), flat(V), of_x.shape[-1] if with_inputs else 0),
        flat(made),
        (flat(passed), flat(ahead)),
        tuple(map(flat, (D, part, zeros, units))),
        tuple(map(flat, (of_W, of_V, of_b, of_x, squares))),
        (code, skip is not None, keep, add),
        (R, T, B, inputs, H, row, known, stretch),
    )
    of_V, of_W, of_b = of_V[..., :H].transpose(1, 2), of_W[..., :H], of_b[:, :H]
    earlier = passed[..., :H], ahead[..., :H]
    gradients = LayerWeights(of_V, of_W, of_b, of_b)
    return Adjoint(total, None, gradients, of_inputs if with_inputs else None, earlier)


@torch.inference_mode()
def lstm_forward(
    x: Float[Tensor, "time run batch input"],
    weights: LayerWeights,
    initial: Float[Tensor, "run batch hidden"],
    c_0: Float[Tensor, "run batch hidden"],
) -> tuple[Tensor, Kept]:
    """Return h_0…h_T of an LSTM, and what is kept of its steps."""
    (T, R, B, inputs), H = x.shape, weights.weight_hh.shape[-1]
    starts = [room(initial, R, T + 1, B, H) for _ in range(2)]
    for (made, values), start in zip(starts, (initial, c_0), strict=True):
        made[:, 0] = 0
        values[0] = start
    (S, states), (C, cells) = starts
    squashed, tanh_c = room(initial, R, T, B, H)
    row = S.shape[-1]
    U = initial.new_empty(R, T, B, 4, row)
    V, W = inside(weights)
    of_x = _transposed_gates(V, row)
    matrices = of_x[:, :-1].contiguous(), of_x[:, -1].contiguous(), _transposed_gates(W, row)
    sizes = R, T, B, inputs, H, row
    arrays = map(flat, (S, C, U, squashed))
    kernel.lstm_forward(tuple(rows_of(x)), tuple(map(flat, matrices)), *arrays, sizes)
    gates = U[..., :H].transpose(0, 1)
    return states, Kept(gates, cells[1:], cells[:-1], tanh_c)


@torch.inference_mode()
def lstm_adjoint(
    direct: Float[Tensor, "last run batch hidden"],
    trace: Trace,
    x: Float[Tensor, "time run batch input"],
    weights: LayerWeights,
    with_inputs: bool,
    later: Sequence[Tensor],
) -> Adjoint:
    """Return the adjoint of an LSTM, which hands on δ (run, batch, gate, row) and f ∂L/∂c."""
    (T, R, B, H), inputs, kept = trace.states.shape, x.shape[-1], Kept(*trace.kept)
    (G, total), (M, memory) = (room(direct, R, T, B, H) for _ in range(2))
    row, known = G.shape[-1], T - len(direct)
    G[:, known:, :, H:] = 0
    total[known:] = direct
    after, carried = direct.new_zeros(R, B, 4, row), direct.new_zeros(R, B, row)
    for mine, given in zip((after, carried), later, strict=False):
        mine.copy_(given)
    of_x, of_inputs = room(direct, R, T if with_inputs else 0, B, inputs)
    V, W = inside(weights)
    in_row = of_x.shape[-1] if with_inputs else 0
    matrices = flat(widened(W)), flat(widened(V[..., :-1])), in_row
    stretch = min(T, stretch_length(B, row))
    zeros = direct.new_zeros(max(4 * row, of_x.shape[-1]))
    units = zeros.new_zeros(row)
    units[:H] = 1
    D, part = direct.new_empty(stretch + 1, B, 4, row), direct.new_empty(max(H, 4 * inputs), row)
    of_W, of_V = direct.new_empty(R, 4 * H, row), direct.new_empty(R, inputs, 4, row)
    of_b, squares = direct.new_empty(R, 4, row), torch.empty(2, R, T, dtype=torch.float64)
    steps = [
        rows_of(one, whole_vectors=True)
        for one in (trace.previous_states, kept.c_before, _whole(kept.gates, row), kept.tanh_c)
    ]
    kernel.lstm_adjoint(
        tuple(rows_of(x)),
        tuple(one.flat for one in steps),
        tuple(one.run for one in steps),
        matrices,
        flat(G),
        flat(M),
        (flat(after), flat(carried)),
        tuple(map(flat, (D, part, zeros, units))),
        tuple(map(flat, (of_W, of_V, of_b, of_x, *squares))),
        (R, T, B, inputs, H, row, known, stretch),
    )
    bias = ordered(of_b[..., :H].flatten(1), TORCHS_ORDER)
    own_V = ordered(of_V[..., :H].flatten(2).transpose(1, 2), TORCHS_ORDER)
    gradients = LayerWeights(own_V, ordered(of_W[..., :H], TORCHS_ORDER), bias, bias)
    return Adjoint(total, memory, gradients, of_inputs if with_inputs else None, (after, carried))


def _transposed_gates(blocks: Tensor, row: int) -> Float[Tensor, "run columns 4 row"]:
    """Return the transposed blocks of four gates side by side, each filled up to a row."""
    R, rows, columns = blocks.shape
    made = blocks.new_zeros(R, columns, 4, row)
    made[..., : rows // 4] = blocks.view(R, 4, rows // 4, columns).permute(0, 3, 1, 2)
    return made


def _whole(gates: Float[Tensor, "time run batch 4 hidden"], row: int) -> Tensor:
    """Return gates as rows with what fills them up; a view, if they lie in a kernel's memory."""
    T, R, B, _, H = gates.shape
    if gates.stride()[-2:] == (row, 1):
        return gates.as_strided((T, R, B, 4 * row), (*gates.stride()[:3], 1))
    return torch.nn.functional.pad(gates, (0, row - H)).flatten(-2)


def warm_up(cell: str, dtype: torch.dtype) -> None:
    """Go through one step of one unit in a precision, so that the passes are compiled."""
    one = torch.ones(1, 1, 1, 1, dtype=dtype)
    if cell == "lstm":
        W, b = one[0].expand(1, 4, 1), one[0, 0].expand(1, 4)
        weights = LayerWeights(W, W, b, b)
        states, kept = lstm_forward(one, weights, one[0], one[0])
        lstm_adjoint(one, Trace(states[1:], states[:-1], kept), one, weights, False, ())
        return
    weights = LayerWeights(one[0], one[0], one[0, 0], one[0, 0])
    states, _ = forward(one, weights, one[0], 0, None)
    adjoint(one, Trace(states[1:], states[:-1]), one, weights, 0, None, False, ())
