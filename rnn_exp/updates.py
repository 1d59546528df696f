"""Updates of many runs at once; a run that has diverged or solved its task leaves the batch."""

import functools
import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.divergence import Divergence, find_divergences
from rnn_exp.engines import ENGINES, Gradients, totals_of_last
from rnn_exp.network import Network
from rnn_exp.penalties import omega, orthogonality
from rnn_exp.readout import Asked
from rnn_exp.recording import Known, Recorded, Recording, record
from rnn_exp.shapes import Float
from rnn_exp.solving import solved_by
from rnn_exp.tasks import Drawn
from rnn_exp.trainees import Trainees

__all__ = ["Update", "train"]


class Update(NamedTuple):
    """One update of all runs that were left; tensors have one entry for each of ``runs``."""

    update: int
    runs: list[int]
    loss: Float[Tensor, " run"]
    grad_norm: Float[Tensor, " run"]
    divergences: dict[int, Divergence]
    solved: list[int]
    recorded: Recorded | None


def train(
    trainees: Trainees, network: Network, recording: Recording, start: int = 0
) -> Iterator[Update]:
    """Train all runs side by side and yield every update from ``start`` on, when it is made.

    An update whose loss, states or gradients are not all finite is a run's last: it is recorded,
    its weights stay as they were, and the run leaves the batch without changing a bit of the
    others. A run that is to stop when it has solved its task leaves in the same way. Parameters
    get back what a run has when it leaves, or after the last update.
    """
    for number in range(start, trainees.training.updates):
        update = _measure(number, trainees, network, recording)
        norms = update.grad_norm
        if leaving := {*update.divergences, *update.solved}:
            norms = norms[trainees.drop(leaving)]
        if trainees.left:
            trainees.step(norms)
        if number + 1 == trainees.training.updates:
            trainees.store()
        yield update
        if not trainees.left:
            return


def _measure(number: int, trainees: Trainees, network: Network, recording: Recording) -> Update:
    """Do the forward and backward pass of an update, before any weight moves."""
    task, training, runs = trainees.task, trainees.training, trainees.left
    drawn = trainees.draw()
    asked, targets = _asked(trainees, drawn)
    engine = ENGINES[network.engine]
    gradients = engine(trainees.views, drawn.inputs, asked, network, training.truncation)
    value = _penalise(gradients, trainees, network)
    norms = trainees.take(gradients.parameters)
    divergences = find_divergences(number, runs, gradients, norms, network, drawn.lengths)
    recorded, solved = None, []
    wanted = recording.wanted(number, training.updates)
    if divergences or wanted:
        error = task.error(gradients.outputs[:, -task.answers :], drawn.targets)
        late = _late(gradients, trainees, network, drawn.inputs, targets)
        known = Known(error, trainees.too_large(norms), value, trainees.moved(), drawn.lengths)
        W = trainees.views[trainees.top]
        recorded = record(gradients, W, network, known, late, recording.exponents)
        # Not when a neighbour's divergence is what is recorded: company must not matter.
        if training.stop_when_solved and wanted:
            solved = [run for run in solved_by(trainees, error, network) if run not in divergences]
    return Update(number, runs, gradients.loss, norms, divergences, solved, recorded)


def _asked(trainees: Trainees, drawn: Drawn) -> tuple[Asked, Tensor]:
    """Return what is asked at an update, and the answers wanted."""
    task, targets = trainees.task, drawn.targets
    if trainees.training.loss_at == "every":
        targets = targets.expand(-1, task.steps, -1)
    loss_of = functools.partial(task.loss, targets=targets)
    if task.shortest < task.steps:
        return Asked(loss_of, 1, drawn.lengths, task.shortest), targets
    return Asked(loss_of, targets.shape[1]), targets


def _late(
    gradients: Gradients, trainees: Trainees, network: Network, inputs: Tensor, targets: Tensor
) -> list[Tensor] | None:
    """Return ∂L_T/∂h_t for the loss of the last answer, where there are more answers."""
    if targets.shape[1] == 1:
        return None
    loss_of = functools.partial(trainees.task.loss, targets=targets[:, -1:])
    return totals_of_last(trainees.views, inputs, gradients.traces, loss_of, network)


def _penalise(gradients: Gradients, trainees: Trainees, network: Network) -> Tensor:
    """Add the penalties of every W_hh to its gradient; return Ω of the top layer (NaN: unused)."""
    training, value = trainees.training, torch.full_like(gradients.loss, math.nan)
    for number, (trace, found) in enumerate(zip(gradients.traces, gradients.adjoints, strict=True)):
        name = f"weight_hh_l{number}"
        W = trainees.views[name]
        if training.omega:
            deltas = network.layer.deltas(trace, found)
            value, slope = omega(found.total, deltas, W, training.omega_form)
            gradients.parameters[name] = gradients.parameters[name] + training.omega * slope
        if training.orthogonality:
            slope = orthogonality(W).weight_hh
            gradients.parameters[name] = gradients.parameters[name] + training.orthogonality * slope
    return value
