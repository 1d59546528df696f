"""Recall: a pattern of symbols is shown, a cue asks for it much later, an answer at every step."""

import abc
import math

import torch

from rnn_exp.tasks.base import Batch
from rnn_exp.tasks.classification import Classification, one_hot

__all__ = ["Recall"]


class Recall(Classification, abc.ABC):
    """A pattern in the first inputs, a cue after ``length`` steps, the pattern in the last answers.

    Symbol 0 is the blank, which fills everything else, 1 to ``values`` make the pattern, and
    ``values + 1``, at time step ``cue`` (from 1), asks for it. The cue is no class.
    """

    values: int

    @property
    @abc.abstractmethod
    def shown(self) -> int:
        """How many symbols make the pattern."""

    @property
    @abc.abstractmethod
    def cue(self) -> int:
        """The time step of the cue."""

    @property
    def steps(self) -> int:
        """L, and the pattern twice: shown and asked for."""
        return self.length + 2 * self.shown

    @property
    def answers(self) -> int:
        """One at every step."""
        return self.steps

    @property
    def input_size(self) -> int:
        """The blank, the values, the cue."""
        return self.values + 2

    @property
    def output_size(self) -> int:
        """The blank and the values."""
        return self.values + 1

    @property
    def chance_loss(self) -> float:
        """The mean cross-entropy of who knows when to answer and no symbol."""
        return self.shown * math.log(self.values) / self.steps

    @property
    def chance_error(self) -> float:
        """The share of patterns that are not the one guessed."""
        return 1 - float(self.values) ** -self.shown

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw patterns."""
        count = self.shown
        pattern = torch.randint(1, self.values + 1, (count, batch_size), generator=generator)
        inputs = torch.zeros(self.steps, batch_size, dtype=torch.int64)
        targets = inputs.clone()
        inputs[:count], inputs[self.cue - 1], targets[-count:] = pattern, self.values + 1, pattern
        cues = torch.arange(1, count + 1).unsqueeze(1).expand(count, batch_size)
        return Batch(one_hot(inputs, self.input_size), targets, cues, self.steps)
