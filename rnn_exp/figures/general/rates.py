"""Decay rate against gain: what is measured, what theory predicts, what no network can exceed."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnn_exp.figures.parts import captions, marks, panels
from rnn_exp.figures.parts.axes import KEYS
from rnn_exp.figures.parts.carrier import carrier_note, cases
from rnn_exp.figures.parts.panels import is_numeric, positions, series_label, set_x
from rnn_exp.figures.parts.seeds import bar_lengths, gain_at_rate_one
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required, select_runs
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.starts import distinct_at_start, same_at_start
from rnn_exp.figures.parts.style import ASYMPTOTE, BLUE, BOUND, REFERENCE, THEORY, in_style
from rnn_exp.words import case_name, listing, plural, rates, sentences

QUESTION: Final = "Where does the gradient neither vanish nor explode?"

MARKERS: Final = ("s", "D", "o")
_SMALLEST, _LARGER = 3.2, 1.7
_MOST_NAMED: Final = 4
_COUNTED: Final = ("units", "layers")
_LINES: Final[dict[str, marks.Line]] = {
    "predicted_rate": THEORY,
    "asymptotic_rate": ASYMPTOTE,
    "bound": BOUND,
}


def table(tables: Tables) -> Plotted:
    """Return what is said of each case (`cases`): rate, interval, verdicts, theory; the bound."""
    distinct, same = distinct_at_start(tables.runs)
    selected = select_runs(distinct, series=30)
    if same and len(selected.runs.drop_duplicates(KEYS)) == 1:
        raise CannotDraw(
            f"Runs that differ in {listing(same)} alone are the same at update 0, where rates are "
            "measured."
        )
    runs = required(tables.runs, ["run", "decay_rate", "verdict"], "runs").astype({"run": str})
    extra = tables.runs.drop(columns=["run", "decay_rate", "verdict"])
    frame = selected.runs.merge(runs.join(extra), on="run")
    if frame["decay_rate"].astype(float).isna().all():
        raise CannotDraw("No run of the study has a decay rate.")
    numbers = cases(frame, KEYS)
    whole = numbers["predicted_lags"] == numbers["lags"]
    numbers["log10_measured_change"] = numbers["log10_change"].where(whole)
    frame = frame.assign(
        bound=frame.reindex(columns=["bound"])["bound"].astype(float),
        unknown=frame["decay_rate"].astype(float).isna().astype(int),
    )
    grouped = frame.groupby(KEYS, dropna=False, sort=False)
    known = grouped.agg({"bound": "median", "unknown": "sum"}).reset_index()
    numbers = numbers.merge(known, on=KEYS)
    numbers["x"] = positions(numbers)
    few = int(numbers["unknown"].sum())
    notes, left_out = [*carrier_note(tables.runs, selected.runs)], selected.left_out
    notes += same_at_start(same)
    notes += [*captions.units(tables.runs, selected.runs), *selected.notes]
    notes += captions.without_theory(tables.runs, selected.runs)
    if few:
        left_out += (f"{plural(few, 'run')} with too few lags for a rate: not drawn.",)
    return Plotted(numbers, tuple(notes), left_out)


def draw(plotted: Plotted) -> Figure:
    """Draw a panel an activation: points measured, dashed predicted, dotted bound, a line at 1."""
    table = plotted.table
    with in_style():
        activations = list(table["activation"].unique())
        figure, grid = panels.grid(1, len(activations), height=2.3)
        for activation, axes in zip(activations, grid[0], strict=True):
            _panel(axes, table[table["activation"] == activation], panels.lengths_of(table))
            panels.title(axes, activation, marks.only_series(table))
        _scales(table, grid)
        for activation, axes in zip(activations, grid[0], strict=True):
            _impossible(axes, table[table["activation"] == activation])
        panels.letters(grid.flat)
        rate = f"factor per step back in time\n{panels.VANISHES_EXPLODES}"
        panels.name_axes(figure, grid, series_label(table), rate)
        figure.set_legend(_entries(table))
    return figure


def _panel(axes: Axes, part: pd.DataFrame, lengths: list[int]) -> None:
    axes.axhline(1, color=REFERENCE, linewidth=0.6, zorder=0)
    for place, length in enumerate(lengths):
        rows = part[part["length"] == length]
        shown = rows[np.isfinite(rows["rate"]) & (rows["rate"] > 0)]
        ends = shown.rename(columns={"rate_low": "low", "rate_high": "high"})
        spread = np.nan_to_num(bar_lengths(ends, "rate"))
        # All at their own gain; markers of one place lie within one another.
        axes.errorbar(shown["x"], shown["rate"], spread, **_points(place, len(lengths)))
    for column, line in _drawn(part).items():
        for x, y in _pieces(part, column):
            axes.plot(x, y, line, color="0.1", linewidth=1, gid=column)


def _drawn(part: pd.DataFrame) -> dict[str, marks.Line]:
    """The lines of a panel; the asymptote only where it can be told from theory's rate."""
    asymptote, predicted = "asymptotic_rate", "predicted_rate"
    shown = _of_longest(part[part["rate"] > 0])
    hidden = set()
    if len(shown) and not marks.is_beside(shown, asymptote, predicted, ["rate", *_LINES]):
        hidden.add(asymptote)
    # One gain of many is no line.
    if shown[predicted].notna().sum() == 1 < len(shown):
        hidden.add(predicted)
    return {name: line for name, line in _LINES.items() if name not in hidden}


def _points(place: int, count: int) -> dict[str, Any]:
    """Longest sequences small and filled, shorter ones larger and open: all are seen."""
    face = BLUE if place == count - 1 else "none"
    size = _SMALLEST + _LARGER * (count - 1 - place)
    look = {"marker": MARKERS[place - count], "markerfacecolor": face, "markersize": size}
    lines = {"linestyle": "none", "elinewidth": 0.8, "markeredgewidth": 0.8}
    return {**look, **lines, "color": BLUE}


def _curve(part: pd.DataFrame, column: str) -> pd.Series:
    """Theory at the longest sequence of each gain: its stationary state is reached best there."""
    curve: pd.Series = _of_longest(part).set_index("x")[column].dropna()
    return curve


def _of_longest(part: pd.DataFrame) -> pd.DataFrame:
    return part.sort_values(["x", "length"]).drop_duplicates("x", keep="last")


def _pieces(part: pd.DataFrame, column: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """One line over all gains; a short level each where there is one gain, or only names."""
    curve = _curve(part, column)
    x, y = curve.index.to_numpy(dtype=float), curve.to_numpy(dtype=float)
    if len(x) > 1 and is_numeric(part):
        return [(x, y)]
    half = 0.3 if len(x) > 1 else 0.1
    ends = np.array([-half, half])
    return [(at + ends, np.full(2, level)) for at, level in zip(x, y, strict=True)]


def _scales(table: pd.DataFrame, grid: np.ndarray) -> None:
    panels.plain_log(grid[0, 0], "y")
    set_x(grid, table)


def _impossible(axes: Axes, part: pd.DataFrame) -> None:
    limits = axes.get_ylim()
    for x, y in _pieces(part, "bound"):
        axes.fill_between(x, y, limits[1], color="0.9", linewidth=0, zorder=-1)
    axes.set_ylim(limits)


def _entries(table: pd.DataFrame) -> list[Entry]:
    lengths = panels.lengths_of(table)
    entries: list[Entry] = []
    for place, length in enumerate(lengths):
        look = {k: v for k, v in _points(place, len(lengths)).items() if k != "elinewidth"}
        label = ", ".join(filter(None, ["measured", panels.length_label(length)]))
        entries.append((Line2D([], [], **look), label))
    labels = ("theory, these lags", "theory's asymptote", "singular-value bound")
    parts = [part for _, part in table.groupby("activation", sort=False)]
    return entries + [
        marks.line_entry(label, line)
        for label, (name, line) in zip(labels, _LINES.items(), strict=True)
        if any(name in _drawn(part) and len(_curve(part, name)) for part in parts)
    ]


def caption(plotted: Plotted) -> str:
    """Say at which gain rates cross 1, how good theory is, whether the bound holds."""
    table = plotted.table
    return sentences(
        _answer(table),
        captions.rates(table),
        captions.theory_agreement(table),
        captions.bound_kept(table),
        *plotted.notes,
    )


def _answer(table: pd.DataFrame) -> str:
    """Where the rate is 1, with its interval; of settings that are no numbers: which hold 1."""
    parts = [(str(name), part) for name, part in table.groupby("activation", sort=False)]
    if not is_numeric(table):
        return _holding_one(table)
    longest = {name: _longest(part) for name, part in parts}
    where = _lengths_used([part for _, part in parts], len(panels.lengths_of(table)))
    if all(len(rows) < 2 for rows in longest.values()):
        return _at_one(where, longest)
    several = len(longest) > 1
    with_name = {name: f" with {name}" if several and name else "" for name in longest}
    label = series_label(table)
    what = "gain" if str(table["series"].iloc[0]).startswith("g = ") else label
    sides = {name: _side(rows["rate"]) for name, rows in longest.items()}
    if all(sides.values()):
        said = [f"all rates are {side} 1{with_name[name]}" for name, side in sides.items()]
        which = f"{'numbers' if label in _COUNTED else 'values'} of {label}"
        which = "gains" if what == "gain" else which
        return f"{where} gradient keeps its size at none of these {which}: {'; '.join(said)}."
    what = f"number of {label}" if label in _COUNTED else what
    said = [f"{_crossing(rows)}{with_name[name]}" for name, rows in longest.items()]
    return f"{where} gradient keeps its size at this {what}: {'; '.join(said)}."


def _side(values: pd.Series) -> str:
    """On which side of 1 all of some rates are; nothing where they are on both, or none is."""
    if values.empty:
        return ""
    return "below" if (values < 1).all() else "above" if (values > 1).all() else ""


def _at_one(where: str, longest: dict[str, pd.DataFrame]) -> str:
    """The rate itself, where each panel has one point: no gain can be read between points."""
    said = [
        _rate_of(rows.iloc[0], name if len(longest) > 1 else "")
        for name, rows in longest.items()
        if len(rows)
    ]
    return f"{where} rate is {'; '.join(said)}." if said else "No rate is a positive number."


def _rate_of(row: pd.Series, name: str) -> str:
    """One rate, of what it is, and on which side of 1, if that is sure."""
    low, high = row["rate_low"], row["rate_high"]
    told = rates(row["rate"], low, high)
    known = bool(np.isfinite([low, high]).all())
    of = f" (95 %: {told[1]} to {told[2]})" if known else ""
    side = _side(pd.Series([row["rate"]])) or "exactly"
    sure = "its interval holds 1" if known and low <= 1 <= high else f"{side} 1"
    what = " with ".join(filter(None, [str(row["series"]), name]))
    return f"{told[0]}{of}{f' at {what}' if what else ''}: {sure}"


def _lengths_used(parts: list[pd.DataFrame], count: int) -> str:
    """Begin a sentence that is of the longest sequences of each place, where lengths differ."""
    used = sorted({length for part in parts for length in panels.lengths_of(_longest(part))})
    if count == 1 or not used:
        return "The"
    if len(used) == 1:
        return f"At T = {used[0]} the"
    return f"At the longest sequences (T = {used[0]} to {used[-1]}) the"


def _longest(part: pd.DataFrame) -> pd.DataFrame:
    longest = _of_longest(part)
    return longest[np.isfinite(longest["rate"]) & (longest["rate"] > 0)]


def _crossing(rows: pd.DataFrame) -> str:
    """The gain at which a line through the rates is 1; its ends: those of the intervals."""
    if rows.empty:
        return "not known"
    at = gain_at_rate_one(rows["x"], rows["rate"])
    if not np.isfinite(at):
        side = "below" if rows["rate"].iloc[-1] < 1 else "above"
        crossed = ((rows["rate"] < 1) != (rows["rate"].iloc[-1] < 1)).any()
        return "not at one gain alone" if crossed else f"at none, all are {side} 1"
    ends = [gain_at_rate_one(rows["x"], rows[name]) for name in ("rate_high", "rate_low")]
    middle, low, high = rates(at, *ends, near=np.nan)
    if np.isfinite(ends).all():
        return f"{middle} (95 %: {low} to {high})"
    open_ends = [f"from {low} on", f"up to {high}"]
    told = [word for word, end in zip(open_ends, ends, strict=True) if np.isfinite(end)]
    return middle + "".join(f" (95 %: {word})" for word in told)


def _holding_one(table: pd.DataFrame) -> str:
    held = table[(table["rate_low"] <= 1) & (table["rate_high"] >= 1)]
    names = [case_name(row) for _, row in held.iterrows()]
    if not names:
        return "No setting has a rate whose 95 % interval holds 1."
    few = names if len(names) <= _MOST_NAMED else [*names[:_MOST_NAMED], "others"]
    return f"The 95 % interval of the rate holds 1 with {listing(few)}."


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    table = plotted.table
    return sentences(
        "Points: mean over seeds of the logarithm of the rate; bars: its 95 % interval (of one "
        "seed: that of its own rate).",
        "The gain at which the rate is 1 is read from straight lines between points, that of its "
        "95 % from lines between the ends of the bars."
        if is_numeric(table)
        else "",
        "Lines of theory are those of the longest sequences."
        if table["predicted_rate"].notna().any() and len(panels.lengths_of(table)) > 1
        else "",
        captions.points_and_seeds(table),
    )
