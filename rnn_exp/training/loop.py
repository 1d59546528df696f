"""The loop: updates of many runs at once, until each diverged, solved its task, or made them all.

A divergence (the first NaN or infinity) is a result, not a crash. A run has solved its task when it
errs on fewer than 1 % of 10,000 fresh sequences (Pascanu, Mikolov & Bengio 2013, section 4.1); the
sequences are the run's own and no part of its training, and the same at every look.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.gradients import Gradients
from rnn_exp.networks.network import Network
from rnn_exp.randomness import generator
from rnn_exp.shapes import Float
from rnn_exp.tasks import SequenceBatch, Task
from rnn_exp.training.batch import BatchGradients, RunBatch
from rnn_exp.training.evaluation import answered
from rnn_exp.training.recorder import Recorder, of_step
from rnn_exp.training.run import Run

__all__ = ["TEST_BATCH", "Divergence", "Update", "find_divergences", "solves", "train"]

_SEQUENCES, _SOLVED_ERROR = 10_000, 0.01
TEST_BATCH: Final = 1_000
"""On how many sequences at a time it is tested whether a task is solved."""


class Divergence(NamedTuple):
    """The first thing that was not finite: update, time step, forward or backward pass."""

    update: int
    time: int
    direction: str


class Update(NamedTuple):
    """One update of all runs that were in training; tensors have one entry for each of ``runs``.

    Args:
        number: of the update, from 0.
        runs: those that made it.
        loss: before the weights changed.
        grad_norm: over all parameters, before clipping.
        divergences: where each run that ended with this update met NaN or infinity.
        solved: the runs that ended with it because they have solved their task.
        recorded: the columns that were recorded (`Recorder.measure`, `of_step`); None: none.
    """

    number: int
    runs: list[Run]
    loss: Float[Tensor, " run"]
    grad_norm: Float[Tensor, " run"]
    divergences: dict[Run, Divergence]
    solved: list[Run]
    recorded: Mapping[str, Tensor] | None


def train(batch: RunBatch, recorder: Recorder) -> Iterator[Update]:
    """Train all runs side by side and yield every update when it is made.

    An update whose loss, states or gradients are not all finite is a run's last: it is recorded,
    its weights stay as they were, and the run leaves the batch without changing a bit of the
    others. A run that is to stop when it has solved its task leaves in the same way.

    Args:
        batch: the runs; it goes on from where it is.
        recorder: measures and keeps what is recorded of them.
    """
    while not batch.is_done:
        number = batch.begin()
        data = batch.draw()
        gradients = batch.gradients(data)
        divergences = find_divergences(number, batch, data, gradients)
        wanted = recorder.wanted(number)
        recorded, solved = None, list[Run]()
        if wanted or divergences:
            recorded = recorder.measure(number, batch, data, gradients)
        if recorded is not None and wanted:
            # Not where only another run's divergence is recorded: a run is the same in company.
            solved = [run for run in _solved(batch, recorded) if run not in divergences]
        if recorded is not None:
            recorded |= recorder.test(number, batch, solved)
        loss, runs = gradients.network.loss, batch.runs
        made = Update(number, runs, loss, gradients.norm, divergences, solved, recorded)
        if ended := {*divergences, *solved}:
            gradients = batch.remove(ended, gradients)
        before = None if recorded is None else batch.packed()
        if batch.runs:
            batch.step(gradients)
        if recorded is not None and before is not None:
            recorded |= of_step(before, batch.packed(), batch.runs, runs)
            recorder.keep(recorded, runs, None if wanted else divergences)
        batch.end()
        del data, gradients  # or the next update would have two of all states
        yield made


def _solved(batch: RunBatch, recorded: Mapping[str, Tensor]) -> list[Run]:
    """Return the runs that have solved their task; tested are those with under 1 % error now."""
    if not batch.training.stop_when_solved:
        return []
    promising = (recorded["error"] < _SOLVED_ERROR).nonzero().flatten().tolist()
    return [
        run
        for run in (batch.runs[place] for place in promising)
        if solves(batch.weights_of(run), batch.network, batch.task, run.seed)
    ]


def solves(parameters: dict[str, Tensor], network: Network, task: Task, seed: int) -> bool:
    """Say whether one run's parameters solve the task; stop looking once they cannot.

    Args:
        parameters: by torch's names, with a run axis of length 1.
        network: what the network is.
        task: the task.
        seed: of the run, from which the test sequences follow.
    """
    draws, wrong = generator(seed, "test"), 0.0
    tests = (task.draw(TEST_BATCH, draws) for _ in range(_SEQUENCES // TEST_BATCH))
    for answers, targets in answered(parameters, network, tests, task.answers):
        wrong += float(task.error(answers, targets)) * TEST_BATCH
        if not wrong < _SOLVED_ERROR * _SEQUENCES:
            return False
    return True


def find_divergences(
    number: int, batch: RunBatch, data: SequenceBatch, gradients: BatchGradients
) -> dict[Run, Divergence]:
    """Find the runs that met NaN or infinity; where there is none this reads one number back.

    Args:
        number: of the update.
        batch: the runs.
        data: the update's sequences, the last time step of which has the loss.
        gradients: of the update.
    """
    found = gradients.network
    states_fine = found.forward.finite()
    # A sum is finite where all of its terms are; next to the largest number each is asked below.
    if states_fine is None and math.isfinite(float((found.loss + gradients.norm).sum())):
        return {}
    fine = found.loss.isfinite() & gradients.norm.isfinite()
    if states_fine is not None:  # an infinite relu state may be cut to 0 by a later step
        fine &= states_fine
    if bool(fine.all()):
        return {}
    places = (~fine).nonzero().flatten().tolist()
    return {
        batch.runs[place]: _locate(number, found, place, data.lengths[place]) for place in places
    }


def _locate(number: int, gradients: Gradients, place: int, T: int) -> Divergence:
    """Name the first bad time step in the order of computation: t = 1…T, the loss, t = T…1."""

    def bad(start: int, layers: Iterable[Tensor]) -> list[int]:
        fine = torch.stack([layer[:, place].isfinite().flatten(1).all(1) for layer in layers])
        return [start + step + 1 for step in (~fine.all(0)).nonzero().flatten().tolist()]

    early, late = list[int](), list[int]()
    for piece in gradients.pieces:
        early += bad(piece.start, (trace.states for trace in piece.traces))
        late += bad(piece.start, (totals.total for totals in piece.totals))
    if early:
        return Divergence(number, early[0], "forward")
    if not gradients.loss[place].isfinite():
        return Divergence(number, T, "forward")
    # Only the sum over time that makes a parameter's gradient overflowed: t = 1 is its last term.
    return Divergence(number, late[-1] if late else 1, "backward")
