"""Lyapunov exponents before and after training: the largest against the gain, and all of some."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnn_exp.figures.parts import captions, marks, panels
from rnn_exp.figures.parts.seeds import bar_lengths, interval
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required, select_runs
from rnn_exp.figures.parts.style import BLUE, MEASURED, THEORY, VERMILLION, in_style
from rnn_exp.words import number, sentences

QUESTION: Final = "Which directions of the state grow, how fast, and what does training do to them?"

_COLOURS: Final = {"before": BLUE, "after": VERMILLION}
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
        figure, grid = panels.grid(1, 1 + len(gains), height=2.0, sharex=False, sharey=False)
        first, *others = grid[0]
        _largest(first, table[table["index"] == 1])
        for axes, gain in zip(others, gains, strict=True):
            _spectrum(axes, table[table["gain"] == gain])
            axes.set_title(f"g = {gain:g}")
            axes.set_xlabel("index / n")
            axes.sharey(others[0])
        others[0].set_ylabel(r"exponent $\lambda_i$")
        for axes in others[1:]:
            axes.tick_params(labelleft=False)
        entries = [
            marks.line_entry(f"{when} training", MEASURED, colour)
            for when, colour in _COLOURS.items()
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
    axes.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    for when, colour in _COLOURS.items():
        part = rows[rows["when"] == when].replace([np.inf, -np.inf], np.nan).dropna(subset="median")
        spread = bar_lengths(part)
        axes.errorbar(
            part["gain"],
            part["median"],
            spread,
            fmt="o-",
            color=colour,
            markersize=3,
            linewidth=0.7,
            elinewidth=0.8,
        )
    theory = rows[rows["when"] == "before"]
    axes.plot(
        theory["gain"], theory["predicted"], THEORY, color="0.1", linewidth=1, gid="predicted"
    )
    axes.set(xlabel="gain $g$", ylabel=r"largest exponent $\lambda_1$")


def _spectrum(axes: Axes, part: pd.DataFrame) -> None:
    axes.axhline(0, color="0.6", linewidth=0.6, zorder=0)
    for when, colour in _COLOURS.items():
        marks.band(axes, part[part["when"] == when], "share", colour, gid=when)


def caption(plotted: Plotted) -> str:
    """Say what is seen: how good ½ ln χ is, and where training moves the largest exponent."""
    table = plotted.table
    first = table[table["index"] == 1]
    sides = first.pivot_table(index="gain", columns="when", values="median", dropna=False)
    theory = first.drop_duplicates("gain").set_index("gain")["predicted"]
    return sentences(
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
