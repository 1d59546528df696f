"""Tests of networks in training, on sequences that training never sees.

A task that holds sequences out (`tasks.HoldsOut`) is tested on all of them, each once. Any other is
tested on fresh sequences, from a generator of the run's seed that draws nothing else: they are the
same at every test, and training draws what it draws without tests. The sequences may be of another
nominal length than those of training.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from torch import Tensor

from rnn_exp.fields import SettingError
from rnn_exp.networks.forward import outputs
from rnn_exp.networks.network import Network, Refusal
from rnn_exp.networks.readout import reader_of
from rnn_exp.randomness import generator
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks import Batch, HoldsOut, Task, TaskLoss, at_length
from rnn_exp.training.settings import Evaluation, Recording

__all__ = ["TESTED_TOGETHER", "answered", "refusals", "score", "test_sequences", "test_task"]

TESTED_TOGETHER: Final = 100
"""Sequences of a test that are computed at a time; a batch of fresh ones is as large."""


def refusals(task: Task, evaluation: Evaluation, recording: Recording) -> Iterator[Refusal]:
    """Yield the settings of the tests that a run cannot have, with the reason.

    Args:
        task: of the run.
        evaluation: its tests.
        recording: what is recorded of it.
    """
    if evaluation.every is None:
        return
    if evaluation.every % recording.every:
        allowed = f"a multiple of recording.every={recording.every}: tests are rows of that table"
        yield "evaluation.every", evaluation.every, allowed
    if isinstance(task, HoldsOut) and evaluation.sequences != Evaluation().sequences:
        allowed = f"as it is with task={task.name}, which is tested on all that it holds out"
        yield "evaluation.sequences", evaluation.sequences, allowed
    if evaluation.length is None:
        return
    try:
        other = test_task(task, evaluation)
    except SettingError as error:
        yield "evaluation.length", evaluation.length, f"null, or {error.allowed}"
        return
    if (task.input_size, task.output_size) != (other.input_size, other.output_size):
        allowed = f"null: the length of task={task.name} decides how many inputs and outputs it has"
        yield "evaluation.length", evaluation.length, allowed


def test_task(task: Task, evaluation: Evaluation) -> Task:
    """Return the task that a run is tested on: its own, or the same at another length.

    Args:
        task: of the run.
        evaluation: its tests.

    Raises:
        SettingError: if the task cannot have that length.
    """
    if evaluation.length is None:
        return task
    return at_length(task, evaluation.length)


def test_sequences(task: Task, sequences: int, seed: int) -> Iterator[Batch]:
    """Yield the sequences of a test, so many at a time.

    Args:
        task: what they are of.
        sequences: how many fresh ones, if the task holds none out.
        seed: of the run.
    """
    if isinstance(task, HoldsOut):
        whole = task.held_out()
        for start in range(0, whole.inputs.shape[1], TESTED_TOGETHER):
            part = slice(start, start + TESTED_TOGETHER)
            ends = None if whole.ends is None else whole.ends[part]
            inputs, targets, cues = (values[:, part] for values in whole[:3])
            yield Batch(inputs, targets, cues, whole.length, ends)
        return
    draws = generator(seed, "evaluation")
    for start in range(0, sequences, TESTED_TOGETHER):
        yield task.draw(min(TESTED_TOGETHER, sequences - start), draws)


def answered(
    parameters: dict[str, Tensor], network: Network, tests: Iterable[Batch], answers: int
) -> Iterator[tuple[Float[Tensor, "1 answer batch output"], Shaped[Tensor, "1 right batch"]]]:
    """Yield what one network answers to test sequences, and the right answers.

    Args:
        parameters: by torch's names, with a run axis of length 1.
        network: what the network is.
        tests: the sequences.
        answers: at how many of the last time steps it answers.
    """
    like = parameters["readout.weight"]
    for test in tests:
        inputs = test.inputs[: test.length].unsqueeze(1).to(like)
        targets = test.targets.unsqueeze(0).to(like.device)
        targets = targets.to(like.dtype) if targets.is_floating_point() else targets
        ends = None if test.ends is None else test.ends.unsqueeze(0)
        yield outputs(parameters, inputs, network, answers, ends), targets


def score(
    parameters: dict[str, Tensor],
    network: Network,
    task: Task,
    tests: Iterator[Batch],
    answers: int,
) -> tuple[float, float]:
    """Return one network's mean loss over test sequences, and the share it answers wrong.

    Args:
        parameters: by torch's names, with a run axis of length 1.
        network: what the network is.
        task: what scores the answers.
        tests: the sequences.
        answers: at how many of the last time steps there is a loss.
    """
    reader = reader_of(network, parameters["readout.weight"], parameters["readout.bias"])
    count, loss, wrong = 0, 0.0, 0.0
    for found, targets in answered(parameters, network, tests, answers):
        own, size = found[:, -task.answers :], found.shape[2]
        loss += size * float(reader.losses(found, TaskLoss(task, targets.expand(-1, answers, -1))))
        wrong += size * float(task.error(own, targets))
        count += size
    return loss / count, wrong / count
