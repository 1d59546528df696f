"""Remedies: what each does to the decay of the gradient, and to what is learned."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnn_exp.figures import dots, endings
from rnn_exp.figures.recipes import ANY, Book
from rnn_exp.figures.source import Tables
from rnn_exp.figures.words import listing, number, plural, sentences

QUESTION: Final = "What mends a vanishing gradient?"
BESIDE: Final = ()

_CELL, _INIT = "network.cell", "init"
BOOK: Final = Book(
    plain={
        _CELL: "rnn", _INIT: "torch", "network.parametrization": "free",
        "training.clip_norm": "none", "training.clip_value": "none", "training.omega": "0",
        "training.omega_form": "squared", "training.orthogonality": "0",
        "training.truncate_every": "none", "training.truncate_back": "none",
        "network.leak": "none",
    },
    name="plain tanh network",
    recipes={
        "clip by norm": {"training.clip_norm": ANY},
        "clip by value": {"training.clip_value": ANY},
        "Ω (squared)": {"training.omega": ANY, "training.omega_form": "squared"},
        "Ω (ratio)": {"training.omega": ANY, "training.omega_form": "ratio"},
        "truncated BPTT": {"training.truncate_every": ANY, "training.truncate_back": ANY},
        "soft orthogonality": {"training.orthogonality": ANY},
        "critical init": {_INIT: "critical"},
        "orthogonal init": {_INIT: "orthogonal"},
        "kept orthogonal": {_INIT: "orthogonal", "network.parametrization": "orthogonal"},
        "leaky": {_CELL: "leaky", "network.leak": ANY},
        "residual": {_CELL: "residual", "network.leak": ANY},
        "layer norm": {_CELL: "normed"},
        "GRU": {_CELL: "gru"},
        "LSTM": {_CELL: "lstm"},
        "LSTM, forget bias": {_CELL: "lstm", _INIT: "forget_bias"},
        "LSTM, chrono init": {_CELL: "lstm", _INIT: "chrono"},
    },
)  # fmt: skip


def table(tables: Tables) -> pd.DataFrame:
    """A row a remedy: decay rate at the start and at the end, final loss in parts of chance."""
    plotted = endings.table(tables, BOOK)
    ended = plotted.attrs["notes"]
    longest = int(plotted["length"].max())
    shorter = sorted(set(plotted["length"]) - {longest})
    notes = [f"Only T = {longest} is shown (not {listing(map(str, shorter))})."] if shorter else []
    plotted = plotted[plotted["length"] == longest]
    plotted = plotted.assign(rest=plotted["series"].astype(str) != BOOK.name)
    plotted = plotted.sort_values(["rest", "loss"], kind="stable").drop(columns="rest")
    plotted = plotted.reset_index(drop=True)
    plotted.attrs["notes"] = [*ended, *notes]
    return plotted


def draw(table: pd.DataFrame) -> Figure:
    """A row a remedy: left the decay rate before and after training, right the final loss."""
    return dots.draw(table, BOOK.name)


def caption(table: pd.DataFrame) -> str:
    """What is seen: which remedies learn, and what each does to the gradient."""
    known = table[np.isfinite(table["loss"])]
    learned = known[known["loss"] < endings.LEARNED]
    diverged = int(table["diverged"].sum())
    stuck = table.loc[~table.index.isin(learned.index), "series"].astype(str)
    said = [_one(row) for _, row in learned.sort_values("loss").iterrows()]
    return sentences(
        f"T = {table['length'].iloc[0]}: below half of the loss of chance end {listing(said)}."
        if said else f"T = {table['length'].iloc[0]}: no network ends below half of chance.",
        f"Not {listing(stuck)}." if len(stuck) and said else "",
        _kept(table),
        "Points: median over seeds; bars: lowest to highest.",
        f"Up to {plural(int(table['seeds'].max()), 'seed')}; {plural(diverged, 'run')} diverged.",
        *table.attrs.get("notes", []),
    )  # fmt: skip


def _one(row: pd.Series) -> str:
    return f"{row['series']} ({number(row['loss'])})"


def _kept(table: pd.DataFrame) -> str:
    """Who starts nearest to a gradient that keeps its norm, and where the plain network starts."""
    known = table.dropna(subset="start")
    if known.empty:
        return "No decay rate could be measured."
    best = known.iloc[int((known["start"] - 1).abs().to_numpy().argmin())]
    plain = known.loc[known["series"].astype(str) == BOOK.name, "start"]
    beside = f" (the plain network: {number(plain.iloc[0])})" if len(plain) else ""
    rate = number(best["start"])
    return f"Before training the rate is nearest to 1 with {best['series']}: {rate}{beside}."
