"""Files that appear whole or not at all, and locks: one process at a time writes a folder."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from rnn_exp.words import from_here

__all__ = [
    "ASIDE",
    "LOCK",
    "LOCK_SECONDS",
    "held",
    "is_held",
    "put_aside",
    "remove_half_written",
    "replace_bytes",
    "replace_file",
]

ASIDE: Final = "aside-"
"""What a folder's name begins with in which files lie that are not to be used; a number follows."""
LOCK: Final = ".lock"
"""The file of a folder that a process holds while it writes there."""
LOCK_SECONDS: Final = 60.0
"""How long to wait for a process that is writing the same run's folder."""
_HALF: Final = ".part"


def replace_file(path: Path, fill: Callable[[Path], object]) -> None:
    """Write a file by filling a temporary neighbour and renaming it: whole or not at all."""
    # In the same folder: a rename is atomic only within one file system.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_HALF)
    os.close(handle)
    try:
        fill(Path(name))
        with open(name, "rb") as written:  # noqa: PTH123 - a file descriptor is needed
            os.fsync(written.fileno())
        Path(name).chmod(0o644)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def replace_bytes(path: Path, content: bytes) -> None:
    """Write these bytes as the whole of a file."""
    replace_file(path, lambda temporary: temporary.write_bytes(content))


def remove_half_written(folder: Path) -> None:
    """Remove the half-written files that a killed process may have left; the caller holds it."""
    for path in folder.glob(f".*{_HALF}"):
        path.unlink(missing_ok=True)


def put_aside(folder: Path, names: Iterable[str]) -> Path | None:
    """Move what is not to be used into a subfolder of its own, ``aside-1`` or the next number.

    Args:
        folder: where the files are.
        names: of files and folders in it; those that are not there are passed over.

    Returns:
        The subfolder; None: nothing was there.
    """
    there = [folder / name for name in names if (folder / name).exists()]
    if not there:
        return None
    number = 1
    while (aside := folder / f"{ASIDE}{number}").exists():
        number += 1
    aside.mkdir()
    for path in there:
        path.rename(aside / path.name)
    return aside


@contextmanager
def held(folder: Path, patience: float) -> Iterator[None]:
    """Hold a folder (made if missing), waiting for at most so many seconds; no file is left.

    Raises:
        BlockingIOError: if another process holds it for longer.
        OSError: if the folder cannot be made or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / LOCK
    try:
        with FileLock(path, timeout=patience):
            try:
                yield
            finally:
                path.unlink(missing_ok=True)  # while it is held: whoever waits for it notices
    except Timeout:
        raise BlockingIOError(f"another process is writing {from_here(folder)}") from None


def is_held(folder: Path) -> bool:
    """Say whether a process holds a folder now; nothing is written.

    A lock file that a killed process left behind is not held: the kernel let its lock go.

    Raises:
        OSError: if the file system does not say.
    """
    try:
        file = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        # Shared, and let go at once: two commands that look do not see each other.
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return True
        raise
    finally:
        os.close(file)
    return False
