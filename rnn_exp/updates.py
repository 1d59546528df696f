"""Updates of many runs at once; a run that has diverged or solved its task leaves the batch."""

import functools
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from rnn_exp.divergence import Divergence, find_divergences
from rnn_exp.engines import ENGINES
from rnn_exp.network import Network
from rnn_exp.recording import Recorded, Recording, record
from rnn_exp.shapes import Float
from rnn_exp.solving import solved_by
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
    inputs, targets = trainees.draw()
    loss_of = functools.partial(task.loss, targets=targets)
    gradients = ENGINES[network.engine](trainees.views, inputs, loss_of, network)
    norms = trainees.take(gradients.parameters)
    divergences = find_divergences(number, runs, gradients, norms, network)
    recorded, solved = None, []
    if divergences or recording.wanted(number, training.updates):
        W = trainees.views[f"weight_hh_l{network.num_layers - 1}"]
        error = task.error(gradients.outputs, targets)
        recorded = record(gradients, W, error, trainees.too_large(norms), network)
        if training.stop_when_solved:
            solved = [run for run in solved_by(trainees, error, network) if run not in divergences]
    return Update(number, runs, gradients.loss, norms, divergences, solved, recorded)
