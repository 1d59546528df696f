"""Settings of a process that trains: reproducible arithmetic, memory, threads.

The entry points call these functions; importing a module changes nothing.
"""

import ctypes
import gc
import inspect
import os
import platform
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rnn_exp.arithmetic import ask_for_strict_products, was_asked_too_late

if TYPE_CHECKING:
    from rnn_exp.training.run import Run

__all__ = ["compile_kernels", "cores", "return_memory", "settle", "settled", "use_one_thread"]

# Parameters of glibc's mallopt, and their values in bytes: how much free memory may stay at the
# end of the heap, and from which size on a block is mapped on its own. 32 MiB is the most that
# glibc accepts for the second.
_M_TRIM_THRESHOLD, _FREE_AT_END = -1, 512 * 1024**2
_M_MMAP_THRESHOLD, _MAPPED_FROM = -3, 32 * 1024**2
# How many new objects make Python look for reference cycles; its own default is 700.
_OBJECTS_PER_COLLECTION = 100_000
_told: set[str] = set()  # of what this process has been warned


def settle() -> None:
    """Make arithmetic reproducible and memory cheap; call this before the first matrix product.

    Matrix products must not depend on where a matrix lies in memory, or a run's bits would depend
    on the runs beside it. So MKL's strict reproducibility is asked for (``MKL_CBWR``), unless the
    user has set something else; a variable that is set but empty is as one that is not set.

    Memory that one update frees is kept for the next one until `return_memory` (blocks above 32 MiB
    by the kernels alone, `networks.kernel.blocks`): to return it to the system and ask for it again
    takes up to half of an update of 32 runs. Python looks for reference cycles less often: torch
    and the configurations have so many objects that this takes an eighth of a sweep's time
    otherwise.
    """
    ask_for_strict_products()
    gc.set_threshold(_OBJECTS_PER_COLLECTION)
    if _has_glibc():
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_TRIM_THRESHOLD, _FREE_AT_END)
        libc.mallopt(_M_MMAP_THRESHOLD, _MAPPED_FROM)


def return_memory() -> None:
    """Return to the system what updates have left free; called between chunks of runs."""
    from rnn_exp.networks.kernel.blocks import return_blocks

    return_blocks()
    if _has_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def _has_glibc() -> bool:
    return platform.libc_ver()[0] == "glibc"


@contextmanager
def settled() -> Iterator[None]:
    """A context in which arithmetic is settled; torch has as many threads as before afterwards.

    Warns:
        UnsettledWarning: once, if torch has multiplied before: it is too late then.
    """
    import torch

    settle()
    if "unsettled" not in _told and was_asked_too_late():
        _warn_that_it_is_too_late()
    before = torch.get_num_threads()
    use_one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(before)
        return_memory()


def _warn_that_it_is_too_late() -> None:
    """Warn at the line of the user's that has called this package, and not again."""
    from rnn_exp.training.experiment import UnsettledWarning

    level, frame = 1, inspect.currentframe()
    while frame is not None and _is_on_the_way(frame.f_globals.get("__name__", "")):
        level, frame = level + 1, frame.f_back
    warnings.warn(
        "this Python has multiplied matrices with torch before rnn_exp could ask for the same "
        "digits everywhere. Results are right, but the last digits of a run may differ with the "
        "runs that train beside it. Where these digits matter, start Python anew and call rnn_exp "
        "before anything multiplies, or start it with MKL_CBWR=AUTO,STRICT in its environment",
        UnsettledWarning,
        stacklevel=level,
    )
    _told.add("unsettled")  # where warnings are errors, each call is one


def _is_on_the_way(module: str) -> bool:
    """Whether a module is this package's, or enters its contexts."""
    return module.partition(".")[0] in ("rnn_exp", "contextlib")


def use_one_thread() -> None:
    """Let torch compute with one thread: only then are a run's bits the same beside other runs.

    The other cores are used by other processes.
    """
    import torch

    torch.set_num_threads(1)


def compile_kernels(runs: "Iterable[Run]") -> None:
    """Have the kernels compiled that some runs need, and say so on stderr if that takes a while.

    Call it before processes are started, each of which would compile its own; and where nobody has
    called it before, as on a machine of a cluster.
    """
    from rnn_exp.networks.kernel.keeping import compile_for

    compile_for((run.network for run in runs), lambda line: print(line, file=sys.stderr))


def cores() -> int:
    """Return how many cores this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1
