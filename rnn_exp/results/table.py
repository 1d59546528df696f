"""The table of claims, as Markdown and as CSV."""

import csv
import io
from collections.abc import Sequence

from rnn_exp.results.reproduction import Row

__all__ = ["COLUMNS", "as_csv", "as_markdown"]

COLUMNS = ("claim", "says", "source", "setting", "reference", "ours", "met", "dose", "core_seconds")
_SPECIAL = "\\`*_|<>[]~#$"  # what Markdown would take for itself within a cell


def cells(row: Row) -> tuple[str, ...]:
    """Return what the table shows of a row, in the order of `COLUMNS`."""
    claim = row.claim
    return (
        claim.group, claim.says, claim.source, claim.setting(row.quick),
        claim.goal.reference if claim.goal else "", row.ours, row.verdict, claim.dose(row.quick),
        f"{row.seconds:.1f}" if row.values or row.failure else "",
    )  # fmt: skip


def as_csv(rows: Sequence[Row]) -> str:
    """Return the table as CSV, with the value of every seed in a last column."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*COLUMNS, "values"])
    writer.writerows([*cells(row), " ".join(map(repr, row.values))] for row in rows)
    return text.getvalue()


def as_markdown(rows: Sequence[Row], made_by: str) -> str:
    """Return the table as Markdown: how it was made, what it amounts to, a line a claim."""
    lines = ["# Results", "", made_by, "", summary(rows), "", _line(COLUMNS),
             _line(["---"] * len(COLUMNS))]  # fmt: skip
    lines += [_line([_escaped(cell) for cell in cells(row)]) for row in rows]
    return "\n".join(lines) + "\n"


def summary(rows: Sequence[Row]) -> str:
    """Say in a line how many claims are met.

    Example:
        >>> summary([])
        '0 claims met, 0 not met, 0 failed, 0 not measured.'
    """
    verdicts = [row.verdict for row in rows]
    met, not_met, failed, nothing = (
        verdicts.count(verdict) for verdict in ("met", "not met", "failed", "–")
    )
    return f"{met} claims met, {not_met} not met, {failed} failed, {nothing} not measured."


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    """Return text that is one cell of one line and nothing else, whatever is in it."""
    return "".join(
        f"\\{letter}" if letter in _SPECIAL else letter for letter in " ".join(text.split())
    )
