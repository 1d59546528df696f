"""The status of a sweep, read from its folder alone, while the sweep runs or after it.

``sweep.json`` lists the runs and is written when the sweep begins. A chunk in training writes
about once a second how far it is into a small file, its heartbeat. The sweep's own progress bar
and ``rnn-exp-status`` read both.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, time
from typing import NamedTuple

from rnn_exp.schema import DONE, RUN_JSON
from rnn_exp.storage.files import replace_bytes
from rnn_exp.storage.trust import read_json

__all__ = [
    "FILE",
    "FOLDER",
    "ChunkProgress",
    "Heartbeat",
    "SweepStatus",
    "chunks_in_training",
    "remove_heartbeats",
    "status_line",
    "sweep_status",
    "write_run_list",
]

FILE = "sweep.json"
FOLDER = ".progress"
_SECONDS_BETWEEN_HEARTBEATS = 1.0
# A chunk whose heartbeat is older was killed, or makes less than one update a minute.
_STALE_SECONDS = 60.0
# Beyond these a file was not written by a sweep: numbers that no arithmetic is done with.
_MOST_RUNS, _LAST_SECOND = 10**9, 1e11


class ChunkProgress(NamedTuple):
    """How far a chunk is: its name, how many of its runs train, the part of its updates made."""

    name: str
    runs: int
    fraction: float


class SweepStatus(NamedTuple):
    """How many runs a sweep has and what became of them; None where a number is not known.

    Attributes:
        runs: all runs of the sweep.
        done: runs that have results.
        diverged: those of them that met a NaN or an infinity.
        failed: runs that ended with an error.
        training: runs in training now.
        per_minute: how many runs are done in a minute.
        seconds_left: seconds until all are done.
    """

    runs: int
    done: int
    diverged: int
    failed: int
    training: int
    per_minute: float | None
    seconds_left: float | None

    @property
    def left(self) -> int:
        """How many runs have not ended."""
        return self.runs - self.done - self.failed


class Heartbeat:
    """Writes about once a second how far a chunk is; `close` removes the file.

    Args:
        sweep: the sweep's folder.
        name: the chunk's name.
        updates: how many updates its runs make.
    """

    def __init__(self, sweep: Path, name: str, updates: int) -> None:
        self.path, self.updates = sweep / FOLDER / f"{name}.json", updates
        self.next_write = float("-inf")

    def write(self, made: int, runs: int) -> None:
        """Write the file, unless it was written less than a second ago.

        Args:
            made: how many updates are made.
            runs: how many runs are in training.
        """
        if monotonic() < self.next_write:
            return
        self.next_write = monotonic() + _SECONDS_BETWEEN_HEARTBEATS
        text = json.dumps({"runs": runs, "fraction": made / self.updates})
        # A full disk, or a folder that another chunk has just removed: no run fails for that.
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_bytes(self.path, text.encode())

    def close(self) -> None:
        """Remove the file, and the folder if no other chunk has a file in it."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
            self.path.parent.rmdir()


def remove_heartbeats(sweep: Path) -> None:
    """Remove the heartbeats of processes that were killed; the caller holds the sweep's folder."""
    shutil.rmtree(sweep / FOLDER, ignore_errors=True)


def chunks_in_training(sweep: Path) -> list[ChunkProgress]:
    """Return the progress of each chunk whose heartbeat is recent, in the order of their names."""
    result = []
    for path in sorted((sweep / FOLDER).glob("*.json")):
        try:
            if time() - path.stat().st_mtime > _STALE_SECONDS:
                continue
            found = read_json(path)
            chunk = ChunkProgress(path.stem, int(found["runs"]), float(found["fraction"]))
        except (OSError, ValueError, KeyError, TypeError, OverflowError):
            continue  # it has just been removed, or is not a heartbeat
        if 0 <= chunk.runs <= _MOST_RUNS and 0 <= chunk.fraction <= 1:
            result.append(chunk)
    return result


def write_run_list(sweep: Path, runs: Sequence[str]) -> None:
    """Write the names of a sweep's runs and the time, at which the sweep begins."""
    text = json.dumps({"begun": time(), "runs": list(runs)}) + "\n"
    replace_bytes(sweep / FILE, text.encode())


def sweep_status(sweep: Path) -> SweepStatus:
    """Return the status of the sweep in a folder.

    Raises:
        FileNotFoundError: if there is no such folder, or no sweep in it.
        ValueError: if its list of runs cannot be read.
    """
    begun, names = _run_list(sweep)
    ends = [_run_status(sweep / name / RUN_JSON) for name in names]
    done = [(status, when) for status, when in ends if status in DONE]
    failed = [when for status, when in ends if status == "failed"]
    now = time()
    ended_since = [when for when in [*(when for _, when in done), *failed] if when >= begun]
    chunks = chunks_in_training(sweep)
    in_training = sum(chunk.runs * chunk.fraction for chunk in chunks)  # as whole runs
    made = len(ended_since) + in_training
    speed = made / (now - begun) if made and now > begun else None
    left = len(names) - len(done) - len(failed) - in_training
    return SweepStatus(
        runs=len(names),
        done=len(done),
        diverged=sum(status == "diverged" for status, _ in done),
        failed=len(failed),
        training=sum(chunk.runs for chunk in chunks),
        per_minute=None if speed is None else 60 * speed,
        seconds_left=left / speed if speed is not None and chunks else None,
    )


def status_line(status: SweepStatus) -> str:
    """Return the line that the progress bar and ``rnn-exp-status`` show.

    Example:
        >>> status_line(SweepStatus(9, 3, 1, 0, 0, per_minute=2.5, seconds_left=144.0))
        '3/9 done, 1 diverged, 0 failed, 6 left, 2.5/min, 2:24 to go'
    """
    parts = [
        f"{status.done}/{status.runs} done",
        f"{status.diverged} diverged",
        f"{status.failed} failed",
        f"{status.left} left",
    ]
    if status.per_minute is not None and status.seconds_left is not None:
        digits = 0 if status.per_minute >= 10 else 1
        parts.append(f"{status.per_minute:.{digits}f}/min")
        parts.append(f"{_clock(status.seconds_left)} to go")
    return ", ".join(parts)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _run_list(sweep: Path) -> tuple[float, list[str]]:
    """Return when the sweep began (seconds since the epoch) and the names of its runs."""
    if not sweep.is_dir():
        raise FileNotFoundError(f"there is no folder {sweep}")
    path = sweep / FILE
    if not path.exists():
        raise FileNotFoundError(f"there is no sweep in {sweep} (no {FILE})")
    try:
        found = read_json(path)
        begun = float(found["begun"])
        if not 0 <= begun < _LAST_SECOND:
            raise ValueError("no time at which a sweep can have begun")
        return begun, [str(name) for name in found["runs"]]
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"{path} cannot be read ({type(error).__name__})") from None


def _run_status(path: Path) -> tuple[str, float]:
    """Return a run's status and when its run.json was written; ``planned`` where there is none."""
    try:
        when = path.stat().st_mtime
        return str(read_json(path)["status"]), when
    except (OSError, ValueError, KeyError, TypeError):
        return "planned", 0.0
