"""Large blocks of memory that one update frees and the next one takes again.

glibc maps every block above 32 MiB anew, and the system then has to clear each of its pages: half
of the time of an update of 32 runs with T = 500. (To forbid it to map them, `M_MMAP_MAX`, lets the
heap grow where a block does not fit between others.)
"""

import contextlib
import functools
import math
import mmap
import os
import weakref

import numpy as np
import torch
from torch import Tensor

__all__ = ["empty", "return_blocks"]

_LARGE = 32 * 1024**2  # bytes; glibc keeps smaller ones itself (`sweeps.process`)
_MOST_SPARE = 2  # a block is taken for what needs at least half of it: runs end, so needs shrink


class _Blocks:
    """Blocks that nothing uses at present."""

    def __init__(self) -> None:
        self._free: list[mmap.mmap] = []

    def take(self, size: int) -> mmap.mmap:
        """Return a free block that is not much larger, or a new one in the place of all of them."""
        fitting = [one for one in self._free if size <= len(one) <= _MOST_SPARE * size]
        for found in sorted(fitting, key=len):
            with contextlib.suppress(ValueError):  # another thread has taken it meanwhile
                self._free.remove(found)  # in one step, so that no two threads have it
                return found
        self.clear()
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE)

    def give_back(self, block: mmap.mmap) -> None:
        """Keep a block for the next one that needs it."""
        self._free.append(block)

    def clear(self) -> None:
        """Return all of them to the system."""
        self._free.clear()


@functools.cache
def _blocks() -> _Blocks:
    """Return the blocks of this process."""
    return _Blocks()


def empty(like: Tensor, *shape: int) -> Tensor:
    """Return a tensor of another's precision on the processor, whatever its numbers are.

    Where it is large its memory is kept, when no tensor uses it any longer, for the next one.
    """
    size = math.prod(shape) * like.element_size()
    if size < _LARGE or os.name != "posix":
        return like.new_empty(*shape)
    blocks = _blocks()
    block = blocks.take(size)
    whole = np.frombuffer(block, dtype=np.uint8, count=size)
    # The tensor and all its views hold the array, and that holds the block.
    weakref.finalize(whole, blocks.give_back, block).atexit = False
    return torch.from_numpy(whole).view(like.dtype).view(shape)


def return_blocks() -> None:
    """Return to the system what is kept."""
    _blocks().clear()
