"""Progress: one bar for a run, one for a sweep; silent where there is no terminal."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import numpy as np
from tqdm import tqdm

from rnn_exp.profiles import measure
from rnn_exp.sweeps.status import Standing, fractions, in_words
from rnn_exp.training.loop import Update
from rnn_exp.training.run import Run

__all__ = ["RunBar", "SweepBar"]

_SECONDS_BETWEEN_LOOKS = 0.2
_SECONDS_OF_A_LOOK = 1.0


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
            norms = update.recorded["log10_total"][-1, :, 0].cpu().numpy()
            self.rate = measure(norms, np.isfinite(norms)).rate
        if monotonic() >= self.next_look:  # reading a number makes a GPU wait
            self.next_look = monotonic() + _SECONDS_BETWEEN_LOOKS
            loss, norm = float(update.loss[0]), float(update.grad_norm[0])
            self.bar.set_postfix_str(
                f"loss {loss:.3g}, gradient norm {norm:.2e}, decay rate {self.rate:.3f}"
            )


class SweepBar:
    """Shows how a sweep stands; it moves with the work that is done, not with the runs.

    ``work`` is an estimate for all runs that are to be trained, in seconds of one core.
    """

    def __init__(self, sweep: Path, runs: int, there: int, work: float) -> None:
        self.sweep, self.work, self.finished = sweep, work, 0.0
        self.in_hand: dict[str, float] = {}
        self.counts = dict.fromkeys(("done", "diverged", "failed"), 0)
        self.runs, self.there, self.begun = runs, there, monotonic()
        self.bar = tqdm(
            total=1.0,
            disable=None,
            dynamic_ncols=True,
            desc=sweep.name,
            bar_format="{desc} |{bar:8}|",
        )
        self.next_look = 0.0

    def begin(self, name: str, work: float) -> None:
        """Note that a chunk is in somebody's hands."""
        self.in_hand[name] = work

    def give_back(self, name: str) -> None:
        """Note that a chunk is in nobody's hands any more, and not done."""
        self.in_hand.pop(name, None)

    def finish(self, name: str, statuses: Sequence[str]) -> None:
        """Count how the runs of a chunk ended."""
        for status in statuses:
            self.counts["failed" if status == "failed" else "done"] += 1
            self.counts["diverged"] += status == "diverged"
        self.finished += self.in_hand.pop(name, 0.0)
        self.next_look = 0.0
        self.look()

    def look(self) -> None:
        """Move, about once a second; chunks in hand say how far they are."""
        if self.bar.disable or monotonic() < self.next_look:
            return
        self.next_look = monotonic() + _SECONDS_OF_A_LOOK
        alive = fractions(self.sweep)
        part = sum(self.in_hand.get(name, 0.0) * fraction for name, _, fraction in alive)
        self._show(min(1.0, (self.finished + part) / self.work) if self.work else 1.0)

    def _show(self, part: float) -> None:
        taken = monotonic() - self.begun
        ended = part * (self.runs - self.there)
        now = Standing(
            runs=self.runs,
            done=self.there + self.counts["done"],
            diverged=self.counts["diverged"],
            failed=self.counts["failed"],
            training=0,
            per_minute=60 * ended / taken if part else None,
            seconds_left=taken * (1 - part) / part if part else None,
        )
        self.bar.n = part
        self.bar.bar_format = f"{{desc}} |{{bar:8}}| {in_words(now)}"
        self.bar.refresh()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look from time to time while somebody else works."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(_SECONDS_OF_A_LOOK):
                self.look()

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def close(self) -> None:
        """Leave the bar as it is."""
        self.bar.close()
