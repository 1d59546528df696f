"""How kernels are compiled: without liberties, and kept for later processes."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numba import config, njit

from rnn_exp.networks.kernel.keeping import folder

__all__ = ["compiled", "kept"]


def compiled(function: Any) -> Any:  # noqa: ANN401 - what numba makes of a function
    """Return a function that is compiled into those that call it."""
    return njit(function, nogil=True, error_model="numpy", boundscheck=False)


def kept(function: Any) -> Any:  # noqa: ANN401
    """Return a function that is compiled when it is first called, and kept for other processes.

    Where no folder can be written it is compiled in every process.
    """
    place = folder()
    if place is None:
        return compiled(function)
    with _keeping_in(place):
        return njit(function, nogil=True, error_model="numpy", boundscheck=False, cache=True)


@contextlib.contextmanager
def _keeping_in(place: Path) -> Iterator[None]:
    """Let numba keep what is declared meanwhile in a folder."""
    settings: Any = config  # it makes its attributes from the environment
    before, settings.CACHE_DIR = settings.CACHE_DIR, str(place)
    try:
        yield
    finally:
        settings.CACHE_DIR = before
