"""The study in words: how many runs, how they ended, where they diverged."""

from collections.abc import Sequence
from typing import Final

import pandas as pd

from rnn_exp.figures.words import listing, number, plural, sentences

_VERDICTS: Final = ("vanishing", "stable", "exploding", "diverged", "undetermined")
_STATUSES: Final = ("finished", "solved", "diverged", "failed", "running")
_RULE: Final = "verdict_rule"


def summary(runs: pd.DataFrame, broken: pd.DataFrame) -> str:
    """One paragraph: the number of runs, by status and by verdict."""
    if runs.empty:
        return sentences("The study has no readable run.", _broken(broken))
    return sentences(
        f"The study has {plural(len(runs), 'run')}: {_counted(runs, 'status', _STATUSES)}.",
        f"Verdicts: {_counted(runs, 'verdict', _VERDICTS)}.",
        _trained(runs),
        _broken(broken),
    )


def _counted(runs: pd.DataFrame, column: str, order: Sequence[str]) -> str:
    counts = runs.reindex(columns=[column])[column].astype(object).fillna("unknown").value_counts()
    known = [value for value in order if value in counts]
    others = sorted(str(value) for value in counts.index if value not in order)
    return listing(f"{counts[value]} {value}" for value in (*known, *others))


def _trained(runs: pd.DataFrame) -> str:
    if "final_verdict" not in runs or runs["final_verdict"].isna().all():
        return ""
    changed = runs.dropna(subset=["final_verdict"])
    count = int((changed["final_verdict"] != changed.reindex(columns=["verdict"])["verdict"]).sum())
    if not count:
        return "Training changes no verdict."
    return f"By the last recorded update, {plural(count, 'verdict')} of {len(changed)} changed."


def _broken(broken: pd.DataFrame) -> str:
    if broken.empty:
        return ""
    return f"{plural(len(broken), 'folder')} could not be read (listed below)."


def divergences(runs: pd.DataFrame) -> list[dict[str, str]]:
    """For each diverged run its name and where it happened, in words."""
    columns = ["run", "status", "diverged_update", "diverged_time", "diverged_direction"]
    rows = runs.reindex(columns=columns)
    rows = rows[(rows["status"] == "diverged") | rows["diverged_update"].notna()]
    return [{"run": str(row["run"]), "where": where(row)} for _, row in rows.iterrows()]


def where(row: pd.Series) -> str:
    """Where a run diverged: 'at update 12, time 38, backward'."""
    parts = [
        f"{name} {int(row[key])}"
        for name, key in (("update", "diverged_update"), ("time", "diverged_time"))
        if pd.notna(row.get(key))
    ]
    direction = row.get("diverged_direction")
    parts += [str(direction)] if pd.notna(direction) and direction else []
    return f"at {', '.join(parts)}" if parts else "at an unknown place"


def rules(runs: pd.DataFrame) -> list[str]:
    """The rules by which verdicts were given, as the runs recorded them."""
    return sorted({str(rule) for rule in runs[_RULE].dropna()}) if _RULE in runs else []


def cell(value: object) -> str:
    """A table cell: numbers short, missing values as a dash."""
    if value is None or (isinstance(value, float) and value != value):
        return "-"
    return number(value) if isinstance(value, float) else str(value)
