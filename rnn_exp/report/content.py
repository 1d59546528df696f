"""What the page says of a study beside its figures: in words, and as a table of runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from rnn_exp.figures.parts.selection import setting_columns
from rnn_exp.schema import RUN_STATUSES, VERDICTS
from rnn_exp.words import listing, number, plural, sentences


def summary(runs: pd.DataFrame, broken: pd.DataFrame) -> str:
    """One paragraph: the number of runs, by status and by verdict."""
    if runs.empty:
        return sentences("The study has no readable run.", _broken(broken))
    return sentences(
        f"The study has {plural(len(runs), 'run')}: {_counted(runs, 'status', RUN_STATUSES)}.",
        f"Verdicts: {_counted(runs, 'verdict', VERDICTS)}.",
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


def cell(value: object) -> str:
    """A table cell: numbers short, missing values as a dash."""
    if value is None or (isinstance(value, float) and value != value):
        return "-"
    return number(value) if isinstance(value, float) else str(value)


RESULTS: Final = {
    "status": "status",
    "verdict": "verdict",
    "decay_rate": "decay rate",
    "predicted_rate": "predicted",
    "half_life": "half-life",
    "final_decay_rate": "final rate",
    "final_half_life": "final half-life",
}


@dataclass(frozen=True)
class RunTable:
    """Headings, one list of cells a run, and what all runs share."""

    headings: list[str]
    rows: list[list[str]]
    shared: list[tuple[str, str]]


def run_table(runs: pd.DataFrame) -> RunTable:
    """All runs, with the settings that vary as columns and those that do not apart."""
    settings = [*setting_columns(runs), *(["seed"] if "seed" in runs else [])]
    text = runs[settings].astype(object).map(cell)
    varying = [column for column in settings if len(text[column].unique()) > 1]
    results = [column for column in RESULTS if column in runs]
    cells = runs[results].astype(object).map(cell)
    ended = [_end(row) for _, row in runs.iterrows()]
    table = pd.concat([runs["run"].astype(str), text[varying], cells], axis=1)
    headings = ["run", *varying, *(RESULTS[column] for column in results), "diverged or failed"]
    rows = [[*row, end] for row, end in zip(table.to_numpy().tolist(), ended, strict=True)]
    shared = [(c, str(text[c].iloc[0])) for c in settings if c not in varying and len(text)]
    return RunTable(headings, rows, shared)


def _end(row: pd.Series) -> str:
    failure = row.get("failure")
    if pd.notna(failure) and failure:
        return str(failure)
    diverged = row.get("status") == "diverged" or pd.notna(row.get("diverged_update"))
    return where(row) if diverged else "-"


def commands(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """Each run with the command that reproduces it, where one was recorded."""
    known = runs.reindex(columns=["run", "command"]).dropna(subset="command")
    return [(str(run), str(command)) for run, command in known.to_numpy().tolist()]
