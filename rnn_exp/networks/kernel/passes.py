"""The two passes of a layer by kernels: tensors in, tensors out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnn_exp.networks.cells.elman import Elman
from rnn_exp.networks.cells.lstm import LSTM, TORCHS_ORDER, Kept, inside, ordered
from rnn_exp.networks.cells.skip import Skip
from rnn_exp.networks.cells.values import Adjoint, LayerWeights, Trace
from rnn_exp.networks.kernel.elman import elman_adjoint, elman_forward
from rnn_exp.networks.kernel.lstm import lstm_adjoint, lstm_forward
from rnn_exp.networks.kernel.memory import (
    flat,
    room,
    rows_of,
    stretch_length,
    transposed,
    widened,
)
from rnn_exp.schema import ACTIVATION_CODES
from rnn_exp.shapes import Float

__all__ = ["adjoint", "forward"]

KernelCell = Elman | Skip | LSTM
_Room = tuple[Tensor, Tensor]
"""Room for rows that are filled up, and what is seen of it (`memory.room`)."""


@torch.inference_mode()
def forward(
    cell: KernelCell,
    x: Float[Tensor, "time run batch input"],
    weights: LayerWeights,
    initial: Float[Tensor, "run batch hidden"],
    before: Trace | None,
) -> Trace:
    """Return what `Cell.forward` does; the arguments are the same."""
    if isinstance(cell, LSTM):
        return _lstm_forward(x, weights, initial, before)
    (T, R, B, inputs), H = x.shape, weights.weight_hh.shape[-1]
    _, skips, _, _ = kind = _kind_of(cell)
    made, states = _begun(initial, T)
    of_values, values = room(initial, R, T if skips else 0, B, H)
    bias = widened((weights.bias_ih + weights.bias_hh).unsqueeze(1))
    matrices = transposed(weights.weight_ih), bias, transposed(weights.weight_hh)
    sizes = R, T, B, inputs, H, made.shape[-1]
    arrays = flat(made), flat(of_values)
    elman_forward(tuple(rows_of(x)), tuple(map(flat, matrices)), *arrays, kind, sizes)
    return Trace(states[1:], states[:-1], (values,) if skips else ())


@torch.inference_mode()
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
        return _lstm_adjoint(direct, trace, x, weights, with_inputs, later)
    (T, R, B, H), inputs = trace.states.shape, x.shape[-1]
    _, skips, _, _ = kind = _kind_of(cell)
    made, total = _with_direct(direct, T)
    row, known, stretch = made.shape[-1], T - len(direct), stretch_length(T, B, made.shape[-1])
    handed_on = [direct.new_zeros(R, B, row) for _ in range(2)]  # δ, and ∂L/∂h where it skips φ
    for mine, given in zip(handed_on, later, strict=False):
        mine[..., :H] = given
    of_x, of_inputs = room(direct, R, T if with_inputs else 0, B, inputs)
    V = widened(weights.weight_ih) if with_inputs else of_x
    spare = _spare(direct, (stretch + 1, B, row), (max(H, inputs), row), of_x)
    of_W, of_V = direct.new_empty(R, H, row), direct.new_empty(R, inputs, row)
    of_b = direct.new_empty(R, row)
    before = rows_of(trace.previous_states, whole_vectors=True)
    source = rows_of(trace.kept[0] if skips else trace.states, whole_vectors=True)
    elman_adjoint(
        tuple(rows_of(x)),
        (before.flat, before.run),
        (source.flat, source.run),
        (flat(widened(weights.weight_hh)), flat(V), of_x.shape[-1] if with_inputs else 0),
        flat(made),
        tuple(map(flat, handed_on)),
        tuple(map(flat, spare)),
        tuple(map(flat, (of_W, of_V, of_b, of_x))),
        kind,
        (R, T, B, inputs, H, row, known, stretch),
    )
    bias = of_b[:, :H]
    gradients = LayerWeights(of_V[..., :H].transpose(1, 2), of_W[..., :H], bias, bias)
    earlier = tuple(one[..., :H] for one in handed_on[: 1 + skips])
    return Adjoint(total, None, gradients, of_inputs if with_inputs else None, earlier)


def _lstm_forward(x: Tensor, weights: LayerWeights, initial: Tensor, before: Trace | None) -> Trace:
    """Return the trace of an LSTM, of whose last gate the candidate itself is kept."""
    (T, R, B, inputs), H = x.shape, weights.weight_hh.shape[-1]
    c_0 = torch.zeros_like(initial) if before is None else Kept(*before.kept).c[-1]
    (S, states), (C, cells) = _begun(initial, T), _begun(c_0, T)
    squashed, tanh_c = room(initial, R, T, B, H)
    row = S.shape[-1]
    U = initial.new_empty(R, T, B, 4, row)
    V, W = inside(weights)
    of_x = _transposed_gates(V, row)
    matrices = of_x[:, :-1].contiguous(), of_x[:, -1].contiguous(), _transposed_gates(W, row)
    sizes = R, T, B, inputs, H, row
    arrays = map(flat, (S, C, U, squashed))
    lstm_forward(tuple(rows_of(x)), tuple(map(flat, matrices)), *arrays, sizes)
    kept = Kept(U[..., :H].transpose(0, 1), cells[1:], cells[:-1], tanh_c)
    return Trace(states[1:], states[:-1], kept)


def _lstm_adjoint(
    direct: Tensor,
    trace: Trace,
    x: Tensor,
    weights: LayerWeights,
    with_inputs: bool,
    later: Sequence[Tensor],
) -> Adjoint:
    """Return the adjoint of an LSTM, which hands on δ (run, batch, gate, row) and f ∂L/∂c."""
    (T, R, B, H), inputs, kept = trace.states.shape, x.shape[-1], Kept(*trace.kept)
    (G, total), (M, memory) = _with_direct(direct, T), room(direct, R, T, B, H)
    row, known, stretch = G.shape[-1], T - len(direct), stretch_length(T, B, G.shape[-1])
    handed_on = direct.new_zeros(R, B, 4, row), direct.new_zeros(R, B, row)
    for mine, given in zip(handed_on, later, strict=False):
        mine.copy_(given)
    of_x, of_inputs = room(direct, R, T if with_inputs else 0, B, inputs)
    V, W = inside(weights)
    spare = _spare(direct, (stretch + 1, B, 4 * row), (max(H, 4 * inputs), row), of_x)
    of_W, of_V = direct.new_empty(R, 4 * H, row), direct.new_empty(R, inputs, 4, row)
    of_b = direct.new_empty(R, 4, row)
    steps = [
        rows_of(one, whole_vectors=True)
        for one in (trace.previous_states, kept.c_before, _whole(kept.gates, row), kept.tanh_c)
    ]
    lstm_adjoint(
        tuple(rows_of(x)),
        tuple(one.flat for one in steps),
        tuple(one.run for one in steps),
        (flat(widened(W)), flat(widened(V[..., :-1])), of_x.shape[-1] if with_inputs else 0),
        flat(G),
        flat(M),
        tuple(map(flat, handed_on)),
        tuple(map(flat, spare)),
        tuple(map(flat, (of_W, of_V, of_b, of_x))),
        (R, T, B, inputs, H, row, known, stretch),
    )
    bias = ordered(of_b[..., :H].flatten(1), TORCHS_ORDER)
    own_V = ordered(of_V[..., :H].flatten(2).transpose(1, 2), TORCHS_ORDER)
    gradients = LayerWeights(own_V, ordered(of_W[..., :H], TORCHS_ORDER), bias, bias)
    return Adjoint(total, memory, gradients, of_inputs if with_inputs else None, handed_on)


def _kind_of(cell: Elman | Skip) -> tuple[int, bool, float, float]:
    """Return the activation's code, whether the cell skips φ, k and a."""
    code = ACTIVATION_CODES[cell.activation.name]
    return (code, True, cell.keep, cell.add) if isinstance(cell, Skip) else (code, False, 0.0, 1.0)


def _begun(initial: Float[Tensor, "run batch hidden"], T: int) -> _Room:
    """Return room for a state before the first step and after each of T, the first one there."""
    R, B, H = initial.shape
    made, states = room(initial, R, T + 1, B, H)
    made[:, 0] = 0
    states[0] = initial
    return made, states


def _with_direct(direct: Float[Tensor, "last run batch hidden"], T: int) -> _Room:
    """Return room for ∂L/∂h_t of T steps, with the direct parts of the last ones in it."""
    known, R, B, H = direct.shape
    made, total = room(direct, R, T, B, H)
    made[:, T - known :, :, H:] = 0
    total[T - known :] = direct
    return made, total


def _spare(
    like: Tensor, deltas: tuple[int, ...], part: tuple[int, int], of_x: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return room for δ of a stretch and for a product, and zeros, as many as the longest row."""
    zeros = like.new_zeros(max(deltas[-1], of_x.shape[-1]))
    return like.new_empty(*deltas), like.new_empty(*part), zeros


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
