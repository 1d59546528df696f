"""Divergence: where a run first met NaN or infinity. It is a result, not a crash."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.engines import Gradients
from rnn_exp.network import Network
from rnn_exp.shapes import Float

__all__ = ["Divergence", "find_divergences"]


class Divergence(NamedTuple):
    """The first thing that was not finite: update, time step, forward or backward pass."""

    update: int
    time: int
    direction: str


def find_divergences(
    update: int,
    left: list[int],
    gradients: Gradients,
    norm: Float[Tensor, " run"],
    network: Network,
    lengths: Sequence[int],
) -> dict[int, Divergence]:
    """Find the runs that met NaN or infinity. One look at a flag a run when all is well.

    ``lengths``: the time steps of each run's sequences, the last of which has the loss.
    """
    fine = gradients.loss.isfinite() & norm.isfinite()
    if not network.phi.bounded:  # an infinite relu state may be cut to 0 again by a later step
        for states in gradients.states:
            fine &= states.isfinite().all(-1).all(-1).all(0)
    if bool(fine.all()):
        return {}
    places = (~fine).nonzero().flatten().tolist()
    return {left[place]: _locate(update, gradients, place, lengths[place]) for place in places}


def _locate(update: int, gradients: Gradients, place: int, T: int) -> Divergence:
    """Name the first bad time step in the order of computation: t = 1…T, the loss, t = T…1."""

    def bad(layers: list[Tensor]) -> list[int]:
        fine = torch.stack([layer[:, place].isfinite().flatten(1).all(1) for layer in layers])
        return (~fine.all(0)).nonzero().flatten().tolist()

    if early := bad(gradients.states):
        return Divergence(update, early[0] + 1, "forward")
    if not gradients.loss[place].isfinite():
        return Divergence(update, T, "forward")
    late = bad(gradients.total)
    # Only the sum over time that makes a parameter's gradient overflowed: t = 1 is its last term.
    return Divergence(update, late[-1] + 1 if late else 1, "backward")
