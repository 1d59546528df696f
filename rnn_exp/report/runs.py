"""The table of runs on the page: what varies, how it ended, and how to do it again."""

from dataclasses import dataclass
from typing import Final

import pandas as pd

from rnn_exp.figures.settings import setting_columns
from rnn_exp.report.prose import cell, where

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
