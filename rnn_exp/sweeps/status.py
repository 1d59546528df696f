"""The status of a sweep, read from its folder alone, while the sweep runs or after it.

``sweep.json`` lists the runs and is written when the sweep begins. A chunk in training writes
about once a second how far it is into a small file, its heartbeat. The sweep's own progress bar
and ``rnn-exp-status`` read both.
"""

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, time
from typing import NamedTuple

from rnn_exp.schema import DONE, RUN_JSON, is_of_other_kernels
from rnn_exp.storage.files import held, is_held, remove_half_written, replace_bytes
from rnn_exp.storage.trust import read_json
from rnn_exp.sweeps.run_list import LAST_SECOND, read_run_list

__all__ = [
    "FOLDER",
    "ChunkProgress",
    "Heartbeat",
    "SweepStatus",
    "chunks_in_training",
    "clock",
    "is_worked_on",
    "status_parts",
    "sweep_status",
    "worked_on",
]

FOLDER = ".progress"
# Whoever asks how a sweep stands has its lock for a moment, which must not refuse a new one.
_SECONDS_FOR_LOOKERS = 0.5
_SECONDS_BETWEEN_HEARTBEATS = 1.0
# A chunk whose heartbeat is older was killed, or makes less than one update a minute.
_STALE_SECONDS = 60.0
# Beyond this a file was not written by a sweep: a number that no arithmetic is done with.
_MOST_RUNS = 10**9


class ChunkProgress(NamedTuple):
    """How far a chunk is.

    Attributes:
        name: of the chunk.
        runs: how many of its runs train.
        fraction: the part of its updates that is made.
        start: the part that was made before, up to a checkpoint.
    """

    name: str
    runs: int
    fraction: float
    start: float = 0.0


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
        in_progress: whether a process works on the sweep.
        command: the command that began it, for a shell.
        label: the note and the tags that all its runs have, in words.
        outdated: runs that kernels of an earlier version have begun; they begin anew.
    """

    runs: int
    done: int
    diverged: int
    failed: int
    training: int
    per_minute: float | None
    seconds_left: float | None
    in_progress: bool = True
    command: str = ""
    label: str = ""
    outdated: int = 0

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
        self.next_write, self.start, self.made = float("-inf"), 0.0, -1

    def write(self, made: int, runs: int) -> None:
        """Write the file, unless that was less than a second ago and of the same runs.

        Args:
            made: how many updates are made.
            runs: how many runs are in training.
        """
        goes_on, self.made = made == self.made + 1, made
        if not goes_on:  # the chunk begins, or runs of it that train apart: at another update
            self.start = (made - 1) / self.updates
        if goes_on and monotonic() < self.next_write:
            return
        self.next_write = monotonic() + _SECONDS_BETWEEN_HEARTBEATS
        how_far = {"runs": runs, "fraction": made / self.updates, "start": self.start}
        text = json.dumps(how_far)
        # A full disk, or a folder that another chunk has just removed: no run fails for that.
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            replace_bytes(self.path, text.encode())

    def close(self) -> None:
        """Remove the file, and the folder if no other chunk has a file in it."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
            self.path.parent.rmdir()


@contextmanager
def worked_on(sweep: Path) -> Iterator[None]:
    """Hold a sweep's folder, and leave nothing in it of processes that were killed.

    What a command that was killed left is removed at the beginning, what workers that were killed
    meanwhile left at the end: heartbeats, and files that they had half written.

    Args:
        sweep: the folder.

    Raises:
        BlockingIOError: if another process works on it.
        OSError: if the folder cannot be made or written.
    """
    with held(sweep, _SECONDS_FOR_LOOKERS):
        _remove_leftovers(sweep)
        try:
            yield
        finally:
            _remove_leftovers(sweep)


def _remove_leftovers(sweep: Path) -> None:
    remove_half_written(sweep)
    shutil.rmtree(sweep / FOLDER, ignore_errors=True)


def chunks_in_training(sweep: Path) -> list[ChunkProgress]:
    """Return the progress of each chunk whose heartbeat is recent, in the order of their names."""
    result = []
    for path in sorted((sweep / FOLDER).glob("*.json")):
        try:
            if time() - path.stat().st_mtime > _STALE_SECONDS:
                continue
            found = read_json(path)
            fraction, start = float(found["fraction"]), float(found.get("start", 0.0))
            chunk = ChunkProgress(path.stem, int(found["runs"]), fraction, start)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            continue  # it has just been removed, or is not a heartbeat
        if 0 <= chunk.runs <= _MOST_RUNS and 0 <= chunk.start <= chunk.fraction <= 1:
            result.append(chunk)
    return result


def is_worked_on(folder: Path) -> bool:
    """Say whether a process works on a sweep or a run, by the lock of its folder.

    Where the file system has no locks, a recent heartbeat counts.
    """
    try:
        return is_held(folder)
    except OSError:
        return bool(chunks_in_training(folder))


def sweep_status(sweep: Path) -> SweepStatus:
    """Return the status of the sweep in a folder.

    Raises:
        FileNotFoundError: if there is no such folder, or no sweep in it.
        ValueError: if its list of runs cannot be read.
    """
    begun, names, command = read_run_list(sweep)
    ends = [_RunEnd.of(sweep / name / RUN_JSON) for name in names]
    done = [end for end in ends if end.status in DONE]
    failed = [end for end in ends if end.status == "failed"]
    now = time()
    ended_since = [end for end in (*done, *failed) if end.when >= begun]
    in_progress = is_worked_on(sweep)
    # Heartbeats stay where a process was killed, for a while; its lock does not.
    chunks = chunks_in_training(sweep) if in_progress else []
    in_training = sum(chunk.runs * chunk.fraction for chunk in chunks)  # as whole runs
    made = len(ended_since) + sum(chunk.runs * (chunk.fraction - chunk.start) for chunk in chunks)
    speed = made / (now - begun) if made and now > begun else None
    left = len(names) - len(done) - len(failed) - in_training
    return SweepStatus(
        runs=len(names),
        done=len(done),
        diverged=sum(end.status == "diverged" for end in done),
        failed=len(failed),
        training=sum(chunk.runs for chunk in chunks),
        per_minute=None if speed is None or not in_progress else 60 * speed,
        seconds_left=left / speed if speed is not None and chunks else None,
        in_progress=in_progress,
        command=command,
        label=_label_in_words(end.label for end in ends),
        outdated=sum(end.is_outdated and end.status not in DONE for end in ends),
    )


def status_parts(status: SweepStatus) -> list[str]:
    """Return what a progress bar and ``rnn-exp-status`` say, what is wanted most first.

    What there is none of is not said.

    Example:
        >>> status_parts(SweepStatus(9, 3, 1, 0, 0, per_minute=2.5, seconds_left=144.0))
        ['3/9 done', '2:24 to go', '1 diverged', '6 left', '2.5/min']
    """
    counts = {"failed": status.failed, "diverged": status.diverged, "left": status.left}
    parts = [f"{status.done}/{status.runs} done"]
    if status.left and status.seconds_left is not None:
        parts.append(f"{clock(status.seconds_left)} to go")
    parts += [f"{count} {word}" for word, count in counts.items() if count]
    if status.left and status.per_minute:
        digits = 0 if status.per_minute >= 10 else 1 if status.per_minute >= 0.1 else 3
        parts.append(f"{status.per_minute:.{digits}f}/min")
    return parts


def clock(seconds: float) -> str:
    """Write a duration as people read it.

    Example:
        >>> clock(144.0), clock(7261.0), clock(200_000.0)
        ('2:24', '2:01:01', '2 d 7 h')
    """
    if not seconds < LAST_SECOND:  # no finite speed, or next to none
        return "thousands of years"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class _RunEnd(NamedTuple):
    """What a sweep's status has of a run: its status, when run.json was written, note and tags.

    ``planned`` and no label where there is no run.json that can be read.
    """

    status: str = "planned"
    when: float = 0.0
    label: tuple[str, str] | None = None
    is_outdated: bool = False

    @classmethod
    def of(cls, path: Path) -> "_RunEnd":
        """Read a run.json."""
        try:
            when, said = path.stat().st_mtime, read_json(path)
            status, is_outdated = str(said["status"]), is_of_other_kernels(said)
        except (OSError, ValueError, KeyError, TypeError):
            return cls()
        try:
            label = str(said["note"] or ""), ", ".join(map(str, said["tags"]))
        except (KeyError, TypeError):  # written by an earlier version
            label = None
        return cls(status, when, label, is_outdated)


def _label_in_words(labels: Iterable[tuple[str, str] | None]) -> str:
    """Return the note and the tags that all runs have; "" for none."""
    found = {label for label in labels if label is not None}
    parts = []
    for word, values in zip(("note", "tags"), zip(*found, strict=True), strict=False):
        if len(set(values)) == 1 and values[0]:
            parts.append(f"{word}: {values[0]}")
    return "; ".join(parts)
