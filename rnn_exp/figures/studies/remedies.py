"""Remedies: the decay of the gradient with each, before and after training, and the final loss."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnn_exp.figures.parts import captions, losses, marks, panels
from rnn_exp.figures.parts.recipes import ANY, Recipes, in_list
from rnn_exp.figures.parts.selection import Plotted, Tables
from rnn_exp.figures.parts.sheet import Entry, Sheet
from rnn_exp.figures.parts.style import BLUE, PAGE, REFERENCE, THEORY, VERMILLION, in_style
from rnn_exp.words import listing, number, plural, rate, rate_with_interval, sentences

QUESTION: Final = "Which remedies keep the gradient from vanishing, and which let a network learn?"

_LOOKS: Final = {"start": ("white", -0.16), "end": (BLUE, 0.16)}
"""The faces of points, and how far they are moved aside, so that the bars of both are seen."""
_PLAIN: Final[Mapping[str, Any]] = {"color": REFERENCE, "linewidth": 1, "linestyle": (0, (1, 1))}
_MOST_NAMED: Final = 4
_CELL, _INIT = "network.cell", "init"
RECIPES: Final = Recipes(
    plain={
        _CELL: "rnn",
        _INIT: "torch",
        "network.parametrization": "free",
        "training.clip_norm": "none",
        "training.clip_value": "none",
        "training.omega": "0",
        "training.omega_form": "squared",
        "training.orthogonality": "0",
        "training.truncate_every": "none",
        "training.truncate_back": "none",
        "network.leak": "none",
    },
    plain_name="plain tanh network",
    plain_activation="tanh",
    known={
        "clipping by norm": {"training.clip_norm": ANY},
        "clipping by value": {"training.clip_value": ANY},
        "Ω (squared)": {"training.omega": ANY, "training.omega_form": "squared"},
        "Ω (ratio)": {"training.omega": ANY, "training.omega_form": "ratio"},
        "truncated BPTT": {"training.truncate_every": ANY, "training.truncate_back": ANY},
        "soft orthogonality": {"training.orthogonality": ANY},
        "critical init": {_INIT: "critical"},
        "orthogonal init": {_INIT: "orthogonal"},
        "W kept orthogonal": {_INIT: "orthogonal", "network.parametrization": "orthogonal"},
        "leaky cell": {_CELL: "leaky", "network.leak": ANY},
        "residual cell": {_CELL: "residual", "network.leak": ANY},
        "layer norm": {_CELL: "normed"},
        "GRU": {_CELL: "gru"},
        "LSTM": {_CELL: "lstm"},
        "LSTM, forget bias": {_CELL: "lstm", _INIT: "forget_bias"},
        "LSTM, chrono init": {_CELL: "lstm", _INIT: "chrono"},
    },
)


def table(tables: Tables) -> Plotted:
    """Return for each remedy decay rates and verdicts, and the loss in parts of chance."""
    every = losses.final_table(tables, RECIPES)
    numbers = every.table
    longest = int(numbers["length"].max())
    shorter = sorted(set(numbers["length"]) - {longest})
    left_out = (
        [f"Only T = {longest} is shown (not {listing(map(str, shorter))})."] if shorter else []
    )
    numbers = numbers[numbers["length"] == longest]
    numbers = numbers.assign(rest=~_is_plain(numbers))
    numbers = numbers.sort_values(["rest", "loss"], kind="stable").drop(columns="rest")
    numbers = numbers.reset_index(drop=True)
    return Plotted(numbers, every.notes, (*every.left_out, *left_out))


def _is_plain(table: pd.DataFrame) -> pd.Series:
    """Which row is the plain network; with another activation, if that is the only one."""
    names = table["series"].astype(str)
    before, after = RECIPES.plain_name.split(RECIPES.plain_activation)
    plain = names.str.fullmatch(rf"{before}\S+{after}")
    known = names == RECIPES.plain_name
    return known if known.any() or plain.sum() > 1 else plain


def draw(plotted: Plotted) -> Figure:
    """Draw a row a remedy: left the decay rate before and after training, right the final loss."""
    table = plotted.table
    with in_style():
        figure = Sheet(PAGE, 0.19 * len(table) + 1.1)
        left, right = figure.subplots(1, 2, sharey=True)
        places = np.arange(len(table))
        _draw_rates(left, table, places)
        _draw_losses(right, table, places)
        left.set_yticks(places, [panels.plain(str(name)) for name in table["series"]])
        left.set_ylim(len(table) - 0.4, -0.6)
        for axes in (left, right):
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="y", color="0.92", linewidth=0.6)
        left.set_title("gradient")
        right.set_title("learning")
        panels.letters([left, right])
        figure.set_legend(_entries(table))
    return figure


def _draw_rates(axes: Axes, table: pd.DataFrame, places: np.ndarray) -> None:
    for end, (face, aside) in _LOOKS.items():
        low, middle, high = (table[f"{end}{what}"] for what in ("_low", "", "_high"))
        axes.hlines(places + aside, low, high, color=BLUE, linewidth=0.8)
        look: dict[str, Any] = {"color": BLUE, "markerfacecolor": face, "markersize": 3.5}
        axes.plot(middle, places + aside, linestyle="none", marker="o", gid=end, **look)
    axes.axvline(1, color=REFERENCE, linewidth=0.8, zorder=0)
    _mark_plain(axes, table, "start")
    axes.set_xlabel("rate per step back")


def _draw_losses(axes: Axes, table: pd.DataFrame, places: np.ndarray) -> None:
    finite = np.isfinite(table["loss"])
    axes.hlines(
        places[finite],
        table["loss_low"][finite],
        table["loss_high"][finite].replace(np.inf, np.nan).fillna(table["loss"][finite]),
        color=VERMILLION,
        linewidth=0.8,
    )
    look: dict[str, Any] = {"color": VERMILLION, "markersize": 3.5, "gid": "loss"}
    axes.plot(table["loss"][finite], places[finite], "D", **look)
    for place in places[~finite]:
        axes.text(
            0.98,
            place,
            "diverged",
            transform=axes.get_yaxis_transform(),
            ha="right",
            va="center",
            fontsize=7,
            color=VERMILLION,
        )
    axes.axvline(1, color="0.1", linestyle=THEORY, linewidth=0.9, zorder=0)
    _mark_plain(axes, table, "loss")
    if finite.any() and (table["loss_low"][finite] > 0).all():
        panels.plain_log(axes, "x")
    axes.set_xlabel("final loss / chance")


def _mark_plain(axes: Axes, table: pd.DataFrame, column: str) -> None:
    """A line at the value of the plain network."""
    value = table.loc[_is_plain(table), column]
    if len(value) and np.isfinite(value.iloc[0]):
        axes.axvline(value.iloc[0], zorder=0, gid="plain", **_PLAIN)


def _entries(table: pd.DataFrame) -> list[Entry]:
    point: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": BLUE, "markersize": 3.5}
    entries: list[Entry] = [
        (Line2D([], [], **point, markerfacecolor="white"), "rate before training"),
        (Line2D([], [], **point), "rate after training"),
        (Line2D([], [], **{**point, "marker": "D", "color": VERMILLION}), "final loss"),
        marks.line_entry("chance", THEORY),
    ]
    if _is_plain(table).any():
        entries.append((Line2D([], [], **_PLAIN), "plain network"))
    return entries


def caption(plotted: Plotted) -> str:
    """Say what is seen: which remedies learn, and what each does to the gradient."""
    table = plotted.table
    known = table[np.isfinite(table["loss"])]
    learned = known[known["loss"] < losses.LEARNED]
    diverged, length = int(table["diverged"].sum()), table["length"].iloc[0]
    stuck = list(map(in_list, table.loc[~table.index.isin(learned.index), "series"]))
    named = table.assign(series=table["series"].map(in_list))
    said = [_name_and_loss(row) for _, row in learned.sort_values("loss").iterrows()]
    return sentences(
        _answer(table, learned),
        f"T = {length}: the loss ends below half of that of chance with {listing(said)}."
        if said
        else f"T = {length}: no network ends below half of the loss of chance.",
        f"It does not with {listing(stuck)}." if stuck and said else "",
        f"The gradient before training: {captions.verdicts_of(named)}.",
        _plain_rate(table),
        f"Up to {plural(int(table['seeds'].max()), 'seed')}; {plural(diverged, 'run')} diverged.",
        *plotted.notes,
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    return (
        "Rates: mean over seeds of the logarithm; their bars: its 95 % interval. Losses: median "
        "over seeds; their bars: lowest to highest seed."
        if plotted.table["seeds"].max() > 1
        else "One seed: no bars."
    )


def _answer(table: pd.DataFrame, learned: pd.DataFrame) -> str:
    """Count the remedies that keep the gradient and those that learn, and name some."""
    others = table[~_is_plain(table)]
    keep = others[(others["vanishing"] == 0) & (others["seeds"] > 0)]
    learn = learned[learned.index.isin(others.index)].sort_values("loss")
    return (
        f"Of the {len(others)} remedies {_count(len(keep), 'keep')} the gradient from vanishing "
        f"before training{_named(keep['series'])}; {_count(len(learn), 'let')} the network learn"
        f"{_named(learn['series'])}."
    )


def _count(count: int, verb: str) -> str:
    return {0: f"none {verb}s", 1: f"1 {verb}s"}.get(count, f"{count} {verb}")


def _named(series: Iterable[object]) -> str:
    """Name a few in parentheses."""
    names = list(map(in_list, series))
    more = [f"{len(names) - _MOST_NAMED + 1} more"] if len(names) > _MOST_NAMED else []
    few = names[: _MOST_NAMED - 1] if more else names
    return f" ({listing([*few, *more])})" if names else ""


def _name_and_loss(row: pd.Series) -> str:
    return f"{in_list(row['series'])} ({number(row['loss'])})"


def _plain_rate(table: pd.DataFrame) -> str:
    """What a step back does to the gradient of the plain network, before and after training."""
    plain = table[_is_plain(table)]
    if plain.empty or np.isnan(plain["start"].iloc[0]):
        return ""
    row = plain.iloc[0]
    start, low, high = (float(row[f"start{end}"]) for end in ("", "_low", "_high"))
    after = "" if np.isnan(row["end"]) else f", after training it {rate(float(row['end']))}"
    before = rate_with_interval(start, low, high, " over seeds")
    begin = f"With the {row['series']} it {before} before training"
    return f"{begin}{after}."
