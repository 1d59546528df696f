"""The process: what it is told before it trains. Entry points call this; nothing does at import."""

import ctypes
import gc
import os
import platform

__all__ = ["cores", "settle", "use_one_thread"]

# glibc's mallopt, by its own numbers: how much free memory may stay at the end of the heap, and
# from which size on a block is mapped on its own. 32 MiB is the most that the second may be.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_OBJECTS = 100_000
_KEEP, _LARGEST_OF_THE_HEAP = 512 * 1024**2, 32 * 1024**2


def settle() -> None:
    """Settle arithmetic and memory of this process; call it before the first matrix product.

    Matrix products must not depend on where a matrix lies in memory, or a run's bits would depend
    on the runs beside it (MKL's strict reproducibility; what the user has set stays). Memory that
    one update frees is kept for the next: handing it back and asking again costs up to a third
    of an update of 32 runs. Python looks for cycles less often: torch and the configurations have
    so many objects that looking at them after every 700 new ones is an eighth of a sweep's time.
    """
    os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")
    gc.set_threshold(_OBJECTS)
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_TRIM_THRESHOLD, _KEEP)
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_OF_THE_HEAP)


def use_one_thread() -> None:
    """Let torch compute with one thread: cores are for processes, and the bits are promised."""
    import torch

    torch.set_num_threads(1)


def cores() -> int:
    """Return how many cores this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1
