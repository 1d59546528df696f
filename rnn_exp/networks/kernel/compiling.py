"""How kernels are compiled: without liberties, and kept for later processes."""

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.core.caching import FunctionCache, NullCache

from rnn_exp.networks.kernel.keeping import folder

__all__ = ["compiled", "kept"]


def compiled(function: Any) -> Any:  # noqa: ANN401 - what numba makes of a function
    """Return a function that is compiled into those that call it.

    numba names machine code by the function's name and by how many functions a process had before
    it. Two functions that one function makes (tiles of several shapes) share their name, and where
    kernels that two processes compiled are loaded into a third one, these counts meet: what is
    loaded first is then called in the place of the other. So a name tells what is closed over, too.
    """
    names = [_named(cell.cell_contents) for cell in function.__closure__ or ()]
    function.__qualname__ = "_".join([function.__qualname__, *names])
    return njit(function, nogil=True, error_model="numpy", boundscheck=False)


def _named(value: Any) -> str:  # noqa: ANN401
    """Return what tells a value apart that a kernel closes over: a number, or another kernel."""
    return str(value.py_func.__qualname__ if hasattr(value, "py_func") else value)


def kept(function: Any) -> Any:  # noqa: ANN401
    """Return a function that is compiled when it is first called, and kept for other processes.

    Where no folder can be written it is compiled in every process.
    """
    made, place = compiled(function), folder()
    if place is not None:
        made._cache = _Kept(function, place)  # noqa: SLF001 - numba has no other place to say so
    return made


class _Kept(NullCache):
    """What is kept of a function, in a folder for each precision and kind of processor.

    numba's own cache has one index for all of these. Two processes that write it at once (machines
    may share a home) can give one file to two of them: the index is then wrong for ever.

    Args:
        function: in Python.
        place: the folder for all kernels.
    """

    def __init__(self, function: Any, place: Path) -> None:  # noqa: ANN401
        self._function, self._place = function, place

    def load_overload(self, sig: Any, target_context: Any) -> Any:  # noqa: ANN401
        """Return what is kept; None: nothing is, or it cannot be read and is to be written anew."""
        try:
            return self._of(sig, target_context.codegen()).load_overload(sig, target_context)
        except Exception:  # a file that ends early raises whatever it breaks off at
            return None

    def save_overload(self, sig: Any, data: Any) -> None:  # noqa: ANN401
        """Keep what was compiled, if the disk takes it: else it is compiled again next time."""
        with contextlib.suppress(OSError, RuntimeError):  # full, or of somebody else
            own = self._of(sig, data.codegen)
            own.flush()  # without reading an index, which may end early
            own.save_overload(sig, data)

    def _of(self, sig: Any, target: Any) -> Any:  # noqa: ANN401
        what = f"{sig} {target.magic_tuple()}"
        own = self._place / hashlib.sha256(what.encode()).hexdigest()[:16]
        own.mkdir(parents=True, exist_ok=True)  # else numba goes beside the source
        of_numba: Any = FunctionCache  # without types
        with _keeping_in(own):
            return of_numba(self._function)


@contextlib.contextmanager
def _keeping_in(place: Path) -> Iterator[None]:
    """Let numba keep what is declared meanwhile in a folder."""
    settings: Any = config  # it makes its attributes from the environment
    before, settings.CACHE_DIR = settings.CACHE_DIR, str(place)
    try:
        yield
    finally:
        settings.CACHE_DIR = before
