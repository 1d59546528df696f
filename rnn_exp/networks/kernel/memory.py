"""Where the numbers of tensors lie, as the kernels go through them: addresses and distances."""

from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnn_exp.networks.kernel.blocks import empty
from rnn_exp.shapes import Float

__all__ = [
    "BYTES",
    "Room",
    "Rows",
    "begun",
    "handed",
    "room",
    "row_length",
    "rows_of",
    "side_by_side",
    "spare_room",
    "stretch_length",
    "widened",
    "with_direct",
]

BYTES: Final = 64
"""Of a vector, on every processor: 16 numbers of float32, 8 of float64."""
Room = tuple[Tensor, Tensor]
"""Room for rows that are filled up, and what is seen of it (`room`)."""
_STRETCH: Final = 1 << 14  # numbers of a layer and run whose part in ∂L/∂W is one sum


_ARRAYS: Final = {
    torch.float32: np.zeros(0, np.float32),
    torch.float64: np.zeros(0, np.float64),
}


class Rows(NamedTuple):
    """The rows of a tensor (time, run, batch, k): of a run, one after the other in time and batch.

    Args:
        values: a tensor that begins with the first number of the first row.
        row: numbers from one row to the next.
        run: numbers from one run to the next.
    """

    values: Tensor
    row: int
    run: int


def handed(dtype: torch.dtype, *values: Tensor) -> tuple[Any, tuple[int, ...]]:
    """Return tensors as kernels take them: an array of their precision, and their addresses.

    An address, where the first number of a tensor lies, costs a tenth of what an array does: torch
    makes a tensor for every array. The caller keeps the tensors alive.

    Raises:
        TypeError: for a tensor that is not on the processor, or of another precision.
    """
    for one in values:
        if one.dtype is not dtype or not one.is_cpu:
            raise TypeError(
                f"a kernel in {dtype} on the processor cannot read {one.dtype}, {one.device}"
            )
    return _ARRAYS[dtype], tuple([one.data_ptr() for one in values])


def row_length(size: int, dtype: torch.dtype) -> int:
    """Return how many numbers a row has that is filled up to whole vectors.

    Example:
        >>> row_length(50, torch.float32), row_length(50, torch.float64)
        (64, 56)
    """
    lanes = BYTES // dtype.itemsize
    return -(-size // lanes) * lanes


def room(like: Tensor, R: int, T: int, B: int, size: int) -> Room:
    """Return room for rows, and what is seen of it: without what fills rows up."""
    row = row_length(size, like.dtype)
    made = empty(like, R, T, B, row)
    return made, made.as_strided((T, R, B, size), (B * row, T * B * row, row, 1))


def rows_of(values: Float[Tensor, "time run batch k"], *, whole_vectors: bool = False) -> Rows:
    """Return the rows of a tensor; on its own memory, if they lie there as they should.

    Args:
        values: the tensor.
        whole_vectors: whether rows must be filled up to whole vectors.
    """
    T, R, B, k = values.shape
    by_time, by_run, by_batch, by_unit = values.stride()
    row = by_batch if B > 1 else by_time if T > 1 else k
    wide = row_length(k, values.dtype) if whole_vectors else k
    fits = (k == 1 or by_unit == 1) and (T == 1 or by_time == B * row)
    fits = fits and (row == wide if whole_vectors else row >= wide)
    run = by_run if R > 1 else 0
    if fits and wide > k:  # the last row may end where the memory does
        last = values.storage_offset() + (R - 1) * run + (T * B - 1) * row + wide
        fits = last * values.element_size() <= values.untyped_storage().nbytes()
    if fits:
        return Rows(values, row, run)
    made = values.new_zeros(R, T, B, wide)
    made[..., :k] = values.transpose(0, 1)
    return Rows(made, wide, T * B * wide)


def side_by_side(values: Float[Tensor, "run ..."]) -> tuple[Tensor, int]:
    """Return a parameter of which the numbers of a run lie side by side, and those between runs."""
    shape, strides = values.shape, values.stride()
    fits = shape[-1] == 1 or strides[-1] == 1
    if len(shape) == 3:
        fits = fits and (shape[1] == 1 or strides[1] == shape[2])
    own = values if fits else values.contiguous()
    return own, own.stride(0)


def widened(matrix: Float[Tensor, "run rows columns"]) -> Float[Tensor, "run rows row"]:
    """Return matrices whose rows are filled up with zeros to whole vectors."""
    spare = row_length(matrix.shape[-1], matrix.dtype) - matrix.shape[-1]
    return torch.nn.functional.pad(matrix, (0, spare)).contiguous()


def stretch_length(T: int, B: int, row: int) -> int:
    """Return of how many time steps what they give to ∂L/∂W is one sum."""
    return min(T, max(1, _STRETCH // (B * row)))


def begun(initial: Float[Tensor, "run batch hidden"], T: int) -> Room:
    """Return room for a state before the first step and after each of T, the first one there."""
    R, B, H = initial.shape
    made, states = room(initial, R, T + 1, B, H)
    made[:, 0] = 0
    states[0] = initial
    return made, states


def with_direct(direct: Float[Tensor, "last run batch hidden"], T: int) -> Room:
    """Return room for ∂L/∂h_t of T steps, with the direct parts of the last ones in it."""
    known, R, B, H = direct.shape
    made, total = room(direct, R, T, B, H)
    made[:, T - known :, :, H:] = 0
    total[T - known :] = direct
    return made, total


def spare_room(
    like: Tensor, deltas: tuple[int, ...], part: tuple[int, int], of_x: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return room for δ of a stretch and for a product, and zeros, as many as the longest row."""
    zeros = like.new_zeros(max(deltas[-1], of_x.shape[-1]))
    return like.new_empty(*deltas), like.new_empty(*part), zeros
