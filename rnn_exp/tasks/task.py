"""What a task is, and how answers are scored.

A task draws sequences with answers and knows what guessing would score (`Task`, `Batch`). Every
task is registered in `TASKS`. `Regression` and `Classification` score answers that are numbers or
classes.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from rnn_exp.registry import Registry
from rnn_exp.shapes import Float, Shaped

__all__ = [
    "TASKS",
    "Batch",
    "Classification",
    "FixedLength",
    "HoldsOut",
    "Regression",
    "Task",
    "one_hot",
    "with_slope",
    "with_slope_of",
]

_Loss = TypeVar("_Loss", bound=Callable[..., Any])


class Batch(NamedTuple):
    """Sequences for one run, and their answers.

    Args:
        inputs: what the network reads; 0 after time step ``length``, where it means nothing.
        targets: the right answers, numbers (float32) or classes (int64).
        cues: the time steps, counted from 1, whose inputs must be remembered.
        length: the number of time steps of these sequences, of the longest if they differ.
        ends: the number of time steps of each sequence, after which its inputs are 0 and at the
            last of which it is answered; None: ``length``, of all of them.
    """

    inputs: Float[Tensor, "time batch input"]
    targets: Shaped[Tensor, "answer batch"]
    cues: Shaped[Tensor, "cue batch"]
    length: int
    ends: Shaped[Tensor, " batch"] | None = None


@runtime_checkable
class Task(Protocol):
    """A task whose answers are read out at the last ``answers`` time steps of a sequence."""

    @property
    def name(self) -> str:
        """The word that chooses this task."""
        ...

    @property
    def length(self) -> int:
        """L, the nominal length, as the task's paper counts it."""
        ...

    @property
    def steps(self) -> int:
        """T, the number of time steps of the longest sequence there can be."""
        ...

    @property
    def shortest(self) -> int:
        """The number of time steps of the shortest sequence; where it is less, answers is 1."""
        ...

    @property
    def answers(self) -> int:
        """How many time steps are read out: 1 (the last), or ``steps`` (every one)."""
        ...

    @property
    def input_size(self) -> int:
        """How many numbers the network reads at a time step."""
        ...

    @property
    def output_size(self) -> int:
        """How many numbers the network answers with."""
        ...

    @property
    def chance_loss(self) -> float:
        """The expected loss of the best guess that has seen no input."""
        ...

    @property
    def chance_error(self) -> float:
        """The expected share of sequences on which that guess is wrong, from 0 to 1."""
        ...

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw fresh sequences.

        Args:
            batch_size: how many.
            generator: where every random number comes from; equal states draw equal sequences.
        """
        ...

    def loss(
        self,
        outputs: Float[Tensor, "run answer batch output"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return each run's loss, the mean over its answers and its batch.

        Args:
            outputs: what the networks say: any number of answers, the last one alone or one at
                every time step.
            targets: the right answers.
        """
        ...

    def error(
        self,
        outputs: Float[Tensor, "run answer batch output"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return each run's share of sequences of which any answer is wrong, from 0 to 1.

        Args:
            outputs: what the networks say.
            targets: the right answers.
        """
        ...


@runtime_checkable
class HoldsOut(Protocol):
    """What a task can do besides: it has sequences that are never drawn, to be tested on."""

    def held_out(self) -> Batch:
        """Return each sequence that is not for training once."""
        ...


TASKS: Registry[type[Task]] = Registry("task")


class FixedLength:
    """A task with ``length`` time steps in every sequence, and one answer, at the last of them."""

    length: int

    @property
    def steps(self) -> int:
        """T, the number of time steps."""
        return self.length

    @property
    def shortest(self) -> int:
        """T: no sequence is shorter."""
        return self.steps

    @property
    def answers(self) -> int:
        """One."""
        return 1


_Slope = Callable[..., tuple[Tensor, Tensor] | None]


def with_slope(slope: _Slope) -> Callable[[_Loss], _Loss]:
    """Mark a loss as one whose gradient by the outputs is written out.

    Args:
        slope: a method that returns the same loss, and the gradient of their sum by the outputs;
            None: it does not know this one.
    """
    return with_slope_of(lambda _: slope)


def with_slope_of(slope_of: Callable[[Any], _Slope]) -> Callable[[_Loss], _Loss]:
    """Mark a loss whose gradient is written out, of some tasks in one way, of others in another.

    The mark is on the function and names it, so that a loss that replaces it has none, not even
    one that is given what belongs to the other (`functools.wraps`).

    Args:
        slope_of: returns, of a task, what `with_slope` takes.
    """

    def marked(loss: _Loss) -> _Loss:
        vars(loss)["and_slope"] = loss, slope_of
        return loss

    return marked


class Regression(FixedLength):
    """Scores answers that are numbers; a sequence is wrong if one is off by too much."""

    @property
    def tolerance(self) -> float:
        """The distance from the target from which on an answer is wrong.

        It is 0.04 as in Hochreiter & Schmidhuber 1997, experiment 4.
        """
        return 0.04

    def loss_and_slope(
        self,
        outputs: Float[Tensor, "run answer batch 1"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> tuple[Float[Tensor, " run"], Float[Tensor, "run answer batch 1"]]:
        """Return `loss` and 2 (y − target) / N, N the number of answers, to autograd's bits."""
        off = outputs - targets.unsqueeze(-1)
        slope = off * (2 / (off.shape[1] * off.shape[2]))
        return off.square().flatten(1).mean(-1), slope.to(outputs.dtype)

    @with_slope(loss_and_slope)
    def loss(
        self,
        outputs: Float[Tensor, "run answer batch 1"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return each run's mean squared error."""
        return (outputs.squeeze(-1) - targets).square().flatten(1).mean(-1)

    def error(
        self,
        outputs: Float[Tensor, "run answer batch 1"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return the share of sequences with an answer off by ``tolerance`` or more (or NaN)."""
        right = ((outputs.squeeze(-1) - targets).abs() < self.tolerance).all(1)
        return 1 - right.to(outputs.dtype).mean(-1)


class Classification(FixedLength):
    """Scores answers that are classes; a sequence is wrong if any one of its answers is."""

    def loss_and_slope(
        self,
        outputs: Float[Tensor, "run answer batch output"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> tuple[Float[Tensor, " run"], Float[Tensor, "run answer batch output"]] | None:
        """Return `loss` and (softmax(y) − one-hot of the target) / N, to autograd's bits.

        None where an answer is of no class: −100 is torch's word for one that is not scored.
        """
        if targets.min() < 0:
            return None
        logs, right = torch.log_softmax(outputs.flatten(0, 2), -1), targets.flatten().unsqueeze(-1)
        share = 1 / logs.new_full((), targets[0].numel())
        by_log = torch.zeros_like(logs).scatter_(-1, right, (-share).expand(right.shape))
        slope = torch.ops.aten._log_softmax_backward_data(by_log, logs, -1, logs.dtype)  # noqa: SLF001
        loss = -logs.gather(-1, right).view(targets.shape)
        return loss.flatten(1).mean(-1), slope.view(outputs.shape)

    @with_slope(loss_and_slope)
    def loss(
        self,
        outputs: Float[Tensor, "run answer batch output"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return each run's mean cross-entropy, in nats."""
        cross_entropy = torch.nn.functional.cross_entropy(
            outputs.flatten(0, 2), targets.flatten(), reduction="none"
        )
        return cross_entropy.view(targets.shape).flatten(1).mean(-1)

    def error(
        self,
        outputs: Float[Tensor, "run answer batch output"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return the share of sequences of which any most likely class is not the right one."""
        wrong = (outputs.argmax(-1) != targets).any(1)
        return wrong.to(outputs.dtype).mean(-1)


def one_hot(
    symbols: Shaped[Tensor, "time batch"], symbol_count: int
) -> Float[Tensor, "time batch input"]:
    """Return inputs that are 1 in the channel of the symbol, and 0 in all others.

    Args:
        symbols: a number from 0 to ``symbol_count`` − 1 at every time step.
        symbol_count: how many symbols there are: the number of channels.

    Example:
        >>> one_hot(torch.tensor([[2], [0]]), 3)[:, 0].tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    inputs = torch.zeros(*symbols.shape, symbol_count, dtype=torch.float32)
    return inputs.scatter_(-1, symbols.unsqueeze(-1), 1.0)
