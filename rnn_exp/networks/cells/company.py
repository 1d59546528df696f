"""What lets a run of any cell have the same bits alone and in company, where steps are not our own.

Hand-written cells see to that with the layout of their own numbers (`layout`).
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rnn_exp.networks.cells.layout import time_chunks
from rnn_exp.shapes import Float

__all__ = ["by_time", "chunks", "padded", "plain", "sum_over_time"]

# Numbers at the end of a block that may round in another way than the rest.
_TAIL = 31
# How much longer the stretches of time are that are worked on at once than in other cells.
_LONGER = 4


def chunks(T: int, B: int, H: int) -> list[slice]:
    """Cut time into longer chunks than hand-written cells do: many more operations start each."""
    return time_chunks(T, B, max(1, H // _LONGER))


def by_time(ahead: Sequence[Tensor], chunk: slice) -> list[tuple[Tensor, ...]]:
    """Return what was made ahead, an entry a time step of a chunk."""
    if not ahead:
        return [()] * (chunk.stop - chunk.start)
    return list(zip(*(values.unbind() for values in ahead), strict=True))


def plain(values: Tensor) -> Tensor:
    """Return numbers that autograd may keep, also where they were made in inference mode."""
    if not values.is_inference():
        return values.detach()
    with torch.inference_mode(False):
        return values.clone()


def padded(
    values: Float[Tensor, "*any batch k"], hidden: int, *, zero: bool = False
) -> Float[Tensor, "*any more k"]:
    """Put sequences behind those of every run: the last one again, or zeros."""
    more = -(-_TAIL // hidden)
    shape = (*values.shape[:-2], more, values.shape[-1])
    last = values.new_zeros(shape) if zero else values[..., -1:, :].expand(shape)
    return torch.cat([values, last], dim=-2)


def sum_over_time(values: Float[Tensor, "time ..."]) -> Tensor:
    """Return the sum over time, half of it added to the other half again and again.

    torch's own sum of a column rounds in another way beside more columns.
    """
    while len(values) > 1:
        half, odd = divmod(len(values), 2)
        values, last = values[:half] + values[half : 2 * half], values[-1]
        if odd:
            values[0] += last
    return values[0]
