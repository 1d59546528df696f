"""Cells: what gates buy with three or four times the weights, and at which length."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures import edges, endings, legends, panels
from rnn_exp.figures.horizontal import beside, numeric_x
from rnn_exp.figures.intervals import gradient_interval
from rnn_exp.figures.recipes import Book, named
from rnn_exp.figures.source import Tables, at_start, required, top_layer
from rnn_exp.figures.style import PAGE, THEORY, categories, in_style
from rnn_exp.figures.words import listing, number, plural, power, sentences

QUESTION: Final = "RNN, GRU or LSTM: which learns up to which length?"
BESIDE: Final = ("learning",)

BOOK: Final = Book(
    plain={"network.cell": "rnn", "init": "torch"},
    name="RNN",
    recipes={
        "GRU": {"network.cell": "gru"},
        "LSTM": {"network.cell": "lstm"},
        "LSTM, forget bias": {"network.cell": "lstm", "init": "forget_bias"},
        "LSTM, chrono init": {"network.cell": "lstm", "init": "chrono"},
    },
)
GATES: Final = {"gru": 3, "lstm": 4}
_MARKERS: Final = ("o", "s", "D", "^", "v", "P")
_MEMORY: Final = "log10_memory"


def table(tables: Tables) -> pd.DataFrame:
    """Final losses against the length, and gradient norms at the start against the lag.

    ``quantity``: loss (in parts of chance; x is the length), state (log10 of ∂L/∂h_t relative to
    lag 0, in the longest sequences; x is the lag) or memory (∂L/∂c_t).
    """
    runs = required(tables.runs, ["run", "task.length", "network.cell", "network.hidden_size"],
                    "runs").astype({"run": str})  # fmt: skip
    runs["series"] = named(tables.runs, BOOK)
    gates = runs["network.cell"].map(GATES).fillna(1)
    runs["weights"] = (gates * runs["network.hidden_size"] ** 2).astype(int)
    losses = endings.table(tables, BOOK).rename(
        columns={"length": "x", "loss": "median", "loss_low": "low", "loss_high": "high"}
    )
    longest = runs[runs["task.length"] == runs["task.length"].max()]
    states = _norms(top_layer(tables, longest["run"], [0]), longest)
    plotted = pd.concat([losses.assign(quantity="loss"), states.assign(quantity="state"),
                         _memories(tables, longest).assign(quantity="memory")],
                        ignore_index=True)  # fmt: skip
    plotted["weights"] = plotted["series"].map(runs.groupby("series", observed=True)["weights"].max())
    columns = ["quantity", "series", "x", "median", "low", "high", "seeds", "weights", "diverged"]
    plotted = plotted[columns].assign(diverged=plotted["diverged"].fillna(0).astype(int))
    plotted["series"] = pd.Categorical(plotted["series"], runs["series"].cat.categories)
    plotted.attrs["longest"] = int(longest["task.length"].iloc[0])
    return plotted


def _norms(rows: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """Median and range over seeds of the norm relative to that at lag 0 of the same run."""
    rows = at_start(rows, "gradients").sort_values(["run", "lag"])
    finite = rows[np.isfinite(rows["log10_total"])]
    first = finite.groupby("run")["log10_total"].first()
    rows["log10_total"] -= rows["run"].map(first)
    frame = runs[["run", "series"]].merge(rows, on="run").sort_values(["series", "lag"])
    return gradient_interval(frame, ["series", "lag"], "log10_total").rename(columns={"lag": "x"})


def _memories(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    """The same of ∂L/∂c_t, where a cell has a c."""
    lstm = runs[runs["network.cell"] == "lstm"]
    columns = ["run", "update", "lag", _MEMORY, "status"]
    try:
        rows = tables.gradient_rows(columns, runs=lstm["run"], updates=[0], layer=-1)
    except KeyError:
        rows = pd.DataFrame(columns=columns)
    rows = rows.dropna(subset=_MEMORY)
    if rows.empty:
        return pd.DataFrame(columns=["series", "x", "median", "low", "high", "seeds"])
    return _norms(rows.rename(columns={_MEMORY: "log10_total"}).astype({"run": str}), lstm)


def draw(table: pd.DataFrame) -> Figure:
    """Left the final loss against the length, right the gradient at the start against the lag."""
    with in_style():
        figure = Figure(figsize=(PAGE, 2.7), layout="constrained")
        left, right = figure.subplots(1, 2)
        names = [name for name in table["series"].cat.categories if (table["series"] == name).any()]
        palette = dict(zip(names, categories(len(names)), strict=True))
        _losses(left, table[table["quantity"] == "loss"], palette)
        _gradients(right, table[table["quantity"] != "loss"], palette)
        panels.title(right, "at initialisation", length=table.attrs.get("longest", 0))
        legends.legend(figure, _entries(table, palette))
    return figure


def _losses(axes: Axes, part: pd.DataFrame, palette: dict[str, str]) -> None:
    x = part["x"].astype(float)
    for place, (name, colour) in enumerate(palette.items()):
        rows = part[(part["series"] == name) & np.isfinite(part["median"])]
        at = beside(rows["x"].astype(float), place - (len(palette) - 1) / 2, x)
        high = rows["high"].replace(np.inf, np.nan).fillna(rows["median"])
        spread = np.array([rows["median"] - rows["low"], high - rows["median"]])
        axes.errorbar(at, rows["median"], spread, elinewidth=0.8, **_look(place, colour))
        lost = part[(part["series"] == name) & (part["diverged"] > 0)]
        edges.mark(axes, lost["x"], edges.CEILING, colour)
    axes.axhline(1, linestyle=THEORY, color="0.1", linewidth=0.9, zorder=0)
    if (part["low"] > 0).all():
        panels.plain_log(axes, "y")
    numeric_x(axes, x)
    axes.set(xlabel="sequence length $T$", ylabel="final loss (1: chance)")


def _look(place: int, colour: str) -> dict[str, Any]:
    return {"color": colour, "marker": _MARKERS[place % len(_MARKERS)], "markersize": 3.5}


def _gradients(axes: Axes, part: pd.DataFrame, palette: dict[str, str]) -> None:
    for (quantity, name), rows in part.groupby(["quantity", "series"], observed=True, sort=False):
        finite = rows[np.isfinite(rows["median"])]
        dashes: Any = "-" if quantity == "state" else (0, (4, 1, 1, 1))
        colour = palette[str(name)]
        axes.plot(finite["x"], finite["median"], linestyle=dashes, color=colour, gid=str(quantity))
        axes.fill_between(
            finite["x"], finite["low"].replace(-np.inf, np.nan), finite["high"], color=colour,
            alpha=0.22, linewidth=0,
        )  # fmt: skip
        lost = rows.loc[rows["median"] == -np.inf, "x"]
        edges.mark(axes, lost, edges.FLOOR, colour)
    panels.powers(axes)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set(xlabel="lag $T-t$", ylabel="gradient norm relative to lag 0")


def _entries(table: pd.DataFrame, palette: dict[str, str]) -> list[legends.Entry]:
    weights = table.groupby("series", observed=True)["weights"].max()
    entries: list[legends.Entry] = [
        (Line2D([], [], **_look(place, colour)), f"{name} ({int(weights[name]):,} weights in $W_{{hh}}$)")
        for place, (name, colour) in enumerate(palette.items())
    ]
    if (table["quantity"] == "memory").any():
        line = Line2D([], [], color="0.2", linestyle=(0, (4, 1, 1, 1)))
        entries.append((line, r"$\partial L/\partial c_t$ of the LSTM"))
    entries.append(legends.line_entry("chance", THEORY))
    floor = bool((table["median"] == -np.inf).any())
    return entries + edges.entries(floor, bool((table["diverged"] > 0).any()))


def caption(table: pd.DataFrame) -> str:
    """What is seen: up to which length each cell learns, and how much gradient is left."""
    losses = table[table["quantity"] == "loss"]
    said = [_reach(str(name), rows) for name, rows in losses.groupby("series", observed=True)]
    left = [_left(key, rows) for key, rows in
            table[table["quantity"] != "loss"].groupby(["quantity", "series"], observed=True,
                                                       sort=False)]  # fmt: skip
    return sentences(
        *said,
        f"At initialisation, of the gradient at lag 0 there is left, {listing(left)}.",
        "Median over seeds; bars and bands: lowest to highest.",
        f"Up to {plural(int(table['seeds'].max()), 'seed')}.",
    )


def _reach(name: str, rows: pd.DataFrame) -> str:
    learned = rows.loc[rows["median"] < endings.LEARNED, "x"]
    count = f"{name} ({int(rows['weights'].max()):,} recurrent weights)"
    if learned.empty:
        return f"{count} ends below half of the loss of chance at no length."
    lengths = listing(f"{int(x)}" for x in sorted(learned))
    at = rows.sort_values("x").iloc[-1]
    last = f"at T = {int(at['x'])} it is {number(at['median'])}"
    return f"{count} ends below half of the loss of chance at T = {lengths}; {last}."


def _left(key: object, rows: pd.DataFrame) -> str:
    quantity, name = key  # type: ignore[misc]
    end = rows.sort_values("x").iloc[-1]
    what = " in its memory c" if quantity == "memory" else ""
    return f"{power(float(end['median']))} at lag {int(end['x'])} with {name}{what}"
