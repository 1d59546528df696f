"""Gradient norm against lag, at initialisation: the picture of every textbook, measured."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures.parts import captions, marks, panels
from rnn_exp.figures.parts.axes import KEYS
from rnn_exp.figures.parts.carrier import BANDS, carrier_note, carrier_rows, cases, theory_changes
from rnn_exp.figures.parts.seeds import gradient_interval, interval
from rnn_exp.figures.parts.selection import Plotted, Tables, at_start, select_runs
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.starts import distinct_at_start, same_at_start
from rnn_exp.figures.parts.style import ASYMPTOTE, MEASURED, REFERENCE, THEORY, darker, in_style
from rnn_exp.words import kept_with_interval, listing, magnitude, number, plural, sentences

QUESTION: Final = "How far back in time does the gradient reach?"

_THEORY: Final = [
    "log10_measured_change",
    "log10_predicted_change",
    "predicted_lags",
    "change_scatter",
]
_APART: Final = 0.3
"""Decades at the end of theory's curve from which on its asymptote is drawn beside it."""
_DTYPES: Final = ("float32", "float64")
_MARKERS: Final = ("s", "D", "o")
_HEIGHT: Final = 2.6
_ONE_RATE: Final = 1.05
"""Rates of one setting within this factor are one rate."""


def table(tables: Tables) -> Plotted:
    """Return log10 of the norm at each lag (median, range over seeds), and theory's curve.

    Beside them what is said of each case (`cases`), the change up to the lag to which theory is
    drawn, measured and predicted, and log10 of the smallest and the largest number of the precision
    (NaN: it is not known, or not the same for all).
    """
    distinct, same = distinct_at_start(tables.runs)
    selected = select_runs(distinct)
    rows = at_start(carrier_rows(tables, selected.runs["run"], [0]), "gradients")
    frame = selected.runs.merge(rows, on="run").sort_values("lag", kind="stable")
    numbers = gradient_interval(frame, [*KEYS, "lag"], "log10_norm")
    curves = frame.groupby([*KEYS, "lag"], dropna=False)["log10_predicted"].median()
    numbers = numbers.merge(curves.reset_index(), on=[*KEYS, "lag"])
    numbers = selected.runs[KEYS].drop_duplicates().merge(numbers, on=KEYS)
    each = cases(selected.runs.merge(tables.runs.astype({"run": str}), on="run"), KEYS)
    each = each.drop(columns=["seeds", *_THEORY[1:]]).merge(_median_changes(tables, selected.runs))
    numbers = numbers.merge(each, on=KEYS, how="left")
    numbers = numbers.merge(theory_changes(frame, KEYS), on=KEYS, how="left")
    numbers["log10_asymptote"] = _asymptotes(numbers)
    name, smallest, largest = _precision(tables.runs, selected.runs["run"])
    numbers = numbers.assign(precision=name, log10_smallest=smallest, log10_largest=largest)
    notes = captions.without_theory(tables.runs, selected.runs)
    units = captions.units(tables.runs, selected.runs)
    chosen = carrier_note(tables.runs, selected.runs)
    said = (*chosen, *units, *same_at_start(same), *selected.notes, *notes)
    return Plotted(numbers, said, selected.left_out)


def _median_changes(tables: Tables, shown: pd.DataFrame) -> pd.DataFrame:
    """Log10 of the first over the last norm: the median over seeds, as that of the lines is."""
    known = tables.runs.reindex(columns=["run", "log10_change"]).astype({"run": str})
    frame = shown.merge(known.astype({"log10_change": float}), on="run")
    found = interval(frame, KEYS, "log10_change")[[*KEYS, "median"]]
    return found.rename(columns={"median": "log10_median_change"})


def _asymptotes(numbers: pd.DataFrame) -> pd.Series:
    """A line of the stationary rate from the first norm on; NaN where theory's curve is near it."""
    known = numbers["log10_predicted"].notna() & (numbers["asymptotic_rate"] > 0)
    slope = np.log10(numbers["asymptotic_rate"].where(known).to_numpy(dtype=float))
    rise = numbers["lag"] * slope
    by_case = [numbers[key] for key in KEYS]
    first = numbers["log10_predicted"].groupby(by_case, dropna=False).transform("first")
    gap = (first + rise - numbers["log10_predicted"]).abs()
    far = gap.groupby(by_case, dropna=False).transform("max") > _APART
    line: pd.Series = (first + rise).where(known & far)
    return line


def _precision(runs: pd.DataFrame, shown: pd.Series) -> tuple[str, float, float]:
    """In which numbers the runs were trained, and where these end: what is beyond is lost."""
    known = runs.reindex(columns=["run", "network.dtype"]).astype({"run": str})
    names = known.loc[known["run"].isin(shown), "network.dtype"].dropna().unique()
    name = str(names[0]) if len(names) == 1 else ""
    if name not in _DTYPES:
        return "", np.nan, np.nan
    ends = np.finfo(np.dtype(name))
    return name, float(np.log10(float(ends.tiny))), float(np.log10(float(ends.max)))


def draw(plotted: Plotted) -> Figure:
    """Draw a panel an activation, a line a series and length, all on the same axes.

    Where one rate holds for all lengths their lines lie on one another. Dashed is theory.
    """
    table = plotted.table
    with in_style():
        activations, lengths = list(table["activation"].unique()), panels.lengths_of(table)
        figure, grid = panels.grid(1, len(activations), height=_HEIGHT)
        palette = marks.colours(table)
        length = lengths[0] if len(lengths) == 1 else 0
        for activation, axes in zip(activations, grid[0], strict=True):
            _panel(axes, table[table["activation"] == activation], palette, lengths)
            panels.title(axes, activation, marks.only_series(table), length)
        _limits(table, grid[0, 0])
        named = []
        for activation, axes in zip(activations, grid[0], strict=True):
            part = table[table["activation"] == activation]
            named.append(_name_lines(axes, part, palette))
            _precision_lines(axes, table.iloc[0])
        panels.letters(grid.flat)
        norm = f"gradient norm\n{panels.VANISHES_EXPLODES}"
        panels.name_axes(figure, grid, "lag $T-t$ (steps back from the last)", norm)
        series = [] if all(named) else marks.colour_entries(palette)
        figure.set_legend([*series, *_entries(table, lengths)])
    return figure


def _panel(axes: Axes, part: pd.DataFrame, palette: dict[str, str], lengths: list[int]) -> None:
    axes.axhline(0, color=REFERENCE, linewidth=0.6, zorder=0, gid="one")
    for series, rows in part.groupby(["series", "length"], sort=False):
        colour, length = palette[str(series[0])], int(rows["length"].iloc[0])
        marks.band(axes, rows, "lag", colour, log10=True, linewidth=_width(length, lengths))
        _mark_end(axes, rows, colour, lengths)
        if length != lengths[-1]:
            continue
        for column, line in (("log10_predicted", THEORY), ("log10_asymptote", ASYMPTOTE)):
            if rows[column].notna().any():
                axes.plot(rows["lag"], rows[column], line, color=darker(colour), linewidth=0.8)
    panels.powers(axes, bins=9)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True, steps=[1, 2, 5, 10]))
    axes.margins(x=0.02)


def _width(length: int, lengths: list[int]) -> float:
    return 1.2 if length == lengths[-1] else 0.8


def _mark_end(axes: Axes, rows: pd.DataFrame, colour: str, lengths: list[int]) -> None:
    """Say with a marker which length a line has, where there are several."""
    known = rows[np.isfinite(rows["log10_median"])]
    if len(lengths) > 1 and len(known):
        last, place = known.iloc[-1], lengths.index(int(rows["length"].iloc[0]))
        look = _end_look(place, len(lengths), colour)
        axes.plot([last["lag"]], [last["log10_median"]], gid="end of length", zorder=4, **look)


def _end_look(place: int, count: int, colour: str) -> dict[str, Any]:
    """Longest sequences filled, shorter ones open, as where rates are drawn."""
    face = colour if place == count - 1 else "white"
    # The open circle is taken: it is where training loses the norm.
    shape = _MARKERS[place - count]
    look: dict[str, Any] = {"marker": shape, "markerfacecolor": face}
    return {**look, "linestyle": "none", "color": colour, "markersize": 3, "markeredgewidth": 0.7}


def _limits(table: pd.DataFrame, axes: Axes) -> None:
    # The measured values set the limits: a wrong prediction may leave the panel, not empty it.
    finite = table.replace([np.inf, -np.inf], np.nan)
    low = finite[["log10_low", "log10_median"]].min().min()
    high = finite[["log10_high", "log10_median"]].max().max()
    low, high = (min(low, 0.0), max(high, 0.0)) if low == low else (-1.0, 1.0)
    margin = max(0.06 * (high - low), 0.3)
    axes.set_ylim(low - margin * (2 if table["floor"].any() else 1), high + margin)


def _name_lines(axes: Axes, part: pd.DataFrame, palette: dict[str, str]) -> bool:
    known = part[np.isfinite(part["log10_median"]) & (part["length"] == part["length"].max())]
    ends = known.groupby("series", sort=False).last().reset_index()
    named = [
        marks.End(row["lag"], row["log10_median"], str(row["series"]), palette[str(row["series"])])
        for _, row in ends.iterrows()
    ]
    # Labels and the legend take about a fifth of the height.
    return marks.end_labels(axes, named, 0.8 * _HEIGHT)


def _precision_lines(axes: Axes, row: pd.Series) -> None:
    low, high = axes.get_ylim()
    for column, side in (("log10_smallest", "top"), ("log10_largest", "bottom")):
        if low < row[column] < high:
            axes.axhline(row[column], color=REFERENCE, linewidth=0.6, zorder=0, gid="precision")
            look: dict[str, Any] = {"color": REFERENCE, "fontsize": 7, "va": side, "zorder": 3.5}
            look["bbox"] = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.4}
            offset = {"xytext": (2, -1 if side == "top" else 1), "textcoords": "offset points"}
            at: dict[str, Any] = {"xycoords": axes.get_yaxis_transform(), **offset}
            axes.annotate(f"{row['precision']} ends", (0, row[column]), **at, **look)


def _entries(table: pd.DataFrame, lengths: list[int]) -> list[Entry]:
    entries = [marks.line_entry("measured", MEASURED)]
    longest = table[table["length"] == lengths[-1]]
    if longest["log10_predicted"].notna().any():
        entries.append(marks.line_entry("theory", THEORY))
    if longest["log10_asymptote"].notna().any():
        entries.append(marks.line_entry("its stationary rate", ASYMPTOTE))
    if len(lengths) > 1:
        entries += [
            (Line2D([], [], **_end_look(place, len(lengths), "0.2")), f"ends at T = {length}")
            for place, length in enumerate(lengths)
        ]
    return entries + marks.lost_entries(table)


def caption(plotted: Plotted) -> str:
    """Say how far the gradient reaches at the ends, then each verdict, and how good theory is."""
    table = plotted.table
    return sentences(
        _answer(table),
        captions.verdicts(table[table["length"] == table["length"].max()]),
        _same_rate(table),
        captions.theory_agreement(table),
        *plotted.notes,
    )


def _answer(table: pd.DataFrame) -> str:
    """The smallest and the largest rate at the longest sequences, with what is left of each."""
    every = table.drop_duplicates(KEYS)
    known = every[np.isfinite(every["rate"]) & (every["rate"] > 0)]
    known = known[known["length"] == known["length"].max()].sort_values("rate", kind="stable")
    if known.empty:
        return "No decay rate could be measured."
    first, last = known.iloc[0], known.iloc[-1]
    where = f"At T = {first['length']} the" if first["length"] else "The"
    if len(every) == 1:
        return f"The gradient {_rate_of(first)}{_left_of(first)}."
    said = [f"{where} gradient {_rate_of(first)} with {_name(first)}{_left_of(first)}"]
    if len(known) > 1:
        said.append(f"it {_rate_of(last)} with {_name(last)}{_left_of(last)}")
    return f"{'; '.join(said)}."


def _name(case: pd.Series) -> str:
    return ", ".join(filter(None, [str(case["activation"]), str(case["series"])])) or "all runs"


def _rate_of(case: pd.Series) -> str:
    return kept_with_interval(*(float(case[key]) for key in ("rate", "rate_low", "rate_high")))


def _left_of(case: pd.Series) -> str:
    """What becomes of the norm up to the first time step, in a bracket; nothing where unknown."""
    if not (np.isfinite(case["lags"]) and np.isfinite(case["log10_median_change"])):
        return ""
    steps, size = plural(int(case["lags"]), "step"), float(case["log10_median_change"])
    return f" ({magnitude(size)}{' left' if size < 0 else '-fold'} after {steps})"


def _same_rate(table: pd.DataFrame) -> str:
    """How much the rate depends on the length: one slope for all lengths is what is looked for."""
    every = table.drop_duplicates(KEYS)
    known = every[np.isfinite(every["rate"]) & (every["rate"] > 0)]
    rates = known.groupby(["activation", "series"], sort=False)["rate"]
    spread = (rates.max() / rates.min())[rates.size() > 1]
    if spread.empty:
        return ""
    lengths = listing(str(length) for length in panels.lengths_of(known))
    same = int((spread < _ONE_RATE).sum())
    return (
        f"One rate for T = {lengths} (within {100 * (_ONE_RATE - 1):.0f} %) in {same} of "
        f"{len(spread)} settings; the largest ratio of two is {number(float(spread.max()))}."
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    table = plotted.table
    several = len(panels.lengths_of(table)) > 1
    longest = table[table["length"] == table["length"].max()]
    return sentences(
        BANDS.replace("Line", "Solid line"),
        "Above, a rate per step is the mean over seeds of its logarithm, the size after all steps "
        "the median over seeds.",
        "All panels have the same axes; a marker ends the line of each length. Lines of one "
        "colour on one another: one rate for all lengths."
        if several
        else "",
        "Dashed: what theory predicts for networks of this kind, from the measured norm at lag 0 "
        f"on{', of the longest sequences' if several else ''}; no number of it is fitted."
        if longest["log10_predicted"].notna().any()
        else "",
        "Dash-dotted: the stationary rate, where the curve has not reached it."
        if longest["log10_asymptote"].notna().any()
        else "",
        captions.points_and_seeds(table),
    )
