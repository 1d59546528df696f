"""Thresholds of the gain, cell by cell: promised vanishing, predicted edge, measured edge."""

import math
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from rnn_exp.figures.parts import captions, crossings, marks, panels
from rnn_exp.figures.parts.axes import order_activations, without_activation
from rnn_exp.figures.parts.carrier import LAGS, mean_rate, settled_rates
from rnn_exp.figures.parts.seeds import bar_lengths, gain_at_rate_one
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required, select_runs
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.style import (
    ASYMPTOTE,
    BLUE,
    BOUND,
    MEASURED,
    THEORY,
    VERMILLION,
    in_style,
)
from rnn_exp.words import listing, number, sentences

QUESTION: Final = "At which gain does the gradient explode, and what does the bound say of it?"

_CELLS: Final = {"rnn": "", "gru": "GRU", "lstm": "LSTM"}
"""What titles call a cell, beside its activation; other cells by their own name."""
_THEORY: Final = ["predicted", "asymptotic", "bound"]
_MOST: Final = 3  # panels in a row
# Light enough for black lines on them; in grey, too, the middle one is the lightest.
_REGIONS: Final = (
    (BLUE, 0.2, "vanishes, as the bound guarantees"),
    ("0.5", 0.06, "vanishes (measured), not guaranteed"),
    (VERMILLION, 0.2, "explodes (measured)"),
)
_EDGES: Final = {"measured": "measured", "predicted": "theory"}


def table(tables: Tables) -> Plotted:
    """Return the measured rate at each gain (mean and interval over seeds), theory and bound.

    Columns: panel, activation, gain, measured, low, high (the mean over seeds of the logarithm, its
    95 % interval), seeds, predicted (theory over the same lags), asymptotic, bound (medians).
    """
    required(tables.runs, ["run", "bound"], "runs")
    parts, notes, left_out = [], dict[str, None](), dict[str, None]()
    panel = _panels(tables.runs)
    for name in dict.fromkeys(panel):
        selected = select_runs(tables.runs[panel == name], lengths=1, series=1000)
        if selected.runs["value"].isna().any():
            raise CannotDraw("The runs differ in more than their gain: there is no axis for them.")
        parts.append(selected.runs.assign(panel=name))
        why = captions.without_theory(tables.runs, selected.runs)
        missing = [note.replace("No theory", f"With {name} no theory", 1) for note in why]
        notes |= dict.fromkeys([*selected.notes, *missing])
        left_out |= dict.fromkeys(selected.left_out)
    chosen = pd.concat(parts, ignore_index=True).rename(columns={"value": "gain"})
    known = tables.runs.reindex(columns=["run", "predicted_rate", "bound"])
    known = known.rename(columns={"predicted_rate": "asymptotic"})
    known = known.astype({"run": str, "asymptotic": float, "bound": float})
    frame = chosen.merge(settled_rates(tables, chosen["run"]), on="run").merge(known, on="run")
    numbers = pd.DataFrame(
        [
            {"panel": key[0], "activation": key[1], "gain": key[2], **_point(part)}
            for key, part in frame.groupby(["panel", "activation", "gain"], sort=False)
        ]
    )
    if numbers["measured"].isna().all():
        raise CannotDraw("No gradient has a rate.")
    numbers = numbers.sort_values("gain", kind="stable", ignore_index=True)
    return Plotted(numbers, tuple(notes), tuple(left_out))


def _panels(runs: pd.DataFrame) -> pd.Series:
    """Name the panel of each run by its cell, and its activation if it has one: 'leaky tanh'."""
    blank = pd.Series("", index=runs.index)
    cells = runs.get("network.cell", blank).astype(str).map(lambda cell: _CELLS.get(cell, cell))
    phi = runs.get("network.activation", blank).astype(str).mask(without_activation(runs), "")
    return (cells + " " + phi).str.strip()


def _point(part: pd.DataFrame) -> dict[str, float]:
    found = mean_rate(part["measured"])
    numbers = {"measured": found.mean, "low": found.low, "high": found.high, "seeds": len(part)}
    return numbers | {name: float(part[name].median()) for name in _THEORY}


def thresholds(part: pd.DataFrame) -> dict[str, float]:
    """The gains of one panel at which bound, theory, its asymptote and measurement cross 1.

    ``earliest`` and ``latest``: between them the 95 % interval of the measured rate holds 1.
    """
    ends = {"earliest": "high", "latest": "low"}
    columns = {name: name for name in (*_THEORY, "measured")} | ends
    return {name: gain_at_rate_one(part["gain"], part[c]) for name, c in columns.items()}


def draw(plotted: Plotted) -> Figure:
    """Draw a panel a cell and activation: points measured, lines of theory and bound; regions."""
    table = plotted.table
    with in_style():
        parts = _parts(table)
        rows = -(-len(parts) // _MOST)
        height = 2.4 if rows == 1 else 1.9
        figure, grid = panels.grid(
            rows, min(len(parts), _MOST), height=height, sharex=False, sharey="row"
        )
        for (name, part), axes in zip(parts.items(), grid.flat, strict=False):
            _panel(axes, part)
            panels.title(axes, name)
        for axes in grid.flat[len(parts) :]:
            axes.set_visible(False)
        for axes in grid[:, 0]:
            panels.plain_log(axes, "y")
        panels.letters(grid.flat)
        gain = r"gain $g$ (weights have standard deviation $g/\sqrt{n}$)"
        panels.name_axes(figure, grid, gain, "decay rate per step back in time")
        figure.set_legend(_entries(table))
    return figure


def _parts(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each panel: the plain cell first, activations in the order of textbooks."""
    known = table.drop_duplicates("panel").assign(cell=lambda rows: rows["panel"].map(_cell_of))
    order = order_activations(known["activation"].unique())
    known["place"] = known["activation"].map(order.index)
    cells = list(dict.fromkeys(["", *known["cell"]]))
    known = known.assign(first=known["cell"].map(cells.index)).sort_values(["first", "place"])
    return {name: table[table["panel"] == name] for name in known["panel"]}


def _cell_of(panel: str) -> str:
    return panel.rpartition(" ")[0]


def _panel(axes: Axes, part: pd.DataFrame) -> None:
    shown, x = part[np.isfinite(part["measured"])], part["gain"]
    spread = np.nan_to_num(bar_lengths(shown, "measured"))
    axes.axhline(1, color="0.5", linewidth=0.6, zorder=0.5)
    look: dict[str, Any] = {"fmt": "o", "markersize": 3.2, "elinewidth": 0.8, "zorder": 3}
    axes.errorbar(shown["gain"], shown["measured"], spread, color=BLUE, **look)
    for name, line in zip(_THEORY, (THEORY, ASYMPTOTE, BOUND), strict=True):
        if _is_drawn(part, name):
            axes.plot(x, part[name], line, color="0.1", linewidth=1, gid=name, zorder=4)
    axes.set_xlim(float(x.min()) / 1.08, float(x.max()) * 1.08)
    panels.plain_log(axes, "x")
    _regions(axes, part, thresholds(part))


def _is_drawn(part: pd.DataFrame, name: str) -> bool:
    """Whether a panel has this line; the asymptote only where it can be told from theory's rate."""
    has_place = name != "asymptotic" or marks.is_beside(
        part, name, "predicted", ["measured", *_THEORY]
    )
    return bool(part[name].notna().any()) and has_place


def _regions(axes: Axes, part: pd.DataFrame, at: dict[str, float]) -> None:
    """Colour what is promised and what is measured; dashed is the edge that theory gives."""
    for (colour, alpha, _), ends in zip(_REGIONS, _spans(part, at, *axes.get_xlim()), strict=True):
        axes.axvspan(*ends, color=colour, alpha=alpha, linewidth=0, zorder=0)
    for name, line in (("bound", BOUND), ("measured", MEASURED), ("predicted", THEORY)):
        if math.isfinite(at[name]):
            look: dict[str, Any] = {"linewidth": 0.8, "zorder": 1, "gid": f"{name} edge"}
            axes.axvline(at[name], color="0.2", linestyle=line, **look)
    # The lower corner on the right is empty: rates rise with the gain.
    words = "\n".join(
        f"{said} {number(at[name])}" for name, said in _EDGES.items() if math.isfinite(at[name])
    )
    corner: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "bottom"}
    box = {"facecolor": "white", "alpha": 0.6, "edgecolor": "none", "pad": 0.8}
    axes.text(
        0.985, 0.025, words, fontsize=7, linespacing=1.1, bbox=box if words else None, **corner
    )


def _spans(
    part: pd.DataFrame, at: dict[str, float], low: float, high: float
) -> list[tuple[float, float]]:
    """From where to where each region goes; none goes on where nothing was measured."""
    promised, explodes = (_edge(part, name, at, low, high) for name in ("bound", "measured"))
    known = part.loc[part["measured"].notna(), "gain"].max()
    end = high if known == part["gain"].max() else np.nanmax([promised, known])
    middle = min(explodes, end)
    return [(low, promised), (promised, middle), (middle, end)]


def _edge(part: pd.DataFrame, name: str, at: dict[str, float], low: float, high: float) -> float:
    """Where a region ends: where the rate crosses 1, or at an end of the axis if it does not."""
    if math.isfinite(at[name]):
        return at[name]
    # A bound that there is not promises nothing, at no gain.
    promises_nothing = name == "bound" and part[name].isna().all()
    return low if promises_nothing or (part[name] > 1).any() else high


def _entries(table: pd.DataFrame) -> list[Entry]:
    point = Line2D([], [], linestyle="", marker="o", color=BLUE, markersize=3.2)
    lines: list[Entry] = [(point, "measured")]
    parts = _parts(table).values()
    labels = ("theory, these lags", "theory's asymptote", "singular-value bound")
    styles: tuple[marks.Line, ...] = (THEORY, ASYMPTOTE, BOUND)
    for label, line, name in zip(labels, styles, _THEORY, strict=True):
        if any(_is_drawn(part, name) for part in parts):
            lines.append(marks.line_entry(label, line))
    return lines + [(Patch(color=c, alpha=a, linewidth=0), label) for c, a, label in _REGIONS]


def caption(plotted: Plotted) -> str:
    """Say what is seen: thresholds of each panel, how far theory is off, what the bound says."""
    table = plotted.table
    parts = _parts(table)
    first, last = LAGS
    gaps = _gaps(parts)
    above = int((table["measured"] > table["bound"] * (1 + 1e-6)).sum())
    bound = f"Mean rates above the bound: {above}. {captions.BOUND}"
    return sentences(
        _answer(parts),
        *(_thresholds(name, part) for name, part in parts.items()),
        f"From lag {first} to lag {last} theory and the mean measured change of the norm differ by "
        f"at most {listing(gaps)} decades."
        if gaps
        else "No theory holds at these lags: there is no line of it.",
        bound if table["bound"].notna().any() else "",
        *plotted.notes,
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    first, last = LAGS
    many = plotted.table["seeds"].max() > 1
    bars = "bars: its 95 % interval" if many else "one seed, no bars"
    return sentences(
        f"Rates are slopes over lags {first} to {last} at update 0. Points: mean over seeds of ln "
        f"rate; {bars}. Thresholds are read off lines through the points; colours change at those "
        "of the bound (dotted) and of the measurement (solid); that of theory is dashed.",
        captions.points_and_seeds(plotted.table),
    )


def _answer(parts: dict[str, pd.DataFrame]) -> str:
    """From which gain on each network explodes, or that none begins to within these gains."""
    found = {name: thresholds(part) for name, part in parts.items()}
    found = {name: at for name, at in found.items() if math.isfinite(at["measured"])}
    if found:
        return crossings.explodes(found)
    measured = pd.concat([part["measured"] for part in parts.values()]).dropna()
    if (measured > 1).all():
        return "The mean measured rate is above 1 at every gain, the smallest one included."
    way = "rise above 1" if (measured <= 1).all() else "rise from below 1 to above it"
    return f"Nowhere within these gains does the mean measured rate {way}."


def _thresholds(name: str, part: pd.DataFrame) -> str:
    at = thresholds(part)
    promise, seen = (number(at[key]) for key in ("bound", "measured"))
    said = []
    if math.isfinite(at["bound"]):
        said.append(f"the bound guarantees vanishing below g = {promise}")
    elif part["bound"].notna().any():
        said.append(f"the bound {crossings.stays(part['bound'])}")
    else:
        said.append("there is no bound")
    drawn = [line for line in _THEORY if _is_drawn(part, line)]
    said += crossings.of_theory(part, at, drawn)
    if math.isfinite(at["measured"]):
        interval = crossings.holds_1(*(at[end] for end in crossings.ENDS))
        said.append(f"the mean measured rate first rises above 1 at {seen}{interval}")
    elif part["measured"].notna().any():
        said.append(f"the mean measured rate {crossings.stays(part['measured'])}")
    return f"With {name or 'this network'} {'; '.join(said)}."


def _gaps(parts: dict[str, pd.DataFrame]) -> list[str]:
    said = []
    for name, part in parts.items():
        rates = part.set_index("gain")
        gap = (rates["measured"] / rates["predicted"]).dropna().map(math.log).abs()
        if len(gap):
            decades = gap.max() * (LAGS[1] - LAGS[0]) / math.log(10)
            said.append(f"{number(decades)} ({name}, g = {gap.idxmax():g})")
    return said
