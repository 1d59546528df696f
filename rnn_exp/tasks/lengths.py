"""Ranges of lengths: each batch has a length of its own.

Pascanu, Mikolov & Bengio (2013, section 4.1.1) train on sequences of 50 to 200 time steps. A task
with one answer, at the last step, can have such a range; one with an answer at every step cannot.
"""

import dataclasses
from typing import Any

import torch

from rnn_exp.fields import SettingError, whole
from rnn_exp.tasks.task import Batch, FixedLength, Task

__all__ = ["LengthRange", "at_length", "longest_field"]


class LengthRange(FixedLength):
    """A task whose nominal length may be drawn anew for every batch.

    Without ``longest`` every batch is of the nominal length. With it, each batch has a length of
    its own, uniform from ``length`` to ``longest``, the same for all of its sequences.
    """

    longest: int | None

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
        """Draw a length, if there is a range of them, and sequences with zeros behind them."""
        if self.longest is None:
            return self.draw_at(self.length, batch_size, generator)
        length = int(torch.randint(self.length, self.longest + 1, (), generator=generator))
        batch = self.draw_at(length, batch_size, generator)
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
        """Refuse a longest length that is not above the nominal one.

        Raises:
            SettingError: naming it.
        """
        if self.longest is not None and self.longest <= self.length:
            allowed = f"null, or a whole number above task.length={self.length}"
            raise SettingError("longest", self.longest, allowed)


def longest_field() -> Any:  # noqa: ANN401 - dataclass fields are typed as their value
    """Declare the field of a `LengthRange` that has the largest nominal length; null: no range."""
    return whole(None, least=1, short="to")


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
    other: Task = dataclasses.replace(task, **changed)  # type: ignore[type-var]
    return other
