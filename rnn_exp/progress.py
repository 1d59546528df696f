"""Progress: one bar for a run, one for a sweep; silent where there is no terminal."""

import time

import numpy as np
from tqdm import tqdm

from rnn_exp.decay import measure
from rnn_exp.recording import COLUMNS
from rnn_exp.run import Run
from rnn_exp.updates import Update

__all__ = ["RunBar", "SweepBar"]

_TOTAL = COLUMNS.index("log10_total")
_SECONDS_BETWEEN_LOOKS = 0.2


class RunBar:
    """Shows a single run's update, loss, gradient norm and decay rate."""

    def __init__(self, run: Run) -> None:
        self.bar = tqdm(total=run.training.updates, unit="update", disable=None)
        self.rate, self.next_look = float("nan"), 0.0
        self.close = self.bar.close

    def watch(self, update: Update) -> None:
        """Move on by one update."""
        self.bar.update()
        if self.bar.disable:
            return
        if update.recorded is not None:
            norms = update.recorded.profile[_TOTAL, -1, :, 0].cpu().numpy()
            self.rate = measure(norms, np.isfinite(norms)).rate
        if time.monotonic() >= self.next_look:  # reading a number makes a GPU wait
            self.next_look = time.monotonic() + _SECONDS_BETWEEN_LOOKS
            loss, norm = float(update.loss[0]), float(update.grad_norm[0])
            self.bar.set_postfix_str(
                f"loss {loss:.3g}, gradient norm {norm:.2e}, decay rate {self.rate:.3f}"
            )


class SweepBar:
    """Shows what is running, how many runs are done, diverged and failed, and the time left."""

    def __init__(self, name: str, runs: int) -> None:
        self.bar = tqdm(
            total=runs, disable=None, desc=name, bar_format=
            "{desc}: {percentage:3.0f}%|{bar}| {elapsed} so far, {remaining} left{postfix}",
        )  # fmt: skip
        self.counts = dict.fromkeys(("done", "diverged", "failed"), 0)
        self.total, self.begun = runs, 0.0
        self.close = self.bar.close

    def start(self, runs: list[Run]) -> None:
        """Say which runs are training now."""
        first = runs[0]
        now = f"T={first.task.length} {first.network.activation}"
        self._show(f"{len(runs)} runs of {now}" if len(runs) > 1 else first.name)
        self.begun = float(self.counts["done"] + self.counts["failed"])

    def watch(self, update: Update, runs: int, updates: int) -> None:
        """Move on by one update of a chunk of runs."""
        self._move_to(self.begun + runs * (update.update + 1) / updates)

    def finish(self, statuses: list[str]) -> None:
        """Count how the runs of a chunk ended."""
        for status in statuses:
            self.counts["failed" if status == "failed" else "done"] += 1
            self.counts["diverged"] += status == "diverged"
        self._move_to(float(self.counts["done"] + self.counts["failed"]))
        self._show("")

    def _move_to(self, place: float) -> None:
        self.bar.update(min(place, float(self.total)) - self.bar.n)

    def _show(self, now: str) -> None:
        counts = self.counts
        told = (f"{counts['done']}/{self.total} done, {counts['diverged']} diverged, "
                f"{counts['failed']} failed")  # fmt: skip
        self.bar.set_postfix_str(f"{told}; {now}" if now else told)
