"""Progress of a run and of a sweep, on one line of stderr.

The line says what is wanted most first: how much is done, and how long the rest will take.
"""

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from torch import Tensor

from rnn_exp.sweeps.line import Line, line_on
from rnn_exp.sweeps.status import SweepStatus, chunks_in_training, clock, status_parts
from rnn_exp.training.loop import Update
from rnn_exp.training.recorder import row_of
from rnn_exp.training.run import Run
from rnn_exp.training.verdicts import carried_by

__all__ = ["RunBar", "SweepBar"]

_SECONDS_BETWEEN_READINGS = 0.2
_SECONDS_BETWEEN_REFRESHES = 1.0
_LEAST_PART = 0.02  # of a sweep's work, before which nobody knows how long the rest takes


class RunBar:
    """Shows a single run's updates, the time left, loss, decay rate and gradient norm.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self.updates = run.training.updates
        self.line = Line(sys.stderr, "", _SECONDS_BETWEEN_READINGS)
        self.begun, self.first = monotonic(), 0
        self.recorded: Mapping[str, Tensor] = {}

    def on_update(self, update: Update) -> None:
        """Show one more update."""
        made = update.number + 1
        if not self.first:  # the time before is that of the start; a checkpoint has made others
            self.first, self.begun = made, monotonic()
        self.recorded = update.recorded or self.recorded
        is_last = made == self.updates and self.line.is_terminal
        if is_last or self.line.is_due():  # reading a number makes a GPU wait
            parts = [f"{made}/{self.updates} updates", *self._time_left(made)]
            self.line.show(made / self.updates, [*parts, *self._numbers(update)])

    def close(self) -> None:
        """End the line; it stays on the terminal."""
        self.line.close()

    def _numbers(self, update: Update) -> Iterator[str]:
        """Yield the numbers of an update, and the decay rate of the last recorded one."""
        yield f"loss {float(update.loss[0]):.3g}"
        if self.recorded:
            yield f"decay rate {carried_by(row_of(self.recorded, 0)).summary.rate:.3f}"
        yield f"gradient norm {float(update.grad_norm[0]):.2e}"

    def _time_left(self, made: int) -> Iterator[str]:
        """Yield how long the rest takes, at the speed of the updates that were seen."""
        seen = made - self.first
        if seen and made < self.updates:
            left = (monotonic() - self.begun) * (self.updates - made) / seen
            yield f"{clock(left)} to go"


class SweepBar:
    """Shows the status of a sweep; it moves with the work done, not with the number of runs.

    Args:
        sweep: the sweep's folder.
        runs: how many runs the sweep has.
        already_done: how many of them were done before it began.
        work: estimate for all other runs together, in seconds of one core.
        name: what it is called on the line; None: as its folder.
    """

    def __init__(
        self, sweep: Path, runs: int, already_done: int, work: float, name: str | None = None
    ) -> None:
        self.sweep, self.work = sweep, work
        # Of the work: what is done, and how much of that was done before, up to a checkpoint.
        self.work_done, self.done_before = 0.0, 0.0
        self.in_training: dict[str, float] = {}
        self.starts: dict[str, float] = {}
        self.counts = dict.fromkeys(("done", "diverged", "failed"), 0)
        self.runs, self.already_done, self.begun = runs, already_done, monotonic()
        shown = sweep.name if name is None else name
        self.line = line_on(sys.stderr, shown, _SECONDS_BETWEEN_REFRESHES)

    def start_chunk(self, name: str, work: float) -> None:
        """Note that a chunk was sent to a worker; ``work`` is its part of the whole work."""
        self.in_training[name] = work

    def drop_chunk(self, name: str) -> None:
        """Note that a chunk was lost with its worker: its runs will be sent again."""
        self.in_training.pop(name, None)

    def finish_chunk(self, name: str, statuses: Sequence[str]) -> None:
        """Count the runs of a chunk by the status with which they ended."""
        for status in statuses:
            self.counts["failed" if status == "failed" else "done"] += 1
            self.counts["diverged"] += status == "diverged"
        work = self.in_training.pop(name, 0.0)
        self.work_done += work
        self.done_before += work * self.starts.pop(name, 0.0)
        if self.line.is_terminal or self.line.is_due():
            self._show()

    def refresh(self) -> None:
        """Show what the heartbeats say, if it is time to."""
        if self.line.is_due():
            self._show()

    @contextmanager
    def refresh_in_background(self) -> Iterator[None]:
        """A context in which a thread refreshes the line, while this one waits for workers."""
        stop = threading.Event()

        def refresh_until_stopped() -> None:
            while not stop.wait(_SECONDS_BETWEEN_REFRESHES):
                self.refresh()

        thread = threading.Thread(target=refresh_until_stopped, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def close(self) -> None:
        """End the line; it stays on the terminal."""
        self.line.close()

    def _show(self) -> None:
        """Show how much of the work is done."""
        done, before = self.work_done, self.done_before
        for chunk in chunks_in_training(self.sweep):
            work = self.in_training.get(chunk.name, 0.0)
            self.starts[chunk.name] = chunk.start
            done += work * chunk.fraction
            before += work * chunk.start
        part = min(1.0, done / self.work) if self.work else 1.0
        self.line.show(part, status_parts(self._status(part, before)))

    def _status(self, part: float, before: float) -> SweepStatus:
        """Return the status when this part of the work is done, some of it by another process."""
        seconds = monotonic() - self.begun
        made = part - before / self.work if self.work else 0.0
        # Of less, the time is mostly that in which the processes start.
        speed = made / seconds if made >= _LEAST_PART and seconds else 0.0
        return SweepStatus(
            runs=self.runs,
            done=self.already_done + self.counts["done"],
            diverged=self.counts["diverged"],
            failed=self.counts["failed"],
            training=0,
            per_minute=60 * speed * (self.runs - self.already_done) if speed > 0 else None,
            seconds_left=(1 - part) / speed if speed > 0 else None,
        )
