"""How a sweep stands, told from its folder alone, while it runs or after.

The list of the sweep's runs is written when it begins. While a chunk trains it says about once a
second, in a small file, how far it is: the sweep's own bar and ``rnn-exp-status`` read the same.
"""

import json
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from rnn_exp.schema import DONE
from rnn_exp.storage.files import replace_bytes

__all__ = [
    "FILE",
    "FOLDER",
    "Heartbeat",
    "Standing",
    "forget",
    "fractions",
    "in_words",
    "standing",
    "write",
]

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


FILE = "sweep.json"


class Standing(NamedTuple):
    """How many runs a sweep has, and how they stand; times in seconds, None if not known."""

    runs: int
    done: int
    diverged: int
    failed: int
    training: int
    per_minute: float | None
    seconds_left: float | None

    @property
    def left(self) -> int:
        """Runs that have not ended."""
        return self.runs - self.done - self.failed


def write(sweep: Path, runs: Sequence[str]) -> None:
    """Write the names of a sweep's runs, and that it begins now."""
    text = json.dumps({"begun": time.time(), "runs": list(runs)}) + "\n"
    replace_bytes(sweep / FILE, text.encode())


def standing(sweep: Path) -> Standing:
    """Look at a sweep's folder and say how its runs stand.

    Raises:
        FileNotFoundError: if there is no such folder, or no sweep in it.
        ValueError: if its ledger cannot be read.
    """
    begun, names = _read(sweep)
    ends = [_end_of(sweep / name / "run.json") for name in names]
    done = [(status, when) for status, when in ends if status in DONE]
    failed = [when for status, when in ends if status == "failed"]
    now = time.time()
    since = [when for when in [*(when for _, when in done), *failed] if when >= begun]
    alive = fractions(sweep)
    made = len(since) + sum(runs * fraction for _, runs, fraction in alive)
    speed = made / (now - begun) if made and now > begun else None
    left = len(names) - len(done) - len(failed) - sum(runs * part for _, runs, part in alive)
    return Standing(
        runs=len(names),
        done=len(done),
        diverged=sum(status == "diverged" for status, _ in done),
        failed=len(failed),
        training=sum(runs for _, runs, _ in alive),
        per_minute=None if speed is None else 60 * speed,
        seconds_left=left / speed if speed is not None and alive else None,
    )


def in_words(now: Standing) -> str:
    """Say how a sweep stands, as its bar and ``rnn-exp-status`` do."""
    words = [
        f"{now.done}/{now.runs} done",
        f"{now.diverged} diverged",
        f"{now.failed} failed",
        f"{now.left} left",
    ]
    if now.per_minute is not None and now.seconds_left is not None:
        words.append(f"{now.per_minute:.{0 if now.per_minute >= 10 else 1}f}/min")
        words.append(f"{_clock(now.seconds_left)} to go")
    return ", ".join(words)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _read(sweep: Path) -> tuple[float, list[str]]:
    if not sweep.is_dir():
        raise FileNotFoundError(f"there is no folder {sweep}")
    path = sweep / FILE
    if not path.exists():
        raise FileNotFoundError(f"there is no sweep in {sweep} (no {FILE})")
    try:
        found: Any = json.loads(path.read_text(encoding="utf-8"))
        return float(found["begun"]), [str(name) for name in found["runs"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} cannot be read ({type(error).__name__})") from None


def _end_of(path: Path) -> tuple[str, float]:
    """Return a run's status and when its run.json was written; ``planned`` where there is none."""
    try:
        when = path.stat().st_mtime
        return str(json.loads(path.read_text(encoding="utf-8"))["status"]), when
    except (OSError, ValueError, KeyError, TypeError):
        return "planned", 0.0
