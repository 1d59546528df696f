"""Cells: what gates buy with three or four times the weights, and at which length."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures.parts import losses, marks, panels
from rnn_exp.figures.parts.captions import lost_points
from rnn_exp.figures.parts.carrier import column_rows
from rnn_exp.figures.parts.panels import numeric_x, shifted
from rnn_exp.figures.parts.recipes import Recipes, in_list, name_runs
from rnn_exp.figures.parts.seeds import LOST, gradient_interval
from rnn_exp.figures.parts.selection import Plotted, Tables, at_start, required
from rnn_exp.figures.parts.sheet import Entry, Sheet
from rnn_exp.figures.parts.style import MARKERS, MEASURED, PAGE, THEORY, categories, in_style
from rnn_exp.words import listing, magnitude, number, sentences

QUESTION: Final = "RNN, GRU or LSTM: which learns up to which length?"

RECIPES: Final = Recipes(
    plain={"network.cell": "rnn", "init": "torch"},
    plain_name="RNN",
    known={
        "GRU": {"network.cell": "gru"},
        "LSTM": {"network.cell": "lstm"},
        "LSTM, forget bias": {"network.cell": "lstm", "init": "forget_bias"},
        "LSTM, chrono init": {"network.cell": "lstm", "init": "chrono"},
    },
)
DASHES: Final = (0, (4, 1, 1, 1))
"""The line of a memory, beside that of a state in the same colour."""
_MARKS: Final = 6
"""Marks on a line of norms."""
_INTERVAL: Final = ("median", "low", "high")
_LOG10: Final = tuple(f"log10_{name}" for name in _INTERVAL)
_COUNTS: Final = ("seeds", "weights", "diverged", *LOST)
_COLUMNS: Final = ["quantity", "series", "x", *_INTERVAL, *_LOG10, *_COUNTS]


def table(tables: Tables) -> Plotted:
    """Return final losses against the length, and gradient norms at the start against the lag.

    ``quantity``: loss (`median`, `low`, `high` in parts of chance; x is the length), state
    (`log10_median` … of ∂L/∂h_t relative to lag 0, in the longest sequences; x is the lag) or
    memory (the same of ∂L/∂c_t).
    """
    runs = _runs(tables.runs)
    longest = runs[runs["length"] == runs["length"].max()]
    ended = losses.final_table(tables, RECIPES)
    parts = _final(ended.table), _states(tables, longest), _memories(tables, longest)
    quantities = zip(("loss", "state", "memory"), parts, strict=True)
    numbers = pd.concat([part.assign(quantity=name) for name, part in quantities if len(part)])
    numbers = numbers.reset_index(drop=True)
    weights = runs.groupby("series", observed=True)["weights"].max()
    numbers["series"] = pd.Categorical(numbers["series"], runs["series"].cat.categories)
    numbers["weights"] = numbers["series"].astype(object).map(weights).astype("Int64")
    for name in ("diverged", *LOST):
        numbers[name] = numbers.reindex(columns=[name])[name].fillna(0).astype(int)
    return Plotted(numbers[_COLUMNS], ended.notes, ended.left_out)


def _final(ended: pd.DataFrame) -> pd.DataFrame:
    names = {"length": "x", "loss": "median", "loss_low": "low", "loss_high": "high"}
    return ended.rename(columns=names)


def _runs(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs with their length, name and, where it is known, their number of weights."""
    frame = required(runs, ["run", "task.length"], "runs").astype({"run": str})
    return frame.assign(
        length=frame["task.length"].astype(int),
        series=name_runs(runs, RECIPES),
        weights=runs.reindex(columns=["recurrent_weights"])["recurrent_weights"].astype(float),
    )


def _states(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    """The norm of ∂L/∂h_t of each ``series`` of these runs: median and range over seeds."""
    return _relative_norms(tables, runs, "log10_total", "log10_late")


def _memories(tables: Tables, runs: pd.DataFrame) -> pd.DataFrame:
    """The same of ∂L/∂c_t, where a cell has a c."""
    return _relative_norms(tables, runs, "log10_memory", "log10_late_memory")


def _relative_norms(tables: Tables, runs: pd.DataFrame, one: str, late: str) -> pd.DataFrame:
    """The norms relative to lag 0 of the same run; of several losses those of the last alone."""
    last = column_rows(tables, runs["run"], [0], late)
    others = runs.loc[~runs["run"].isin(last["run"]), "run"]
    parts = [part for part in (last, column_rows(tables, others, [0], one)) if len(part)]
    if not parts:
        return pd.DataFrame()
    rows = at_start(pd.concat(parts, ignore_index=True), "gradients")
    first = rows[rows["lag"] == 0].set_index("run")["log10_norm"]
    first = first.where(np.isfinite(first))
    rows = rows.assign(log10_norm=rows["log10_norm"] - rows["run"].map(first))
    frame = runs[["run", "series"]].merge(rows, on="run").sort_values(["series", "lag"])
    return gradient_interval(frame, ["series", "lag"], "log10_norm").rename(columns={"lag": "x"})


def draw(plotted: Plotted) -> Figure:
    """Draw the final loss against the length, and beside it the first gradient against the lag."""
    table = plotted.table
    with in_style():
        figure = Sheet(PAGE, 2.8)
        left, right = figure.subplots(1, 2)
        names = [name for name in table["series"].cat.categories if (table["series"] == name).any()]
        palette = dict(zip(names, categories(len(names)), strict=True))
        _draw_losses(left, table[table["quantity"] == "loss"], palette)
        _draw_norms(right, table[table["quantity"] != "loss"], palette)
        left.set_title("learning")
        panels.title(right, "untrained", length=_longest(table))
        panels.letters([left, right])
        figure.set_legend(_entries(table, palette))
    return figure


def _longest(table: pd.DataFrame) -> int:
    """The length of the sequences whose gradients are shown."""
    return int(table.loc[table["quantity"] == "loss", "x"].max())


def _draw_losses(axes: Axes, part: pd.DataFrame, palette: dict[str, str]) -> None:
    x = part["x"].astype(float)
    for place, (name, colour) in enumerate(palette.items()):
        rows = part[(part["series"] == name) & np.isfinite(part["median"])]
        at = shifted(rows["x"].astype(float), 1.6 * (place - (len(palette) - 1) / 2), x)
        high = rows["high"].replace(np.inf, np.nan).fillna(rows["median"])
        spread = np.array([rows["median"] - rows["low"], high - rows["median"]])
        axes.errorbar(at, rows["median"], spread, elinewidth=0.8, **_look(place, colour))
        lost = part[(part["series"] == name) & (part["diverged"] > 0)]
        marks.mark_lost(axes, lost["x"], marks.CEILING, colour)
    axes.axhline(1, linestyle=THEORY, color="0.1", linewidth=0.9, zorder=0)
    if (part["low"] > 0).all():
        panels.plain_log(axes, "y")
    numeric_x(axes, x)
    axes.set(xlabel="sequence length $T$", ylabel="final loss / chance")


def _draw_norms(axes: Axes, part: pd.DataFrame, palette: dict[str, str]) -> None:
    """A line a series: solid for states, dashed and dotted for memories; triangles for zeros."""
    for (quantity, name), rows in part.groupby(["quantity", "series"], observed=True, sort=False):
        dashes: Any = MEASURED if quantity == "state" else DASHES
        place = list(palette).index(str(name))
        look = _look(place, palette[str(name)]) | {"linestyle": dashes, "gid": str(quantity)}
        every = max(1, len(rows) // _MARKS)
        look["markevery"] = (every * place // len(palette), every)
        colour = look.pop("color")
        marks.band(axes, rows, "x", colour, log10=True, **look)
    panels.powers(axes)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set(xlabel="lag $T-t$", ylabel="norm / norm at lag 0")


def _look(place: int, colour: str) -> dict[str, Any]:
    return {"color": colour, "marker": MARKERS[place % len(MARKERS)], "markersize": 3.5}


def _entries(table: pd.DataFrame, palette: dict[str, str]) -> list[Entry]:
    weights = table.groupby("series", observed=True)["weights"].max()
    entries: list[Entry] = [
        (Line2D([], [], **_look(place, colour)), panels.plain(name) + _weights(weights[name], ", "))
        for place, (name, colour) in enumerate(palette.items())
    ]
    if (table["quantity"] == "memory").any():
        line = Line2D([], [], color="0.2", linestyle=DASHES)
        entries.append((line, r"$\partial L/\partial c_t$ (LSTM)"))
    entries.append(marks.line_entry("chance", THEORY))
    lost = table[list(LOST)].assign(ceiling=table["ceiling"] + table["diverged"])
    return entries + marks.lost_entries(lost)


def caption(plotted: Plotted) -> str:
    """Say what is seen: up to which length each cell learns, and how much gradient is left."""
    table = plotted.table
    ended = table[table["quantity"] == "loss"]
    said = [_learned(str(name), rows) for name, rows in ended.groupby("series", observed=True)]
    norms = table[table["quantity"] != "loss"].groupby(["quantity", "series"], observed=True)
    left = [_norm_left(str(quantity), str(name), rows) for (quantity, name), rows in norms]
    return sentences(
        _answer(ended),
        *said,
        "Weights: those of W_hh." if table["weights"].notna().any() else "",
        f"At initialisation, of the gradient at lag 0 there is left: {listing(left)}.",
        *plotted.notes,
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    table = plotted.table
    return sentences(
        _spread(int(table["seeds"].max())),
        lost_points(table[table["quantity"] != "loss"]),
    )


def _spread(seeds: int) -> str:
    if seeds == 1:
        return "One seed: no bars and no bands."
    return f"Median over up to {seeds} seeds; bars and bands: lowest to highest seed."


def _answer(ended: pd.DataFrame) -> str:
    """Up to which length each cell learns: it learns that one and every shorter one."""
    said: dict[str, list[str]] = {}
    for name, rows in ended.groupby("series", observed=True):
        ordered = rows.sort_values("x")
        fails = ordered.loc[~(ordered["median"] < losses.LEARNED), "x"]
        before = ordered.loc[ordered["x"] < fails.min(), "x"] if len(fails) else ordered["x"]
        shortest = int(ordered["x"].min())
        reach = (
            f"up to T = {int(before.max())}"
            if len(before)
            else f"no length (the shortest is T = {shortest})"
        )
        said.setdefault(reach, []).append(in_list(name))
    parts = [
        f"{listing(names)} {'learns' if len(names) == 1 else 'learn'} {reach}"
        for reach, names in said.items()
    ]
    seeds = int(ended["seeds"].max())
    of = f"the median loss of {seeds} seeds" if seeds > 1 else "the loss"
    return f"{'; '.join(parts)}. Learned means: {of} ends below half of that of chance."


def _learned(name: str, rows: pd.DataFrame) -> str:
    learned = sorted(rows.loc[rows["median"] < losses.LEARNED, "x"])
    lengths = f"T = {listing(f'{int(x)}' for x in learned)}" if learned else "no length"
    last = rows.sort_values("x").iloc[-1]
    end = f"at T = {int(last['x'])} its loss is {number(100 * last['median'])} % of that of chance"
    end = end if np.isfinite(last["median"]) else f"at T = {int(last['x'])} it diverged"
    return f"{name}{_weights(last['weights'], ' (', ')')} learns {lengths}; {end}."


def _weights(count: Any, before: str, after: str = "") -> str:  # noqa: ANN401 - or pandas' NA
    """The number of recurrent weights in words; nothing where the results do not say it."""
    return "" if pd.isna(count) else f"{before}{count:,} weights{after}"


def _norm_left(quantity: str, name: str, rows: pd.DataFrame) -> str:
    end = rows.sort_values("x").iloc[-1]
    what = " in its memory c" if quantity == "memory" else ""
    if np.isnan(end["log10_median"]):
        return f"an unknown part at lag {int(end['x'])} with {name}{what}"
    return f"{magnitude(float(end['log10_median']))} at lag {int(end['x'])} with {name}{what}"
