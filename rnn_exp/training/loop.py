"""The loop: updates of many runs at once, until each has diverged, solved its task, or trained out.

A divergence (the first NaN or infinity) is a result, not a crash. A run has solved its task when it
errs on fewer than 1 % of 10,000 fresh sequences (Pascanu, Mikolov & Bengio 2013, section 4.1); the
sequences are the run's own and no part of its training, and the same at every look.
"""

import functools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.gradients import ENGINES, Asked, Gradients, answer, totals_of_last
from rnn_exp.networks.network import Network
from rnn_exp.randomness import generator
from rnn_exp.shapes import Float
from rnn_exp.tasks import Drawn, Task
from rnn_exp.training.batch import Trainees
from rnn_exp.training.penalties import omega, orthogonality
from rnn_exp.training.recorder import Known, Recorded, record
from rnn_exp.training.settings import Recording

__all__ = ["Divergence", "Update", "find_divergences", "solved_by", "solves", "train"]


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


_SEQUENCES, _WRONG = 10_000, 0.01
_AT_ONCE = 1_000


def solved_by(trainees: Trainees, error: Float[Tensor, " run"], network: Network) -> list[int]:
    """Return the runs that have solved their task; only those right on their batch are tested."""
    promising = (error < _WRONG).nonzero().flatten().tolist()
    views = trainees.views
    return [
        trainees.left[place]
        for place in promising
        if solves(
            {name: view[place : place + 1] for name, view in views.items()},
            network,
            trainees.task,
            trainees.stream.seeds[trainees.left[place]],
        )
    ]


def solves(parameters: dict[str, Tensor], network: Network, task: Task, seed: int) -> bool:
    """Say whether one run's parameters solve the task; stop looking once they cannot."""
    draws, wrong = generator(seed, "test"), 0.0
    like = parameters["readout.weight"]
    for _ in range(_SEQUENCES // _AT_ONCE):
        batch = task.draw(_AT_ONCE, draws)
        inputs = batch.inputs[: batch.length].unsqueeze(1).to(like)
        outputs = answer(parameters, inputs, network, task.answers)
        targets = batch.targets.unsqueeze(0).to(like.device)
        wrong += float(task.error(outputs, targets)) * _AT_ONCE
        if not wrong < _WRONG * _SEQUENCES:
            return False
    return True


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
