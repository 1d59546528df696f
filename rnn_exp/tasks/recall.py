"""Recall: a pattern of symbols is shown, a cue asks for it much later, an answer at every step."""

import math

import torch

from rnn_exp.tasks.base import Batch
from rnn_exp.tasks.classification import one_hot

__all__ = ["chance_error", "chance_loss", "draw"]


def draw(
    shape: tuple[int, int], values: int, *, cue: int, steps: int, generator: torch.Generator
) -> Batch:
    """Draw patterns of shape (symbols, batch): the first inputs, and the last answers.

    Symbol 0 is the blank, which fills everything else, 1 to ``values`` make the pattern, and
    ``values + 1``, at time step ``cue`` (from 1), asks for it. The cue is no class.
    """
    symbols, batch_size = shape
    pattern = torch.randint(1, values + 1, shape, generator=generator)
    shown = torch.zeros(steps, batch_size, dtype=torch.int64)
    asked = shown.clone()
    shown[:symbols], shown[cue - 1], asked[-symbols:] = pattern, values + 1, pattern
    cues = torch.arange(1, symbols + 1).unsqueeze(1).expand(symbols, batch_size)
    return Batch(one_hot(shown, values + 2), asked, cues, steps)


def chance_loss(symbols: int, values: int, steps: int) -> float:
    """The mean cross-entropy of who knows when to answer and no symbol."""
    return symbols * math.log(values) / steps


def chance_error(symbols: int, values: int) -> float:
    """The share of patterns that are not the one guessed."""
    return 1 - float(values) ** -symbols
