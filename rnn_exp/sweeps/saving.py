"""Saving: the runs of a chunk on disk while they train, and from where they go on after a kill.

Their curves go to trackers as well, where that is asked for.
"""

import dataclasses
import logging
import time
from collections.abc import Sequence
from pathlib import Path

from rnn_exp.recordings.trackers import Tracker
from rnn_exp.schema import tables_of
from rnn_exp.storage import checkpoint, unfinished, writing
from rnn_exp.storage.files import put_aside, remove_half_written
from rnn_exp.storage.parts import ROWS_OF_A_PART, Parts
from rnn_exp.storage.unfinished import UnusableError
from rnn_exp.sweeps.jobs import Job, JobResult, failed, tell, write_log
from rnn_exp.training.batch import StateError
from rnn_exp.training.experiment import Chunk, Snapshot
from rnn_exp.training.loop import Update
from rnn_exp.training.outcome import Tables, in_words
from rnn_exp.training.run import Run

__all__ = ["Saver", "Start", "chunk_from", "remove_saved", "start_of"]

log = logging.getLogger("rnn_exp")


@dataclasses.dataclass
class Start:
    """From where a job begins: its checkpoint if it has one, and the rows so far."""

    job: Job
    snapshot: Snapshot | None
    parts: Parts


def start_of(job: Job) -> Start:
    """Return from where a job begins; a checkpoint that cannot be used is put aside.

    Args:
        job: the job, whose folder the caller holds.
    """
    try:
        found = checkpoint.read(job.folder, job.run)
    except UnusableError as error:
        return _anew(job, error)
    if found is None:
        return _from_the_beginning(job)
    snapshot, parts = found
    parts.remove_unlisted()
    return Start(job, snapshot, parts)


def chunk_from(starts: Sequence[Start]) -> Chunk:
    """Return the chunk of some jobs; it begins anew if no training can go on from what was saved.

    Args:
        starts: of the jobs; all have a checkpoint of the same update, or none has.
    """
    runs = [start.job.run for start in starts]
    snapshots = [start.snapshot for start in starts if start.snapshot is not None]
    if not snapshots:
        return Chunk(runs)
    try:
        chunk = Chunk(runs, snapshots)
    except StateError as error:
        for start in starts:
            fresh = _anew(start.job, error)
            start.snapshot, start.parts = None, fresh.parts
        return Chunk(runs)
    for start in starts:
        write_log(start.job, f"going on after update {chunk.made}")
    return chunk


def _anew(job: Job, error: Exception) -> Start:
    """Put what was saved of a job aside, and say so in its log."""
    aside = put_aside(job.folder, [unfinished.FOLDER])
    if aside is not None:
        why = " ".join(str(error).split())
        tell(job, f"the checkpoint cannot be used and is now in {aside.name}: {why}")
    return _from_the_beginning(job)


def _from_the_beginning(job: Job) -> Start:
    parts = Parts(job.folder / unfinished.FOLDER, tables_of(job.run.settings()))
    parts.remove_unlisted()
    return Start(job, None, parts)


def remove_saved(folder: Path) -> None:
    """Remove what lies beside the results of a run that is done; the caller holds its folder.

    These are half-written files, the checkpoint and the parts.
    """
    remove_half_written(folder)
    unfinished.remove(folder)


class Saver:
    """Writes what the runs of a chunk have done so far, and each run's results when it ends.

    Args:
        chunk: the chunk.
        starts: from where its jobs began.
        clock: says when checkpoints are due.
    """

    def __init__(self, chunk: Chunk, starts: Sequence[Start], clock: checkpoint.Clock) -> None:
        self.jobs = {start.job.run: start.job for start in starts}
        self._chunk, self._clock = chunk, clock
        self._parts = {start.job.run: start.parts for start in starts}
        self._curves = _Curves(starts)
        run = starts[0].job.run
        self._rows_of_an_update = run.task.steps * run.network.num_layers
        # While it writes, rows are neither with the chunk nor on disk: no checkpoint then.
        self._is_writing = False

    def track(self, update: Update) -> None:
        """Send the curves of an update to the trackers of the runs that recorded it."""
        for run in self._curves.tracked(update.runs):
            tables = self._chunk.recorded(run, update)
            if tables is not None:
                self._curves.send(run, tables)

    def save_what_is_due(self) -> None:
        """Write checkpoints if it is time; or else rows, if there are as many as a part has."""
        if self._clock.due():
            self.write_checkpoints()
        elif self._chunk.held * self._rows_of_an_update >= ROWS_OF_A_PART:
            self._is_writing = True
            for run in self._parts:
                self._add_rows(run)
            self._is_writing = False

    def write_checkpoints(self) -> None:
        """Write a checkpoint for every run in training; if that fails, training goes on without."""
        if self._is_writing:
            return  # a write was interrupted; the checkpoint before it still holds
        begun = time.monotonic()
        self._is_writing = True
        for run, snapshot in self._chunk.snapshots():
            parts, folder = self._parts[run], self.jobs[run].folder
            if self._add_rows(run) and self._write_checkpoint(folder, run, snapshot, parts):
                parts.remove_unlisted()
        self._is_writing = False
        self._clock.reset(begun)

    def write_results(self, run: Run, update: Update) -> JobResult:
        """Write the results of a run that has ended, and remove what was saved before.

        Args:
            run: the run.
            update: the one with which it ended.
        """
        job, parts = self.jobs[run], self._parts.pop(run)
        try:
            outcome = self._chunk.outcome(run, update)
            self._curves.send(run, outcome.tables)
            writing.write(job.folder, outcome, parts, job.beside)
        except Exception as error:
            return failed(job, error)
        message = in_words(outcome)
        write_log(job, message)
        try:
            remove_saved(job.folder)
        except OSError as error:
            tell(job, f"what was saved on the way could not be removed: {error}")
        return JobResult(outcome.status, message)

    def _add_rows(self, run: Run) -> bool:
        """Write a run's new rows; return whether that was possible."""
        try:
            tables = self._chunk.take(run)
            if tables is not None:
                self._curves.send(run, tables)
            self._parts[run].add(tables)
        except OSError as error:
            log.warning("rows are kept in memory, as they could not be written: %s", error)
            return False
        return True

    @staticmethod
    def _write_checkpoint(folder: Path, run: Run, snapshot: Snapshot, parts: Parts) -> bool:
        try:
            checkpoint.write(folder, run, snapshot, parts)
        except OSError as error:
            log.warning("no checkpoint could be written: %s", error)
            return False
        return True


class _Curves:
    """Sends what is recorded of the runs of a chunk to their trackers, each update once.

    What is written into a checkpoint was sent before, also where Ctrl-C came between an update and
    its curves: then it is sent with the rows. So a run that goes on lacks no point.

    Args:
        starts: from where the jobs of the chunk began.
    """

    def __init__(self, starts: Sequence[Start]) -> None:
        self._trackers: dict[Run, Tracker] = {}
        self._next: dict[Run, int] = {}
        for start in starts:
            job, made = start.job, 0 if start.snapshot is None else start.snapshot.updates
            try:
                tracker = job.tracking.open(job.folder, made)
            except OSError as error:
                _no_more(error)
                continue
            if tracker is not None:
                self._trackers[job.run], self._next[job.run] = tracker, made

    def tracked(self, runs: Sequence[Run]) -> list[Run]:
        """Return those of some runs that have a tracker."""
        return [run for run in runs if run in self._trackers] if self._trackers else []

    def send(self, run: Run, tables: Tables) -> None:
        """Send the recorded updates in some tables that were not sent yet.

        Args:
            run: the run, with or without a tracker.
            tables: its tables of updates and of gradients.
        """
        updates = tables["updates"]
        if run not in self._trackers or updates["update"][-1] < self._next[run]:
            return
        import pandas as pd  # here: a worker without trackers does without it

        from rnn_exp.recordings.curves import curves_of

        gradients = pd.DataFrame(tables["gradients"])
        for place, number in enumerate(map(int, updates["update"])):
            if number < self._next[run]:
                continue
            row = {name: values[place] for name, values in updates.items()}
            curves = curves_of(gradients[gradients["update"] == number], row)
            try:
                self._trackers[run].log(number, curves)
            except OSError as error:
                _no_more(error)
                del self._trackers[run]
                return
            self._next[run] = number + 1


def _no_more(error: OSError) -> None:
    log.warning("training goes on without curves, as they could not be written: %s", error)
