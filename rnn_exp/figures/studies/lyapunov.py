"""Lyapunov exponents before and after training: the largest against the gain, and all of some."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnn_exp.figures.parts import captions, marks, panels
from rnn_exp.figures.parts.seeds import bar_lengths, interval
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required, select_runs
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.style import BLUE, MEASURED, REFERENCE, THEORY, VERMILLION, in_style
from rnn_exp.words import number, sentences

QUESTION: Final = "Which directions of the state grow, how fast, and what does training do to them?"

_COLOURS: Final = {"before": BLUE, "after": VERMILLION}
_MARKERS: Final = {"before": "o", "after": "s"}
_PLACES: Final = {"before": -0.8, "after": 0.8}
"""How far points are moved aside, so that the bars of both are seen."""
_MARKS: Final = 8
"""Marks on a line."""
_KEYS: Final = ["gain", "when", "index"]
_SPECTRA: Final = 3


def table(tables: Tables) -> Plotted:
    """Return every exponent before and after training, and ½ ln χ as a prediction of the first.

    Columns: gain, when, index, median, low, high, seeds, share (index by units), predicted.
    """
    recorded = getattr(tables, "exponents", None)
    if recorded is None or recorded.empty:
        raise CannotDraw("The study recorded no exponents (recording.exponents).")
    selected = select_runs(tables.runs, lengths=1, series=1000, panels=1)
    if selected.runs["value"].isna().any():
        raise CannotDraw("The runs differ in more than their gain: there is no axis for them.")
    runs = required(tables.runs, ["run", "predicted_rate", "network.hidden_size"], "runs")
    runs = selected.runs.merge(runs.astype({"run": str}), on="run").rename(
        columns={"value": "gain"}
    )
    rows = runs.merge(_ends(recorded), on="run")
    numbers = interval(rows, _KEYS, "exponent").sort_values(_KEYS, ignore_index=True)
    numbers["share"] = numbers["index"] / int(rows["network.hidden_size"].iloc[0])
    with np.errstate(divide="ignore"):
        theory = np.log(
            rows.astype({"predicted_rate": float}).groupby("gain")["predicted_rate"].median()
        )
    numbers["predicted"] = numbers["gain"].map(theory).where(numbers["index"] == 1)
    notes = captions.without_theory(tables.runs, selected.runs)
    return Plotted(numbers, (*selected.notes, *notes), selected.left_out)


def _ends(recorded: pd.DataFrame) -> pd.DataFrame:
    """The exponents of each run at update 0 and at its last update."""
    rows = recorded[["run", "update", "index", "exponent"]].astype({"run": str})
    last = rows.groupby("run")["update"].transform("max")
    first, after = rows[rows["update"] == 0], rows[(rows["update"] == last) & (last > 0)]
    if first.empty or after.empty:
        raise CannotDraw("Exponents were not recorded both at update 0 and at a later one.")
    return pd.concat([first.assign(when="before"), after.assign(when="after")])


def draw(plotted: Plotted) -> Figure:
    """Draw the largest exponent against the gain (dashed: theory), and some gains' spectra."""
    table = plotted.table
    with in_style():
        gains = _some(table)
        shape = -(-(1 + len(gains)) // 2), 2
        figure, grid = panels.grid(*shape, height=1.75, sharex=False, sharey=False)
        first, *others = grid.flat
        for axes in others[len(gains) :]:
            axes.set_visible(False)
        others = others[: len(gains)]
        _largest(first, table[table["index"] == 1])
        for axes, gain in zip(others, gains, strict=True):
            _spectrum(axes, table[table["gain"] == gain])
            axes.set_title(f"all exponents, g = {gain:g}")
            axes.set(xlabel="rank $i$ / $n$", ylabel=r"exponent $\lambda_i$")
            axes.sharey(others[0])
        panels.letters([first, *others])
        entries: list[Entry] = [
            (Line2D([], [], linestyle=MEASURED, **_look(when)), f"{when} training")
            for when in _COLOURS
        ]
        if table["predicted"].notna().any():
            entries.append(marks.line_entry(r"mean field ½ ln $\chi$", THEORY))
        figure.set_legend(entries)
    return figure


def _some(table: pd.DataFrame) -> list[float]:
    """The gains whose spectra are shown: the ends and the middle."""
    gains = sorted(table["gain"].unique())
    places = np.linspace(0, len(gains) - 1, min(_SPECTRA, len(gains))).round().astype(int)
    return [float(gains[place]) for place in places]


def _largest(axes: Axes, rows: pd.DataFrame) -> None:
    axes.axhline(0, color=REFERENCE, linewidth=0.6, zorder=0)
    for when, place in _PLACES.items():
        part = rows[rows["when"] == when].replace([np.inf, -np.inf], np.nan).dropna(subset="median")
        x = panels.shifted(part["gain"], place, rows["gain"])
        look = {**_look(when), "linestyle": "none", "elinewidth": 0.8}
        axes.errorbar(x, part["median"], bar_lengths(part), **look)
    theory = rows[rows["when"] == "before"]
    axes.plot(
        theory["gain"], theory["predicted"], THEORY, color="0.1", linewidth=1, gid="predicted"
    )
    axes.set_title("largest exponent")
    axes.set(xlabel="gain $g$", ylabel=r"exponent $\lambda_1$")
    if panels.is_wide(rows["gain"]):
        panels.plain_log(axes, "x")


def _look(when: str) -> dict[str, Any]:
    return {"color": _COLOURS[when], "marker": _MARKERS[when], "markersize": 3.2}


def _spectrum(axes: Axes, part: pd.DataFrame) -> None:
    axes.axhline(0, color=REFERENCE, linewidth=0.6, zorder=0)
    for place, (when, colour) in enumerate(_COLOURS.items()):
        rows = part[part["when"] == when]
        every = max(1, len(rows) // _MARKS)
        # Half a stretch apart: where both lines are one, the marks of each are still seen.
        marked: dict[str, Any] = {
            "marker": _MARKERS[when],
            "markersize": 3,
            "markevery": (place * every // 2, every),
        }
        marks.band(axes, rows, "share", colour, gid=when, **marked)


def caption(plotted: Plotted) -> str:
    """Say what is seen: how good ½ ln χ is, and where training moves the largest exponent."""
    table = plotted.table
    first = table[table["index"] == 1]
    sides = first.pivot_table(index="gain", columns="when", values="median", dropna=False)
    theory = first.drop_duplicates("gain").set_index("gain")["predicted"]
    return sentences(
        _growing(table),
        _agreement(sides["before"] - theory),
        _moved(sides),
        *plotted.notes,
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    return sentences(
        "Exponents in nats per time step, along the sequences of an update (mean over the batch).",
        "Points and lines: median over seeds; bars and bands: lowest to highest seed."
        if plotted.table["seeds"].max() > 1
        else "",
        captions.points_and_seeds(plotted.table),
    )


def _growing(table: pd.DataFrame) -> str:
    """How many directions grow at the largest gain, and how fast the first of them does."""
    gain, units = table["gain"].max(), table["index"].max()
    at = table[table["gain"] == gain]
    said: list[str] = []
    for when in _COLOURS:
        part = at[at["when"] == when].sort_values("index")
        first = part.iloc[0]
        low, middle, high = (number(first[end]) for end in ("low", "median", "high"))
        seeds = f", {low} to {high} over {first['seeds']} seeds" if first["seeds"] > 1 else ""
        grow = int((part["median"] > 0).sum())
        which = (
            f"{grow} of {units} directions grow before training" if not said else f"{grow} after it"
        )
        said.append(f"{which} (largest exponent {middle}{seeds})")
    return f"At g = {gain:g}, {' and '.join(said)}."


def _agreement(gap: pd.Series) -> str:
    gap = gap.abs().replace(np.inf, np.nan).dropna()
    if gap.empty:
        return "No mean field holds for these runs: none is drawn."
    if len(gap) == 1:
        return f"Before training ½ ln χ is off the largest exponent by {number(gap.max())}."
    return (
        f"Before training ½ ln χ is off the largest exponent by {number(gap.min())} to "
        f"{number(gap.max())} (at g = {gap.idxmax():g})."
    )


def _moved(sides: pd.DataFrame) -> str:
    """Where training moves the median of the largest exponent; of one gain without comparing."""
    known = sides.dropna()
    if known.empty:
        return ""
    change = known["after"] - known["before"]
    most = known.iloc[int(change.abs().to_numpy().argmax())]
    course = f"from {number(most['before'])} to {number(most['after'])}"
    if len(known) == 1:
        return f"Training moves the largest exponent {course}."
    nearer = int((known["after"].abs() < known["before"].abs()).sum())
    before, after = (int((known[when] > 0).sum()) for when in _COLOURS)
    return (
        f"The largest exponent (median over seeds) is positive at {before} of {len(known)} gains "
        f"before training and at {after} after it, nearer to 0 at {nearer}; the largest move is "
        f"at g = {most.name:g}, {course}."
    )
