"""Checks of a task: its sequences are what they say, and guessing scores what it says.

The best guess that has seen no input is made from the answers of sequences that are drawn: their
mean, or the logarithms of their frequencies. What it scores is compared with ``chance_loss`` and
``chance_error``, within the scatter of so many draws.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from rnn_exp.randomness import generator
from rnn_exp.tasks import Batch, Task
from rnn_exp.verification.finding import Finding, truth

__all__ = ["check_task"]

_BATCHES, _SEQUENCES = 16, 512
_SIGMAS = 6.0  # of the scatter of a mean over so many draws
_LEAST = 1e-6  # of float32


def check_task(part: str, task: Task) -> Iterator[Finding]:
    """Yield what is found of a task.

    Args:
        part: what it is called in findings.
        task: with its settings.
    """
    draw = generator(0, "verification")
    batches = [task.draw(_SEQUENCES, draw) for _ in range(_BATCHES)]
    again = task.draw(_SEQUENCES, generator(0, "verification"))
    yield truth(part, "equal generators draw equal sequences", _equal(again, batches[0]))
    shaped = _shaped(task, batches)
    yield truth(
        part,
        "inputs have the shape (steps, batch, input_size), answers (answers, batch)",
        shaped,
    )
    yield truth(
        part,
        "inputs are finite, and 0 after the end of a sequence",
        all(bool(b.inputs.isfinite().all()) and not _inputs_after_ends(b).any() for b in batches),
    )
    yield truth(
        part,
        "cues are time steps from 1 to the length of a sequence",
        all(bool(((b.cues >= 1) & (b.cues <= _ends(b))).all()) for b in batches),
    )
    yield truth(
        part,
        "every length is between shortest and steps",
        all(task.shortest <= int(_ends(b).min()) <= b.length <= task.steps for b in batches),
    )
    if shaped:  # what guessing scores follows from the answers
        yield from _chance(part, task, torch.cat([batch.targets for batch in batches], dim=-1))


def _ends(batch: Batch) -> Tensor:
    """Return the time steps of each sequence."""
    return torch.tensor([batch.length]) if batch.ends is None else batch.ends


def _inputs_after_ends(batch: Batch) -> Tensor:
    """Return the inputs with 0 in place of those of all sequences up to their ends."""
    after = torch.arange(len(batch.inputs)).unsqueeze(1) >= _ends(batch)
    return batch.inputs * after.unsqueeze(-1)


def _equal(one: Batch, other: Batch) -> bool:
    pairs = zip(one[:3], other[:3], strict=True)  # inputs, targets, cues
    return one.length == other.length and all(torch.equal(a, b) for a, b in pairs)


def _shaped(task: Task, batches: list[Batch]) -> bool:
    return all(
        batch.inputs.shape[1:] == (_SEQUENCES, task.input_size)
        and batch.length <= len(batch.inputs) <= task.steps
        and batch.targets.shape == (task.answers, _SEQUENCES)
        for batch in batches
    )


def _chance(part: str, task: Task, targets: Tensor) -> Iterator[Finding]:
    """Yield how the best guess without any input compares with what the task says of it."""
    count = targets.shape[-1]
    if targets.is_floating_point():
        guess = targets.double().mean(-1)[:, None, None].expand(-1, count, 1)
        bias = 0.0
    else:
        numbers = torch.stack([torch.bincount(row, minlength=task.output_size) for row in targets])
        frequencies = (numbers / count).clamp(min=1e-300)
        guess = frequencies.double().log()[:, None, :].expand(-1, count, -1)
        bias = task.output_size / count  # of an entropy from so many draws
    # One run a sequence: the loss of each, and so the scatter of their mean.
    outputs, each = guess.transpose(0, 1).unsqueeze(2), targets.T.unsqueeze(2)
    each = each.double() if targets.is_floating_point() else each
    for name, scores, said in (
        ("chance_loss", task.loss(outputs, each), task.chance_loss),
        ("chance_error", task.error(outputs, each), task.chance_error),
    ):
        allowed = _SIGMAS * float(scores.std()) / math.sqrt(count) + bias + _LEAST
        claim = f"{name} {said:.4g} is what guessing scores on {count} sequences"
        yield Finding(part, claim, abs(float(scores.mean()) - said), allowed)
