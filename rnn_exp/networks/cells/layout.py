"""Blocks of memory: how many numbers are worked on at a time, and where states lie.

None of this changes a number; all of it decides how fast they come, and that a run's numbers do
not depend on the runs beside it.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from rnn_exp.shapes import Float

__all__ = [
    "allocate_by_run",
    "allocate_states",
    "allocate_steps",
    "allocate_total",
    "cache_blocks",
    "chunk_length",
    "elementwise",
    "flatten_time_batch",
    "input_gradient",
    "input_projection",
    "onto_previous",
    "split_bias",
    "time_chunks",
    "with_ones",
]

# Elementwise kernels treat the last few numbers of a block by another code path than the rest
# (for the sigmoid: with other rounding). Blocks that are a multiple of two vector registers long
# have no such tail.
_VECTOR = 32

# Time steps are worked through in chunks of about this many numbers a run, so that what the
# large GEMMs re-read is still in the cache. It must not depend on the number of runs: the order
# of summation over time decides the bits.
_CHUNK = 32768

# Numbers that fit the second-level cache together with what is computed from them.
_CACHE_BLOCK = 65536


def chunk_length(B: int, H: int) -> int:
    """Return the time steps of a chunk."""
    return max(1, _CHUNK // (B * H))


def time_chunks(T: int, B: int, H: int) -> list[slice]:
    """Cut time into chunks; the last may be shorter.

    Example:
        >>> time_chunks(T=100, B=16, H=32)
        [slice(0, 64, None), slice(64, 100, None)]
    """
    length = chunk_length(B, H)
    return [slice(start, min(start + length, T)) for start in range(0, T, length)]


def cache_blocks(values: Float[Tensor, "first ..."]) -> tuple[Tensor, ...]:
    """Cut a tensor along its first axis into pieces that fit the cache."""
    if values.numel() <= _CACHE_BLOCK:
        return (values,)
    return torch.split(values, max(1, _CACHE_BLOCK // values[0].numel()))


def elementwise(
    function: Callable[[Tensor], Tensor], values: Float[Tensor, "..."]
) -> Float[Tensor, "..."]:
    """Return a function of every number, as a new tensor; the same bits wherever a number lies.

    The numbers are copied into blocks of whole vector registers that fit the cache.
    """
    size = values.numel()
    flat = values.new_zeros(-(-size // _VECTOR) * _VECTOR)
    flat[:size] = values.reshape(-1)
    for block in torch.split(flat, _CACHE_BLOCK):
        block.copy_(function(block))
    return flat[:size].view(values.shape)


def flatten_time_batch(x: Float[Tensor, "time run batch k"]) -> Float[Tensor, "run time_batch k"]:
    """Lay sequences out as one matrix a run, so that one GEMM serves all time steps."""
    return x.transpose(0, 1).reshape(x.shape[1], -1, x.shape[3])


def with_ones(x: Float[Tensor, "*any k"]) -> Float[Tensor, "*any k+1"]:
    """Append an input that is always 1, so that the bias and its gradient are part of a GEMM."""
    return torch.nn.functional.pad(x, (0, 1), value=1.0)


def allocate_states(
    T: int, initial: Float[Tensor, "run batch hidden"], *, padded: bool
) -> tuple[Float[Tensor, "step run batch hidden"], Float[Tensor, "step number"]]:
    """Return room for h_0…h_T, h_0 filled in, and the contiguous block it lies in."""
    states, block = allocate_steps(T + 1, tuple(initial.shape), like=initial, padded=padded)
    states[0] = initial
    return states, block


def allocate_steps(
    T: int, shape: tuple[int, ...], like: Tensor, *, padded: bool = True
) -> tuple[Float[Tensor, "step run batch k"], Float[Tensor, "step number"]]:
    """Return room for T steps of a shape, and the block that it lies in, a row a step.

    Padded rows are whole vector registers long; what is after the step's own numbers is 0.
    """
    size = math.prod(shape)
    whole = -(-size // _VECTOR) * _VECTOR if padded else size
    block = like.new_empty(T, whole)
    block[:, size:] = 0
    return block[:, :size].view(T, *shape), block


def allocate_by_run(
    like: Float[Tensor, "time run batch hidden"], k: int
) -> Float[Tensor, "time run batch k"]:
    """Return room for k numbers a sequence and time step, in memory run by run.

    The large GEMMs over all time steps then need no copy (`flatten_time_batch` is a view).
    """
    T, R, B, _ = like.shape
    return like.new_empty(R, T, B, k).transpose(0, 1)


def allocate_total(
    direct: Float[Tensor, "last run batch hidden"], states: Float[Tensor, "time run batch hidden"]
) -> tuple[Float[Tensor, "time run batch hidden"], int]:
    """Return room for ∂L/∂h_t with the direct parts in it, and the index from which it has them.

    Before that index, where the direct part is 0, it holds nothing yet.
    """
    total = torch.empty_like(states, memory_format=torch.contiguous_format)
    known = len(states) - len(direct)
    total[known:] = direct
    return total, known


def split_bias(
    of_x: Float[Tensor, "run inputs_and_one k"],
) -> tuple[Float[Tensor, "run k input"], Float[Tensor, "run k"]]:
    """Return the gradients of V and of the bias, from that of both behind inputs `with_ones`."""
    return of_x[:, :-1].transpose(1, 2), of_x[:, -1]


def input_projection(
    x: Float[Tensor, "time run batch input"],
    V: Float[Tensor, "run k input"],
    into: Float[Tensor, "time run batch k"],
) -> None:
    """Write V x_t of every time step into a tensor, one GEMM a chunk of time.

    Args:
        x: the inputs.
        V: the weights of the inputs.
        into: the tensor that is filled.
    """
    T, R, B, K = into.shape
    for chunk in time_chunks(T, B, K):
        into[chunk] = (
            torch.bmm(flatten_time_batch(x[chunk]), V.transpose(1, 2))
            .view(R, -1, B, K)
            .transpose(0, 1)
        )


def onto_previous(
    delta: Float[Tensor, "run time_batch k"], W: Float[Tensor, "run k hidden"], B: int
) -> Float[Tensor, "time run batch hidden"]:
    """Return the gradient by the states before, Wᵀ δ, as (time, run, batch, hidden)."""
    return torch.bmm(delta, W).view(len(W), -1, B, W.shape[-1]).transpose(0, 1)


def input_gradient(
    delta: Float[Tensor, "run time_batch k"], V: Float[Tensor, "run k input"], B: int
) -> Float[Tensor, "time run batch input"]:
    """Return the gradient by the inputs, Vᵀ δ, as (time, run, batch, input).

    One column more than there are inputs is computed: with a single one the product would be
    matrix–vector, which rounds differently for one run than for many.
    """
    V1 = torch.nn.functional.pad(V, (0, 1))
    return torch.bmm(delta, V1).view(len(V), -1, B, V1.shape[-1])[..., :-1].transpose(0, 1)
