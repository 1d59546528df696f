"""Solving: a run has solved its task when it errs on fewer than 1 % of 10,000 fresh sequences.

(Pascanu, Mikolov & Bengio 2013, section 4.1.) The sequences are the run's own and no part of its
training; they are the same at every look.
"""

from torch import Tensor

from rnn_exp.engines import answer
from rnn_exp.network import Network
from rnn_exp.randomness import generator
from rnn_exp.shapes import Float
from rnn_exp.tasks import Task
from rnn_exp.trainees import Trainees

__all__ = ["solved_by", "solves"]

_SEQUENCES, _WRONG = 10_000, 0.01
_AT_ONCE = 1_000


def solved_by(trainees: Trainees, error: Float[Tensor, " run"], network: Network) -> list[int]:
    """Return the runs that have solved their task; only those right on their batch are tested."""
    promising = (error < _WRONG).nonzero().flatten().tolist()
    views = trainees.views
    return [
        trainees.left[place]
        for place in promising
        if solves({name: view[place : place + 1] for name, view in views.items()},
                  network, trainees.task, trainees.stream.seeds[trainees.left[place]])
    ]  # fmt: skip


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
