"""Ranges of lengths: each batch has a length of its own, or each of its sequences.

Pascanu, Mikolov & Bengio (2013, section 4.1.1) train on sequences of 50 to 200 time steps. A task
with one answer, at the last step, can have such a range; one with an answer at every step cannot.
"""

import dataclasses
from typing import Any, Final

import torch

from rnn_exp.fields import SettingError, choice, whole
from rnn_exp.tasks.task import Batch, FixedLength, Task

__all__ = [
    "LengthRange",
    "at_length",
    "has_own_ends",
    "lengths_field",
    "longest_field",
    "with_one_length",
]

_BATCH: Final = "batch"
_SEQUENCE: Final = "sequence"


class LengthRange(FixedLength):
    """A task whose nominal length may be drawn anew for every batch, or for every sequence.

    Without ``longest`` every sequence is of the nominal length. With it, each batch has a length of
    its own, uniform from ``length`` to ``longest``, the same for all of its sequences; or, with
    ``lengths=sequence``, each sequence has one, and is answered at its own end.
    """

    longest: int | None
    lengths: str = _BATCH

    @property
    def steps(self) -> int:
        """T, the number of time steps of the longest sequence."""
        return self.steps_at(self.longest or self.length)

    @property
    def shortest(self) -> int:
        """The number of time steps of the shortest sequence."""
        return self.length

    def steps_at(self, length: int) -> int:
        """Return the number of time steps of the longest sequence of a nominal length.

        Args:
            length: the nominal length.
        """
        return length

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw lengths, if there is a range of them, and sequences with zeros behind them."""
        if self.longest is None:
            return self.draw_at(self.length, batch_size, generator)
        if self.lengths == _SEQUENCE:
            return self._draw_each(self.longest, batch_size, generator)
        length = int(torch.randint(self.length, self.longest + 1, (), generator=generator))
        return self._padded(self.draw_at(length, batch_size, generator))

    def _draw_each(self, longest: int, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw a length for each sequence; those of one nominal length are drawn together."""
        lengths = torch.randint(self.length, longest + 1, (batch_size,), generator=generator)
        found, order, ends = list[Batch](), list[torch.Tensor](), torch.empty_like(lengths)
        for length in sorted({*lengths.tolist()}):
            places = (lengths == length).nonzero().flatten()
            batch = self.draw_at(length, len(places), generator)
            found.append(self._padded(batch))
            order.append(places)
            ends[places] = batch.length
        back = torch.cat(order).argsort()
        inputs, targets, cues = (
            torch.cat(parts, dim=1)[:, back]
            for parts in zip(*(batch[:3] for batch in found), strict=True)
        )
        return Batch(inputs, targets, cues, int(ends.max()), ends)

    def _padded(self, batch: Batch) -> Batch:
        """Return a batch with zeros behind its inputs, up to the longest length that there is."""
        missing = self.steps - len(batch.inputs)
        inputs = torch.nn.functional.pad(batch.inputs, (0, 0, 0, 0, 0, missing))
        return batch._replace(inputs=inputs)

    def draw_at(self, length: int, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw sequences of a nominal length.

        Args:
            length: the nominal length.
            batch_size: how many.
            generator: where every random number comes from.
        """
        raise NotImplementedError

    def check_range(self) -> None:
        """Refuse a longest length that is not above the nominal one, and lengths without a range.

        Raises:
            SettingError: naming it.
        """
        if self.longest is not None and self.longest <= self.length:
            allowed = f"null, or a whole number above task.length={self.length}"
            raise SettingError("longest", self.longest, allowed)
        if self.longest is None and self.lengths != _BATCH:
            allowed = f"{_BATCH} with task.longest=null: there is one length"
            raise SettingError("lengths", self.lengths, allowed)


def longest_field() -> Any:  # noqa: ANN401 - dataclass fields are typed as their value
    """Declare the field of a `LengthRange` that has the largest nominal length; null: no range."""
    return whole(None, least=1, short="to")


def lengths_field() -> Any:  # noqa: ANN401
    """Declare the field of a `LengthRange` that says what has a length of its own."""
    return choice(_BATCH, [_BATCH, _SEQUENCE], short="per")


def has_own_ends(task: Task) -> bool:
    """Say whether each sequence of a batch has a length of its own.

    Args:
        task: any task.
    """
    return isinstance(task, LengthRange) and task.lengths == _SEQUENCE


def with_one_length(task: Task) -> Task:
    """Return the task that theory looks at: one whose sequences end together.

    Args:
        task: any task; where each sequence has a length of its own, it is that of the longest.
    """
    longest = task.longest if isinstance(task, LengthRange) and has_own_ends(task) else None
    return task if longest is None else at_length(task, longest)


def at_length(task: Task, length: int) -> Task:
    """Return the same task at one nominal length.

    Args:
        task: a frozen dataclass.
        length: the nominal length; that of every batch, also where the task has a range of them.

    Raises:
        SettingError: if the task cannot have that length.
    """
    changed: dict[str, Any] = {"length": length}
    if isinstance(task, LengthRange):
        changed["longest"] = None
        if has_own_ends(task):
            changed["lengths"] = _BATCH
    other: Task = dataclasses.replace(task, **changed)  # type: ignore[type-var]
    return other
