"""Hashes: a file, or a run.json, that was changed after it was written is found.

run.json lists the size and the SHA-256 of the run's other files, and has a hash of its own other
contents, its seal.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from rnn_exp.schema import SEAL

__all__ = ["Entry", "damage", "damage_of", "entry_of", "is_unbroken", "seal_of", "sealed"]

_BLOCK: Final = 1 << 20

Entry = dict[str, Any]
"""What is written down of a file: its ``bytes`` and its ``sha256``."""


def _sha256(path: Path) -> str:
    """Return the SHA-256 of a file, in hex; it is read in pieces.

    Raises:
        OSError: if it cannot be read.
    """
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def entry_of(path: Path) -> Entry:
    """Return what is to be written down of a file: its size and its hash."""
    return {"bytes": path.stat().st_size, "sha256": _sha256(path)}


def damage(path: Path, entry: object) -> str | None:
    """Say what is wrong with a file; None: it is as it was written.

    Args:
        path: of the file.
        entry: what was written down of it (`entry_of`), as it was read from disk.
    """
    if not isinstance(entry, Mapping):
        return "nobody has written down its hash"
    try:
        if not path.is_file():  # a pipe's reader would wait for ever
            return "it is no file" if path.exists() else "it is missing"
        size = path.stat().st_size
        if size != entry.get("bytes"):
            return f"it has {size} bytes, and had {entry.get('bytes')}"
        if _sha256(path) != entry.get("sha256"):
            return "its contents were changed after it was written (SHA-256)"
    except OSError as error:
        return error.strerror or str(error)
    return None


def damage_of(content: bytes, entry: object) -> str | None:
    """Say what is wrong with a file that was read; None: it is as it was written.

    Args:
        content: of the file.
        entry: what was written down of it.
    """
    same = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if not isinstance(entry, Mapping) or any(entry.get(key) != same[key] for key in same):
        return "its contents were changed after it was written (SHA-256)"
    return None


def seal_of(said: Mapping[str, Any]) -> str:
    """Return the hash of all that a run.json says beside its seal; spaces and order do not count.

    Example:
        >>> seal_of({"a": 1, "b": [2]}) == seal_of({"b": [2], "sha256": "0", "a": 1})
        True
    """
    rest = {key: value for key, value in said.items() if key != SEAL}
    text = json.dumps(rest, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(said: Mapping[str, Any]) -> dict[str, Any]:
    """Return the contents of a run.json with their seal, which comes last."""
    rest = {key: value for key, value in said.items() if key != SEAL}
    return rest | {SEAL: seal_of(rest)}


def is_unbroken(said: Mapping[str, Any]) -> bool:
    """Say whether a run.json is as it was written; one of an early format has no seal.

    Args:
        said: the contents of a run.json, untrusted.
    """
    if SEAL not in said:  # version 3 had none
        version = said.get("format", 1)
        return isinstance(version, int) and version < _SEALED_FROM
    return bool(said[SEAL] == seal_of(said))


_SEALED_FROM: Final = 4
