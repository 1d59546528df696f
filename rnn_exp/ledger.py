"""The ledger of a sweep: which runs it has, and how they stand, told from the folders alone."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rnn_exp.files import replace_bytes
from rnn_exp.heartbeat import fractions

__all__ = ["DONE", "FILE", "Standing", "in_words", "standing", "write"]

DONE = ("finished", "solved", "diverged")
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
    words = [f"{now.done}/{now.runs} done", f"{now.diverged} diverged", f"{now.failed} failed",
             f"{now.left} left"]  # fmt: skip
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
