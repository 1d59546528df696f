"""Random permutation: which symbol came first, so many random ones ago?"""

import dataclasses
import math
from typing import ClassVar

import torch

from rnn_exp.settings import check, whole
from rnn_exp.tasks.base import Batch
from rnn_exp.tasks.classification import Classification, one_hot

__all__ = ["Permutation"]


@dataclasses.dataclass(frozen=True)
class Permutation(Classification):
    """Name the first symbol at the end (Pascanu, Mikolov & Bengio 2013 and their code).

    ::

        time     1  2  3  4  5  6
        symbol   1 37  5 88 41 16              answer 1: class 1 of 100

    One-hot inputs of 100 symbols: the first, the cue, is 0 or 1; all others are drawn uniformly
    from 2–99 (with replacement, despite the name). The classes are the 100 symbols. Cross-entropy
    at the last step, for the symbol that would come next: the first one again. Guessing 0 and 1
    alike scores ln 2 and is wrong 50 % of the time. Solved: fewer than 1 % of 10,000 sequences
    wrong.

    Raises:
        SettingError: if the length is below 2: the cue would be the last step.
    """

    length: int = whole(50, least=2)

    name: ClassVar[str] = "permutation"
    input_size: ClassVar[int] = 100
    output_size: ClassVar[int] = 100
    chance_loss: ClassVar[float] = math.log(2)
    chance_error: ClassVar[float] = 0.5

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw distractors everywhere, then put the cue first."""
        size = (self.length, batch_size)
        symbols = torch.randint(2, self.input_size, size, generator=generator)
        symbols[0] = torch.randint(0, 2, (batch_size,), generator=generator)
        cues = torch.ones(1, batch_size, dtype=torch.int64)
        return Batch(one_hot(symbols, self.input_size), symbols[:1], cues, self.length)
