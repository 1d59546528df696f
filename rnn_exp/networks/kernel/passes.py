"""The two passes of a layer by kernels: tensors in, tensors out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnn_exp.networks.cells.elman import Elman
from rnn_exp.networks.cells.gru import GRU
from rnn_exp.networks.cells.lstm import LSTM
from rnn_exp.networks.cells.skip import Skip
from rnn_exp.networks.cells.values import Adjoint, LayerWeights, Trace
from rnn_exp.networks.kernel.elman import elman_adjoint, elman_forward
from rnn_exp.networks.kernel.gated import gru_back, gru_states, lstm_back, lstm_states
from rnn_exp.networks.kernel.memory import (
    begun,
    flat,
    room,
    rows_of,
    spare_room,
    stretch_length,
    transposed,
    widened,
    with_direct,
)
from rnn_exp.schema import ACTIVATION_CODES
from rnn_exp.shapes import Float

__all__ = ["KernelCell", "adjoint", "forward", "kind_of"]

KernelCell = Elman | Skip | LSTM | GRU


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
        return lstm_states(x, weights, initial, before)
    if isinstance(cell, GRU):
        return gru_states(x, weights, initial)
    (T, R, B, inputs), H = x.shape, weights.weight_hh.shape[-1]
    _, skips, _, _ = kind = kind_of(cell)
    made, states = begun(initial, T)
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
        return lstm_back(direct, trace, x, weights, with_inputs, later)
    if isinstance(cell, GRU):
        return gru_back(direct, trace, x, weights, with_inputs, later)
    (T, R, B, H), inputs = trace.states.shape, x.shape[-1]
    _, skips, _, _ = kind = kind_of(cell)
    made, total = with_direct(direct, T)
    row, known, stretch = made.shape[-1], T - len(direct), stretch_length(T, B, made.shape[-1])
    handed_on = [direct.new_zeros(R, B, row) for _ in range(2)]  # δ, and ∂L/∂h where it skips φ
    for mine, given in zip(handed_on, later, strict=False):
        mine[..., :H] = given
    of_x, of_inputs = room(direct, R, T if with_inputs else 0, B, inputs)
    V = widened(weights.weight_ih) if with_inputs else of_x
    spare = spare_room(direct, (stretch + 1, B, row), (max(H, inputs), row), of_x)
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


def kind_of(cell: Elman | Skip) -> tuple[int, bool, float, float]:
    """Return the activation's code, whether the cell skips φ, k and a."""
    code = ACTIVATION_CODES[cell.activation.name]
    return (code, True, cell.keep, cell.add) if isinstance(cell, Skip) else (code, False, 0.0, 1.0)
