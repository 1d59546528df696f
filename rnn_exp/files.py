"""Files that appear whole or not at all: readers see the old file or the new one, never a part."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["replace_bytes", "replace_file"]


def replace_file(path: Path, fill: Callable[[Path], object]) -> None:
    """Write a file by filling a temporary neighbour and renaming it: whole or not at all."""
    # In the same folder: a rename is atomic only within one file system.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
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
