"""Progress bars: one for a run, one for a sweep; nothing is written where there is no terminal."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from tqdm import tqdm

from rnn_exp.sweeps.status import SweepStatus, chunks_in_training, status_line
from rnn_exp.training.loop import Update
from rnn_exp.training.recorder import row_of
from rnn_exp.training.run import Run
from rnn_exp.training.verdicts import carried_by

__all__ = ["RunBar", "SweepBar"]

_SECONDS_BETWEEN_READINGS = 0.2
_SECONDS_BETWEEN_REFRESHES = 1.0


class RunBar:
    """Shows a single run's update, loss, gradient norm and decay rate.

    Args:
        run: the run.
    """

    def __init__(self, run: Run) -> None:
        self.bar = tqdm(total=run.training.updates, unit="update", disable=None)
        self.rate, self.next_reading = float("nan"), 0.0

    def on_update(self, update: Update) -> None:
        """Move on by one update."""
        self.bar.update()
        if self.bar.disable:
            return
        if update.recorded is not None:
            self.rate = carried_by(row_of(update.recorded, 0)).summary.rate
        if monotonic() >= self.next_reading:  # reading a number makes a GPU wait
            self.next_reading = monotonic() + _SECONDS_BETWEEN_READINGS
            loss, norm = float(update.loss[0]), float(update.grad_norm[0])
            self.bar.set_postfix_str(
                f"loss {loss:.3g}, gradient norm {norm:.2e}, decay rate {self.rate:.3f}"
            )

    def close(self) -> None:
        """End the bar; it stays on the terminal."""
        self.bar.close()


class SweepBar:
    """Shows the status of a sweep; it moves with the work done, not with the number of runs.

    Args:
        sweep: the sweep's folder.
        runs: how many runs the sweep has.
        already_done: how many of them were done before it began.
        work: estimate for all other runs together, in seconds of one core.
    """

    def __init__(self, sweep: Path, runs: int, already_done: int, work: float) -> None:
        self.sweep, self.work, self.work_done = sweep, work, 0.0
        self.in_training: dict[str, float] = {}
        self.counts = dict.fromkeys(("done", "diverged", "failed"), 0)
        self.runs, self.already_done, self.begun = runs, already_done, monotonic()
        self.bar = tqdm(
            total=1.0,
            disable=None,
            dynamic_ncols=True,
            desc=sweep.name,
            bar_format="{desc} |{bar:8}|",
        )
        self.next_refresh = float("-inf")

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
        self.work_done += self.in_training.pop(name, 0.0)
        self.next_refresh = float("-inf")
        self.refresh()

    def refresh(self) -> None:
        """Draw the bar with what the heartbeats say, unless it was drawn less than a second ago."""
        if self.bar.disable or monotonic() < self.next_refresh:
            return
        self.next_refresh = monotonic() + _SECONDS_BETWEEN_REFRESHES
        part = sum(
            self.in_training.get(chunk.name, 0.0) * chunk.fraction
            for chunk in chunks_in_training(self.sweep)
        )
        self._draw(min(1.0, (self.work_done + part) / self.work) if self.work else 1.0)

    @contextmanager
    def refresh_in_background(self) -> Iterator[None]:
        """A context in which a thread refreshes the bar, while this one waits for workers."""
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
        """End the bar; it stays on the terminal."""
        self.bar.close()

    def _draw(self, part: float) -> None:
        """Draw the bar with this part of the work done."""
        seconds = monotonic() - self.begun
        ended = part * (self.runs - self.already_done)
        status = SweepStatus(
            runs=self.runs,
            done=self.already_done + self.counts["done"],
            diverged=self.counts["diverged"],
            failed=self.counts["failed"],
            training=0,
            per_minute=60 * ended / seconds if part else None,
            seconds_left=seconds * (1 - part) / part if part else None,
        )
        self.bar.n = part
        self.bar.bar_format = f"{{desc}} |{{bar:8}}| {status_line(status)}"
        self.bar.refresh()
