"""How kernels are compiled: without liberties, and kept for later processes."""

import contextlib
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.core.caching import FunctionCache, IndexDataCacheFile, NullCache
from numba.core.runtime.nrt import rtsys

from rnn_exp.networks.kernel.keeping import folder

__all__ = ["compiled", "kept", "named", "not_kept"]

_SUM = "sha256"


def named(function: Any, *of: object) -> Any:  # noqa: ANN401 - any function
    """Return a function under a name that tells it from others that are defined in the same place.

    numba names machine code by the function's name, the types of its arguments, and by how many
    functions the process had compiled before. Kernels that two processes compiled may be loaded
    into a third one, where these counts meet: of two functions of one name (tiles of two shapes)
    the one that is loaded first would be called in the place of the other.

    Args:
        function: in Python; changed.
        of: what it was made for.
    """
    function.__qualname__ = "_".join([function.__qualname__, *map(str, of)])
    return function


@functools.cache
def not_kept() -> set[str]:
    """Return the functions that this process has compiled and could not keep, for it to fill in."""
    return set()


def compiled(function: Any) -> Any:  # noqa: ANN401 - what numba makes of a function
    """Return a function that is compiled into those that call it, named by what it closes over."""
    inside = [cell.cell_contents for cell in function.__closure__ or ()]
    names = [one.py_func.__qualname__ if hasattr(one, "py_func") else one for one in inside]
    return njit(named(function, *names), nogil=True, error_model="numpy", boundscheck=False)


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
    may share a home) can give one file to two of them: the index is then wrong for ever. And it
    trusts its files, while machine code with a wrong byte can stop a process: files are read only
    if their SHA-256 is the one that was written when they were.

    Args:
        function: in Python.
        place: the folder for all kernels.
    """

    def __init__(self, function: Any, place: Path) -> None:  # noqa: ANN401
        self._function, self._place = function, place

    def load_overload(self, sig: Any, target_context: Any) -> Any:  # noqa: ANN401
        """Return what is kept; None: nothing is, or it cannot be read and is to be written anew."""
        place = self._folder_of(sig, target_context.codegen())
        if not _is_as_written(place):
            return None
        try:
            own = self._of(place)
            # What numba's load_overload does, but for the import of all that it can compile.
            rtsys.initialize(target_context)
            return own._load_overload(sig, target_context)  # noqa: SLF001
        except Exception:  # of another numba, say: it raises whatever it breaks off at
            return None

    def save_overload(self, sig: Any, data: Any) -> None:  # noqa: ANN401
        """Keep what was compiled, if the disk takes it: else it is compiled again next time."""
        try:
            place = self._folder_of(sig, data.codegen)
            own = self._of(place)
            own.flush()  # without reading an index, which may end early
            own.save_overload(sig, data)
            _written(place)
        except (OSError, RuntimeError):  # full, or of somebody else
            not_kept().add(self._function.__qualname__)

    def _folder_of(self, sig: Any, target: Any) -> Path:  # noqa: ANN401
        what = f"{self._function.__qualname__} {sig} {target.magic_tuple()}"
        return self._place / hashlib.sha256(what.encode()).hexdigest()[:16]

    def _of(self, place: Path) -> Any:  # noqa: ANN401
        place.mkdir(parents=True, exist_ok=True)  # else numba goes beside the source
        cache_of: Any = FunctionCache  # without types
        index_of: Any = IndexDataCacheFile
        with _keeping_in(place):
            own = cache_of(self._function)
        # numba asks where the source lies and of when it is, but the folder for all kernels is
        # named by what is written in it: another copy of the package need not compile again.
        own._cache_file = index_of(str(place), own._impl.filename_base, _SUM)  # noqa: SLF001
        return own


def _hash_of(place: Path) -> str:
    """Return the SHA-256 of the names and contents of all that numba keeps in a folder."""
    files = sorted(file for file in place.rglob("*.nb?") if file.is_file())
    found = (f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}" for file in files)
    return hashlib.sha256("\n".join(found).encode()).hexdigest()


def _written(place: Path) -> None:
    """Write down what a folder holds. Another process may write now: then it is compiled anew."""
    (place / _SUM).write_text(_hash_of(place), "utf-8")


def _is_as_written(place: Path) -> bool:
    """Whether a folder holds what was written into it."""
    try:
        return (place / _SUM).read_text("utf-8") == _hash_of(place)
    except (OSError, ValueError):  # nothing is kept, or another process tidies it
        return False


@contextlib.contextmanager
def _keeping_in(place: Path) -> Iterator[None]:
    """Let numba keep what is declared meanwhile in a folder."""
    settings: Any = config  # it makes its attributes from the environment
    before, settings.CACHE_DIR = settings.CACHE_DIR, str(place)
    try:
        yield
    finally:
        settings.CACHE_DIR = before
