"""The two passes of a layer by kernels: tensors in, tensors out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnn_exp.networks.cells.skip import Skip
from rnn_exp.networks.cells.values import Adjoint, LayerWeights, Trace
from rnn_exp.networks.kernel.elman import elman_adjoint, elman_forward
from rnn_exp.networks.kernel.memory import (
    flat,
    room,
    rows_of,
    stretch_length,
    transposed,
    widened,
)

__all__ = ["adjoint", "forward", "warm_up"]


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
    given, before = rows_of(x), rows_of(trace.previous_states, whole_vectors=True)
    source = rows_of(trace.states if skip is None else trace.kept[0], whole_vectors=True)
    keep, add = (0.0, 1.0) if skip is None else (skip.keep, skip.add)
    in_row = of_x.shape[-1] if with_inputs else 0
    elman_adjoint(
        tuple(given),
        (before.flat, before.run),
        (source.flat, source.run),
        (flat(widened(weights.weight_hh)), flat(V), in_row),
        flat(made),
        (flat(passed), flat(ahead)),
        tuple(map(flat, (D, part, zeros, units))),
        tuple(map(flat, (of_W, of_V, of_b, of_x, squares))),
        (code, skip is not None, keep, add),
        (R, T, B, inputs, H, row, known, stretch),
    )
    bias = of_b[:, :H]
    gradients = LayerWeights(of_V[..., :H].transpose(1, 2), of_W[..., :H], bias, bias)
    earlier = tuple(one[..., :H] for one in (passed, ahead))
    return Adjoint(total, None, gradients, of_inputs if with_inputs else None, earlier)


def warm_up(dtype: torch.dtype) -> None:
    """Go through one step of one unit in a precision, so that the passes are compiled."""
    one = torch.ones(1, 1, 1, 1, dtype=dtype)
    weights = LayerWeights(one[0], one[0], one[0, 0], one[0, 0])
    states, _ = forward(one, weights, one[0], 0, None)
    adjoint(one, Trace(states[1:], states[:-1]), one, weights, 0, None, False, ())
