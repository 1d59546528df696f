"""Temporal order: in which order did two or three cues come?"""

import dataclasses
import math
from typing import ClassVar

import torch

from rnn_exp.fields import SettingError, check, whole
from rnn_exp.tasks.lengths import LengthRange, lengths_field, longest_field
from rnn_exp.tasks.task import Batch, Classification, one_hot

__all__ = ["TemporalOrder"]

# The tenth of the sequence in which each cue stands, by the number of cues.
_TENTHS = {2: (1, 5), 3: (1, 3, 6)}


@dataclasses.dataclass(frozen=True)
class TemporalOrder(LengthRange, Classification):
    """Name the two (or three) cues, each A or B, in their order (Pascanu, Mikolov & Bengio 2013).

    ::

        time     1 2 3 4 5 6 7 8 9 10
        symbol   c A d f e B c c f d              answer (A, B): class 0 + 2·1 = 2 of 4

    One-hot inputs of six symbols: A, B = 0, 1 are cues, 2–5 distractors drawn uniformly. Counting
    from 0, the first of two cues stands in [L/10, 2L/10), the second in [5L/10, 6L/10) (§4.1.1).
    Three cues stand in [L/10, 2L/10), [3L/10, 4L/10) and [6L/10, 7L/10). The class is
    v₀ + 2 v₁ + 4 v₂. Cross-entropy at the last step; guessing scores ln 4 and is wrong 75 % of the
    time, with three cues ln 8 and 87.5 %. Solved: fewer than 1 % of 10,000 sequences wrong.

    Args:
        length: L, in time steps.
        cues: how many there are, 2 or 3.
        longest: where it is given, each batch has a length of its own, from L to this (null: none).
        lengths: with ``sequence``, each sequence of a batch has one, in place of the ``batch``.

    Raises:
        SettingError: if the length is below 10, or the cues are not 2 or 3.
    """

    length: int = whole(50, least=10)
    cues: int = whole(2, least=2)
    longest: int | None = longest_field()
    lengths: str = lengths_field()

    name: ClassVar[str] = "temporal_order"
    input_size: ClassVar[int] = 6

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        if type(self.cues) is not int or self.cues not in _TENTHS:
            raise SettingError("cues", self.cues, "2 or 3")
        check(self)
        self.check_range()

    @property
    def output_size(self) -> int:
        """A class for each order of the cues."""
        return 2**self.cues

    @property
    def chance_loss(self) -> float:
        """The cross-entropy of classes of which each is as likely as any other."""
        return math.log(self.output_size)

    @property
    def chance_error(self) -> float:
        """The share of all classes but one."""
        return 1 - 1 / self.output_size

    def draw_at(self, length: int, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw distractors everywhere, then put the cues in."""
        L = length
        symbols = torch.randint(2, self.input_size, (L, batch_size), generator=generator)
        ranges = [(tenth * L // 10, (tenth + 1) * L // 10) for tenth in _TENTHS[self.cues]]
        positions = torch.stack(
            [torch.randint(low, high, (batch_size,), generator=generator) for low, high in ranges]
        )
        cues = torch.randint(0, 2, (self.cues, batch_size), generator=generator)
        symbols.scatter_(0, positions, cues)
        classes, *later = torch.split(cues, 1)
        for place, cue in enumerate(later, 1):
            classes = torch.add(classes, cue, alpha=2**place)
        return Batch(one_hot(symbols, self.input_size), classes, positions + 1, L)
