r"""The read-out y = C h + c, and the gradient of a loss of y by C, c and the states that were read.

Autograd sees the loss alone: ∂L/∂C = Σ (∂L/∂y) hᵀ and ∂L/∂h = Cᵀ ∂L/∂y are two GEMMs, whether one
time step is read or all of them.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells.layout import flatten_time_batch, with_ones
from rnn_exp.shapes import Float

__all__ = ["LossOf", "Objective", "Reading", "onto_time", "read", "states_read"]

LossOf = Callable[[Tensor], Tensor]
"""The loss of each run as a function of the outputs (run, answer, batch, output)."""


class Objective(NamedTuple):
    """What is asked of a network: answers at which time steps, and the loss of these.

    The last ``answers`` steps are read. Where sequences are of several lengths there is one answer,
    at step ``ends[run]``, and no sequence is shorter than ``shortest``.
    """

    loss_of: LossOf
    answers: int = 1
    ends: Sequence[int] | None = None
    shortest: int = 0


class Reading(NamedTuple):
    """Outputs, each run's loss, and the loss's gradient by C, c and the states that were read."""

    outputs: Float[Tensor, "run answer batch output"]
    loss: Float[Tensor, " run"]
    weight: Float[Tensor, "run output hidden"]
    bias: Float[Tensor, "run output"]
    states: Float[Tensor, "run answer batch hidden"]


def states_read(
    states: Float[Tensor, "time run batch hidden"], answers: int, ends: Sequence[int] | None = None
) -> Float[Tensor, "run answer batch hidden"]:
    """Return the states from which the answers are read: of the last steps, or one at each end."""
    T, R, B, H = states.shape
    if ends is None:
        return flatten_time_batch(states[T - answers :]).view(R, answers, B, H)
    return torch.stack([states[end - 1, run] for run, end in enumerate(ends)]).unsqueeze(1)


def onto_time(
    gradient: Float[Tensor, "run answer batch hidden"], objective: Objective, T: int
) -> Float[Tensor, "last run batch hidden"]:
    """Put a gradient by the states that were read back on the time axis: the direct gradient."""
    if objective.ends is None:
        return gradient.transpose(0, 1)
    # As many steps as the task may need, not as these sequences do: company must not matter.
    first = objective.shortest - 1
    R, _, B, H = gradient.shape
    direct = gradient.new_zeros(T - first, R, B, H)
    for run, end in enumerate(objective.ends):
        direct[end - 1 - first, run] = gradient[run, 0]
    return direct


def read(
    states: Float[Tensor, "run answer batch hidden"],
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
    h = with_ones(states.flatten(1, 2))
    reader = pad(torch.cat([weight, bias.unsqueeze(-1)], dim=-1), (0, 0, 0, spare))
    y = torch.bmm(h, reader.transpose(1, 2))[..., :outputs].contiguous()
    y = y.view(*states.shape[:3], outputs).requires_grad_()
    loss = loss_of(y)
    # The loss of a run depends on its own outputs alone: one call differentiates them all.
    (of_y,) = torch.autograd.grad(loss, y, torch.ones_like(loss))
    of_y = pad(of_y.flatten(1, 2), (0, spare))
    of_reader = torch.bmm(of_y.transpose(1, 2), h)[:, :outputs]
    return Reading(
        y.detach(),
        loss.detach(),
        of_reader[..., :-1],
        of_reader[..., -1],
        torch.bmm(of_y, reader)[..., :-1].reshape(states.shape),
    )
