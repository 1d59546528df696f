"""Heartbeats: small files by which a chunk in training says how far it is.

They work over whatever starts the workers, and for whoever looks: the sweep's own bar and
``rnn-exp-status`` read the same ones.
"""

import json
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from rnn_exp.files import replace_bytes

__all__ = ["FOLDER", "Heartbeat", "forget", "fractions"]

FOLDER = ".progress"
_SECONDS = 1.0
# A chunk that has said nothing for so long was killed, or makes less than one update a minute.
_STALE = 60.0


class Heartbeat:
    """Says about once a second which part of a chunk's updates is made; ``close`` removes it."""

    def __init__(self, sweep: Path, name: str, updates: int) -> None:
        self.path, self.updates, self.next = sweep / FOLDER / f"{name}.json", updates, 0.0

    def beat(self, made: int, runs: int) -> None:
        """Say that ``runs`` runs are in training, with so many updates made."""
        if time.monotonic() < self.next:
            return
        self.next = time.monotonic() + _SECONDS
        text = json.dumps({"runs": runs, "fraction": made / self.updates})
        with suppress(OSError):  # a full disk, or another chunk's close: no run fails for that
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_bytes(self.path, text.encode())

    def close(self) -> None:
        """Remove the file: the chunk is done, or its process is about to end."""
        with suppress(OSError):  # another chunk's is there
            self.path.unlink(missing_ok=True)
            self.path.parent.rmdir()


def forget(sweep: Path) -> None:
    """Remove what killed processes left; to be called while the sweep is held."""
    shutil.rmtree(sweep / FOLDER, ignore_errors=True)


def fractions(sweep: Path) -> list[tuple[str, int, float]]:
    """Return (name, runs in training, part of the updates made) of each chunk that is alive."""
    result = []
    for path in sorted((sweep / FOLDER).glob("*.json")):
        try:
            if time.time() - path.stat().st_mtime > _STALE:
                continue
            found: Any = json.loads(path.read_text(encoding="utf-8"))
            result.append((path.stem, int(found["runs"]), float(found["fraction"])))
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it has just gone, or is somebody else's
    return result
