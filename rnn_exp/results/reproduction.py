"""Reproduction: claims are measured, one after the other or on a few processes, and judged."""

import dataclasses
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, as_completed

from rnn_exp import process
from rnn_exp.local import Processes
from rnn_exp.results.claims import Claim

__all__ = ["Row", "in_order", "measured", "reproduce"]


@dataclasses.dataclass(frozen=True)
class Row:
    """A claim beside what was measured for it; ``failure``: why nothing was.

    ``seconds`` are those of one core: what else the machine does is no part of them.
    """

    claim: Claim
    quick: bool
    values: tuple[float, ...] = ()
    seconds: float = 0.0
    failure: str = ""

    @property
    def verdict(self) -> str:
        """`met`, `not met`, `failed`, or `–` where nothing was to be measured."""
        if self.failure:
            return "failed"
        if self.claim.goal is None or not self.values:
            return "–"
        return "met" if self.claim.goal.met(self.values) else "not met"

    @property
    def ours(self) -> str:
        """The measured values in words."""
        if self.failure:
            return self.failure
        if self.claim.goal is None:
            return "attempted; nothing is promised"
        return self.claim.goal.ours(self.values) if self.values else "not measured"


def measured(claim: Claim, quick: bool) -> Row:
    """Measure a claim in this process; whatever it raises becomes the row's failure."""
    process.settle()
    process.use_one_thread()
    measure, begun = claim.measure(quick), time.process_time()
    if measure is None:
        return Row(claim, quick)
    try:
        values = tuple(float(value) for value in measure())
        if not values:
            raise ValueError("nothing was measured")
    except Exception as error:
        return _failed(claim, quick, error, time.process_time() - begun)
    return Row(claim, quick, values, time.process_time() - begun)


def reproduce(claims: Iterable[Claim], quick: bool = False, processes: int = 1) -> Iterator[Row]:
    """Yield the row of every claim when it is there; the longest claims are started first."""
    ordered = sorted(claims, key=lambda claim: -_work(claim, quick))
    if processes == 1:
        yield from (measured(claim, quick) for claim in ordered)
        return
    workers = Processes(processes)
    try:
        futures = {workers.submit(_one, (claim, quick)): claim for claim in ordered}
        for future in as_completed(futures):
            yield _row(future, futures[future], quick)
    finally:
        workers.close()


def _one(asked: tuple[Claim, bool]) -> Row:
    return measured(*asked)


def _row(future: "Future[Row]", claim: Claim, quick: bool) -> Row:
    """Return what a process made of a claim; one that was lost with it has failed."""
    try:
        return future.result()
    except Exception as error:
        return _failed(claim, quick, error, 0.0)


def _failed(claim: Claim, quick: bool, error: Exception, seconds: float) -> Row:
    why = " ".join(str(error).split())
    return Row(claim, quick, (), seconds, f"{type(error).__name__}: {why}")


def _work(claim: Claim, quick: bool) -> float:
    measure = claim.measure(quick)
    return 0.0 if measure is None else measure.work


def in_order(rows: Sequence[Row], claims: Sequence[Claim]) -> list[Row]:
    """Return the rows in the order of the claims."""
    return sorted(rows, key=lambda row: claims.index(row.claim))
