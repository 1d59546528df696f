"""Claims are measured, on one process or several, and shown as a table (Markdown and CSV)."""

import csv
import dataclasses
import io
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, as_completed

from rnn_exp.reproduction.claims import Claim
from rnn_exp.sweeps import process
from rnn_exp.sweeps.pool import Processes

__all__ = ["COLUMNS", "Row", "as_csv", "as_markdown", "in_order", "measure", "reproduce"]

COLUMNS = ("claim", "says", "source", "setting", "reference", "ours", "met", "dose", "core_seconds")


@dataclasses.dataclass(frozen=True)
class Row:
    """A claim beside what was measured for it.

    Args:
        claim: what is claimed.
        quick: whether ``--quick`` was asked for.
        values: what was measured, one value a seed; empty where nothing was.
        seconds: the processor time of one core; what else the machine does is no part of it.
        failure: why nothing was measured.
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
        return self.claim.goal.describe(self.values) if self.values else "not measured"

    @property
    def cells(self) -> tuple[str, ...]:
        """What the table shows, in the order of `COLUMNS`."""
        claim = self.claim
        return (
            claim.group,
            claim.says,
            claim.source,
            claim.setting(self.quick),
            claim.goal.reference if claim.goal else "",
            self.ours,
            self.verdict,
            claim.dose(self.quick),
            f"{self.seconds:.1f}" if self.values or self.failure else "",
        )


def measure(claim: Claim, quick: bool) -> Row:
    """Measure a claim in this process; whatever it raises becomes the row's failure."""
    process.settle()
    process.use_one_thread()
    make, begun = claim.measure(quick), time.process_time()
    if make is None:
        return Row(claim, quick)
    try:
        values = tuple(float(value) for value in make())
        if not values:
            raise ValueError("nothing was measured")
    except Exception as error:
        return _failed(claim, quick, error, time.process_time() - begun)
    return Row(claim, quick, values, time.process_time() - begun)


def reproduce(claims: Iterable[Claim], quick: bool = False, processes: int = 1) -> Iterator[Row]:
    """Yield the row of every claim when it is there; the longest claims are started first.

    Args:
        claims: what to measure.
        quick: whether to measure less, as each claim says.
        processes: how many claims are measured at once; 1: in this process, one after another.
    """
    ordered = sorted(claims, key=lambda claim: -_expected_seconds(claim, quick))
    if processes == 1:
        yield from (measure(claim, quick) for claim in ordered)
        return
    workers = Processes(processes)
    try:
        futures = {workers.submit(_measure_in_worker, (claim, quick)): claim for claim in ordered}
        for future in as_completed(futures):
            yield _row_of(future, futures[future], quick)
    finally:
        workers.close()


def _expected_seconds(claim: Claim, quick: bool) -> float:
    chosen = claim.measure(quick)
    return 0.0 if chosen is None else chosen.expected_seconds


def _measure_in_worker(job: tuple[Claim, bool]) -> Row:
    return measure(*job)


def _row_of(future: "Future[Row]", claim: Claim, quick: bool) -> Row:
    """Return what a process made of a claim; one that was lost with it has failed."""
    try:
        return future.result()
    except Exception as error:
        return _failed(claim, quick, error, 0.0)


def _failed(claim: Claim, quick: bool, error: Exception, seconds: float) -> Row:
    """Return the row of a claim that raised, with the error in one line."""
    why = " ".join(str(error).split())
    return Row(claim, quick, (), seconds, f"{type(error).__name__}: {why}")


def in_order(rows: Sequence[Row], claims: Sequence[Claim]) -> list[Row]:
    """Return the rows in the order of the claims."""
    return sorted(rows, key=lambda row: claims.index(row.claim))


def as_csv(rows: Sequence[Row]) -> str:
    """Return the table as CSV, with the value of every seed in a last column."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, "values"])
    writer.writerows([*row.cells, " ".join(map(repr, row.values))] for row in rows)
    return text.getvalue()


def as_markdown(rows: Sequence[Row], made_by: str) -> str:
    """Return the table as Markdown: how it was made, how many claims are met, a line a claim.

    Args:
        rows: the claims in the order in which they are to stand.
        made_by: a sentence on how they were measured.
    """
    lines = ["# Results", "", made_by, "", _summary(rows), ""]
    lines += [_line(COLUMNS), _line(["---"] * len(COLUMNS))]
    lines += [_line([_escaped(cell) for cell in row.cells]) for row in rows]
    return "\n".join(lines) + "\n"


def _summary(rows: Sequence[Row]) -> str:
    """Return in a line how many claims are met.

    Example:
        >>> _summary([])
        '0 claims met, 0 not met, 0 failed, 0 not measured.'
    """
    verdicts = [row.verdict for row in rows]
    met, not_met, failed, nothing = (
        verdicts.count(verdict) for verdict in ("met", "not met", "failed", "–")
    )
    return f"{met} claims met, {not_met} not met, {failed} failed, {nothing} not measured."


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_SPECIAL = "\\`*_|<>[]~#$"  # what Markdown would take for itself within a cell


def _escaped(text: str) -> str:
    """Return text that is one cell of one line and nothing else, whatever is in it."""
    return "".join(
        f"\\{letter}" if letter in _SPECIAL else letter for letter in " ".join(text.split())
    )
