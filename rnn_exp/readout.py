r"""The read-out y = C h_T + c, and the gradient of a loss of y by C, c and h_T.

Autograd sees the loss alone: ∂L/∂C = Σ_b (∂L/∂y_b) h_bᵀ and ∂L/∂h_b = Cᵀ ∂L/∂y_b are two GEMMs.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.blocks import with_ones
from rnn_exp.shapes import Float

__all__ = ["LossOf", "Reading", "read"]

LossOf = Callable[[Tensor], Tensor]


class Reading(NamedTuple):
    """Outputs, each run's loss, and the loss's gradient by C, c and the states that were read."""

    outputs: Float[Tensor, "run batch output"]
    loss: Float[Tensor, " run"]
    weight: Float[Tensor, "run output hidden"]
    bias: Float[Tensor, "run output"]
    states: Float[Tensor, "run batch hidden"]


def read(
    states: Float[Tensor, "run batch hidden"],
    weight: Float[Tensor, "run output hidden"],
    bias: Float[Tensor, "run output"],
    loss_of: LossOf,
) -> Reading:
    """Read the states out, take the loss of the outputs, and differentiate it.

    The bias is the weight of a unit that is always 1. A read-out of one output is computed as one
    of two: matrix–vector products round differently for one run than for many.
    """
    outputs = weight.shape[1]
    spare = max(0, 2 - outputs)
    pad = torch.nn.functional.pad
    h = with_ones(states)
    reader = pad(torch.cat([weight, bias.unsqueeze(-1)], dim=-1), (0, 0, 0, spare))
    y = torch.bmm(h, reader.transpose(1, 2))[..., :outputs].contiguous().requires_grad_()
    loss = loss_of(y)
    # The loss of a run depends on its own outputs alone: one call differentiates them all.
    (of_y,) = torch.autograd.grad(loss, y, torch.ones_like(loss))
    of_y = pad(of_y, (0, spare))
    of_reader = torch.bmm(of_y.transpose(1, 2), h)[:, :outputs]
    return Reading(
        y.detach(), loss.detach(), of_reader[..., :-1], of_reader[..., -1],
        torch.bmm(of_y, reader)[..., :-1],
    )  # fmt: skip
