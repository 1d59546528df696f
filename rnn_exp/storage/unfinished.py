"""The folder ``unfinished`` of a run that trains: what can be said of it without torch.

It holds the checkpoint, a safetensors file, and the parts with the run's rows so far (`parts`). The
checkpoint's header has words: what it is of, the list of the parts, and a hash of the whole file.
"""

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from rnn_exp.storage.parts import Parts

__all__ = [
    "FILE",
    "FOLDER",
    "NO_HASH",
    "UnusableError",
    "parts_of",
    "remove",
    "sealed_bytes",
    "words_of",
]

FOLDER: Final = "unfinished"
FILE: Final = "checkpoint.safetensors"
NO_HASH: Final = {"sha256": "0" * 64}
"""The word that `sealed_bytes` replaces by the hash."""

_METADATA: Final = "__metadata__"
_LARGEST_HEADER: Final = 1 << 24


class UnusableError(ValueError):
    """A checkpoint from which a run cannot go on, and why."""


def words_of(folder: Path) -> tuple[dict[str, str], bytes]:
    """Return the words of a run's checkpoint and its bytes; none where there is no checkpoint.

    Args:
        folder: the run's.

    Raises:
        UnusableError: if it is not as it was written.
    """
    try:
        content = (folder / FOLDER / FILE).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return {}, b""
    except OSError as error:
        raise UnusableError(error.strerror or str(error)) from None
    words = _header(content).get(_METADATA)
    if not isinstance(words, dict) or words.get("sha256") != _hash_of(content):
        raise UnusableError(f"{FILE} was changed after it was written (SHA-256)")
    return {str(key): str(value) for key, value in words.items()}, content


def parts_of(folder: Path, names: tuple[str, ...], words: dict[str, str] | None = None) -> "Parts":
    """Return the parts that a run's checkpoint lists; none where there is no checkpoint.

    Args:
        folder: the run's.
        names: of its tables.
        words: of the checkpoint, if they are known.

    Raises:
        UnusableError: if the checkpoint is damaged.
    """
    from rnn_exp.storage.parts import Parts  # which needs pyarrow, as runs that are done do not

    said = words_of(folder)[0] if words is None else words
    try:
        listed = Parts.from_text(said.get("parts", "[]"))
    except ValueError as error:
        raise UnusableError(str(error)) from None
    return Parts(folder / FOLDER, names, listed)


def remove(folder: Path) -> None:
    """Remove what was saved of a run that is done.

    Args:
        folder: the run's.
    """
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    (folder / FILE).unlink(missing_ok=True)  # where it was up to format 3


def sealed_bytes(content: bytes) -> bytes:
    """Return a safetensors file, whose words have `NO_HASH`, with its hash in that place."""
    return content.replace(NO_HASH["sha256"].encode(), _hash_of(content).encode(), 1)


def _header(content: bytes) -> dict[str, Any]:
    """Return the header of a safetensors file; empty if it has none that can be read."""
    size = int.from_bytes(content[:8], "little")
    if not 0 < size <= min(_LARGEST_HEADER, len(content) - 8):
        return {}
    try:
        found = json.loads(content[8 : 8 + size])
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _hash_of(content: bytes) -> str:
    """Return the hash of a file's bytes, with noughts in the place of the hash itself."""
    end = 8 + min(int.from_bytes(content[:8], "little"), len(content))
    noughts = rb"\g<1>" + NO_HASH["sha256"].encode()
    found = hashlib.sha256(
        re.sub(rb'("sha256":")[0-9a-f]{64}(?=")', noughts, content[:end], count=1)
    )
    found.update(memoryview(content)[end:])
    return found.hexdigest()
