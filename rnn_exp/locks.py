"""Locks: one process at a time writes a folder; a killed process leaves no lock behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

__all__ = ["held"]

_LOCK = ".lock"


@contextmanager
def held(folder: Path, patience: float) -> Iterator[None]:
    """Hold a folder (made if missing), waiting for at most so many seconds; no file is left.

    Raises:
        BlockingIOError: if another process holds it for longer.
        OSError: if the folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _LOCK
    try:
        with FileLock(path, timeout=patience):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)  # while it is held: whoever waits for it notices
    except Timeout:
        raise BlockingIOError(f"another process is writing {folder}") from None
