"""Why parameter gradients hide the effect: what the optimiser sees beside what reaches step 1."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.axes import KEYS
from rnn_exp.figures.parts.captions import points_and_seeds
from rnn_exp.figures.parts.carrier import carrier_rows
from rnn_exp.figures.parts.panels import is_numeric, numeric_x, positions, series_label, set_x
from rnn_exp.figures.parts.seeds import gradient_interval, statuses
from rnn_exp.figures.parts.selection import (
    CannotDraw,
    Plotted,
    Tables,
    at_start,
    required,
    select_runs,
)
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.starts import NUMBERS, distinct_at_start, same_at_start
from rnn_exp.figures.parts.style import BLUE, REFERENCE, in_style
from rnn_exp.words import listing, magnitude, sentences

QUESTION: Final = "Does the gradient of the weights show that the gradient vanishes or explodes?"

QUANTITIES: Final = {
    "weights": ("weights", r"$\|\partial L/\partial W_{hh}\|$"),
    "ratio": ("first step", r"$\|\partial L/\partial h_1\|\,/\,\|\partial L/\partial h_T\|$"),
}
"""What each column of panels says, and the quantity of its axis."""
_WEIGHTS: Final = ["run", "update", "recurrent_grad_norm"]
_TENFOLD: Final = 1.0
_KINDS: Final = {"vanishing": -1, "exploding": 1}


def table(tables: Tables) -> Plotted:
    """Return log10 of both quantities at update 0 against T or gain (median, range over seeds)."""
    distinct, same = _distinct(tables)
    selected = select_runs(distinct, lengths=12, series=4, panels=3)
    if len(selected.runs["length"].unique()) < 2:
        selected = select_runs(distinct, lengths=1, series=12, panels=3)
    if same and len(selected.runs.drop_duplicates(KEYS)) == 1:
        raise CannotDraw(f"Runs that differ in {listing(same)} alone are the same at update 0.")
    frame = selected.runs.merge(_quantities(tables, selected.runs["run"]), on="run")
    numbers = gradient_interval(frame, [*KEYS, "quantity"], "log10")
    by_length = len(numbers["length"].unique()) > 1
    numbers["x"] = numbers["length"].astype(float) if by_length else positions(numbers)
    numbers["line"] = numbers["series"] if by_length else ""
    if len(numbers["x"].unique()) < 2:
        raise CannotDraw("The study has one sequence length and one gain: there is no trend.")
    numbers = numbers.sort_values("x", kind="stable", ignore_index=True)
    return Plotted(numbers, (*same_at_start(same), *selected.notes), selected.left_out)


def _distinct(tables: Tables) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """The runs, once where what is drawn of them is the same."""
    weights = at_start(required(tables.updates, _WEIGHTS, "updates"), "updates")
    runs = tables.runs.astype({"run": str})
    norms = weights.astype({"run": str}).set_index("run")["recurrent_grad_norm"]
    numbers = runs.assign(recurrent_grad_norm=runs["run"].map(norms))
    return distinct_at_start(numbers, (*NUMBERS, "recurrent_grad_norm"))


def _quantities(tables: Tables, runs: pd.Series) -> pd.DataFrame:
    """Both quantities in long form: run, quantity, log10, status."""
    weights = at_start(required(tables.updates, _WEIGHTS, "updates"), "updates")
    with np.errstate(divide="ignore"):
        log10 = np.log10(weights["recurrent_grad_norm"].astype(float))
    weights = weights.assign(log10=log10, quantity="weights", status=statuses(log10))
    both = [weights.drop(columns="recurrent_grad_norm"), _ratio(tables, runs)]
    return pd.concat(both, ignore_index=True).astype({"run": str})


def _ratio(tables: Tables, runs: pd.Series) -> pd.DataFrame:
    rows = at_start(carrier_rows(tables, runs, [0]), "gradients")
    first = rows.loc[rows["time"] == 1, ["run", "log10_norm", "status"]]
    last = rows.loc[rows["lag"] == 0, ["run", "log10_norm"]].rename(columns={"log10_norm": "at"})
    joined = first.merge(last.replace([np.inf, -np.inf], np.nan), on="run")
    joined = joined.assign(log10=joined["log10_norm"] - joined["at"], quantity="ratio")
    return joined[["run", "quantity", "log10", "status"]]


def draw(plotted: Plotted) -> Figure:
    """Draw a row an activation: left the weights, right the states, on one scale."""
    table = plotted.table
    with in_style():
        activations = list(table["activation"].unique())
        figure, grid = panels.grid(len(activations), len(QUANTITIES), height=1.8, sharey=False)
        lines = list(table["line"].unique())
        palette = marks.colours(table) if lines != [""] else {"": BLUE}
        for (row, column), axes in np.ndenumerate(grid):
            quantity = list(QUANTITIES)[column]
            part = table[table["activation"] == activations[row]]
            _panel(axes, part[part["quantity"] == quantity], palette)
            says, symbols = QUANTITIES[quantity]
            axes.set_title(f"{_name(table, activations[row])}: {says}".removeprefix(": "))
            axes.set_ylabel(symbols)
            if column:
                # One scale, but each quantity has an axis with its numbers.
                axes.sharey(grid[row, 0])
            _write_headline(axes, _widest(part), quantity)
        panels.letters(grid.flat)
        _axis(table, figure, grid)
        figure.set_legend(_entries(table, palette))
    return figure


def _name(table: pd.DataFrame, activation: str) -> str:
    return panels.plain(", ".join(filter(None, [activation, marks.only_series(table)])))


def _panel(axes: Axes, part: pd.DataFrame, palette: dict[str, str]) -> None:
    axes.axhline(0, color=REFERENCE, linewidth=0.6, zorder=0, gid="one")
    for line, shape in marks.shapes_of(palette).items():
        rows = part[part["line"] == line]
        # Names have no order that a line could show; lengths and gains have.
        joined = len(rows["length"].unique()) > 1 or is_numeric(rows)
        look: dict[str, Any] = {"marker": shape, "markersize": 3.5}
        marks.band(axes, rows, "x", palette[line], log10=True, joined=joined, **look)
    # Room for the triangles below the last point.
    axes.margins(y=0.2 if (part["floor"] > 0).any() else 0.08)
    panels.powers(axes)


class _Course(NamedTuple):
    """What becomes of both quantities from one place of a line to another: log10 at both.

    Args:
        line: its name.
        places: both places, in words.
        weights: of the gradient of W_hh.
        ratio: of the gradient at the first step over that at the last.
    """

    line: str
    places: tuple[str, str]
    weights: tuple[float, float]
    ratio: tuple[float, float]

    @property
    def change(self) -> float:
        """Decades by which what reaches step 1 goes up from one place to the other."""
        return self.ratio[1] - self.ratio[0]

    @property
    def is_shown(self) -> bool:
        """Whether the gradient of the weights goes along with what reaches step 1."""
        weights = (self.weights[1] - self.weights[0]) * np.sign(self.change)
        return bool(weights > abs(self.change) / 2)


def _widest(part: pd.DataFrame) -> _Course | None:
    """The line along which what reaches step 1 changes most, where both quantities are known."""
    courses = [_course(*line, 0, -1) for line in _lines(part)]
    return max(courses, key=lambda course: abs(course.change), default=None)


def _lines(part: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, list[str]]]:
    """Each line of a panel: its name, both quantities where they are known, its places in words."""
    finite = part[np.isfinite(part["log10_median"])].sort_values("x", kind="stable")
    for line, rows in finite.groupby("line", sort=False):
        both = rows.pivot_table(index="x", columns="quantity", values="log10_median").dropna()
        if set(both) == set(QUANTITIES) and len(both) > 1:
            places = rows.drop_duplicates("x").set_index("x").loc[both.index]
            yield str(line), both, [_place(row, part) for _, row in places.iterrows()]


def _course(line: str, both: pd.DataFrame, places: list[str], first: int, last: int) -> _Course:
    """Both quantities from one place of a line to another, counted from its left end."""
    ends = {
        str(name): (float(values.iloc[first]), float(values.iloc[last]))
        for name, values in both.items()
    }
    return _Course(line, (places[first], places[last]), **ends)


def _far_courses(part: pd.DataFrame, sign: int) -> list[_Course]:
    """From where a line is nearest 1 to where it is lowest (-1) or highest (1), if far from 1."""
    found = []
    for line, both, places in _lines(part):
        ratio = sign * both["ratio"].to_numpy()
        course = _course(line, both, places, int(np.abs(ratio).argmin()), int(ratio.argmax()))
        if ratio.max() > _TENFOLD and sign * course.change > _TENFOLD:
            found.append(course)
    return found


def _write_headline(axes: Axes, course: _Course | None, quantity: str) -> None:
    """Write into the panel what becomes of its quantity where what reaches step 1 changes most."""
    if course is None:
        return
    first, last = map(magnitude, getattr(course, quantity))
    words = f"{first}\n$\\rightarrow$ {last}" if first != last else f"stays {first}"
    told = ":\n".join(filter(None, [panels.plain(course.line), words]))
    at: dict[str, Any] = {"transform": axes.transAxes, "fontsize": 7, "gid": "headline"}
    box = {"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.8, "linewidth": 0}
    level, edge = (0.03, "bottom") if course.change < 0 else (0.97, "top")
    axes.text(0.03, level, told, va=edge, bbox=box, **at)


def _axis(table: pd.DataFrame, figure: Figure, grid: np.ndarray) -> None:
    by_length = len(table["length"].unique()) > 1
    label = "sequence length $T$" if by_length else series_label(table)
    figure.supxlabel(label)
    if by_length:
        numeric_x(grid[0, 0], table["x"])
    else:
        set_x(grid, table)


def _entries(table: pd.DataFrame, palette: dict[str, str]) -> list[Entry]:
    shapes = marks.shapes_of(palette)
    return [*marks.series_entries(palette, shapes), *marks.lost_entries(table)]


def caption(plotted: Plotted) -> str:
    """Say whether the weights' gradient shows what vanishes and what explodes, each for itself."""
    table = plotted.table
    parts = [(str(name), part) for name, part in table.groupby("activation", sort=False)]
    far = {
        word: [(name, course) for name, part in parts for course in _far_courses(part, sign)]
        for word, sign in _KINDS.items()
    }
    each = [one for found in far.values() for one in found]
    if len(each) == 1:
        verdict = "Yes" if each[0][1].is_shown else "No"
        return sentences(f"{verdict}: {_told(*each[0])}.", *plotted.notes)
    if not each:
        return sentences(_nothing(parts), *plotted.notes)
    answer = "; ".join(_verdict(word, found) for word, found in far.items() if found)
    most = {word: max(found, key=_size) for word, found in far.items() if found}
    told = (f"{word.capitalize()} most: {_told(*one)}." for word, one in most.items())
    return sentences(f"{answer[0].upper()}{answer[1:]}.", *told, *plotted.notes)


def _nothing(parts: list[tuple[str, pd.DataFrame]]) -> str:
    """Say that nothing vanishes or explodes, and where what reaches step 1 changes most."""
    known = [(name, course) for name, part in parts if (course := _widest(part)) is not None]
    if not known:
        return "At no two places are both gradients finite."
    return f"There was nothing to show: {_told(*max(known, key=_size))}."


def _size(one: tuple[str, _Course]) -> float:
    return abs(one[1].change)


def _verdict(word: str, found: list[tuple[str, _Course]]) -> str:
    """Along how many of the lines that vanish, or explode, the weights' gradient shows it."""
    shown, count = sum(course.is_shown for _, course in found), len(found)
    if shown == count:
        return f"{word}: yes, along {f'all {count} lines' if count > 1 else 'its 1 line'}"
    if count == 1:
        return f"{word}: no, not along its 1 line"
    return f"{word}: {f'along {shown}' if shown else 'no, along none'} of {count} lines"


def _place(row: pd.Series, part: pd.DataFrame) -> str:
    """A place of the axis in words."""
    by_length = len(part["length"].unique()) > 1
    return f"T = {row['length']}" if by_length else str(row["series"])


def _told(name: str, course: _Course) -> str:
    first, last = course.places
    where = ", ".join(filter(None, [name, course.line]))
    states, weights = (" to ".join(map(magnitude, ends)) for ends in (course.ratio, course.weights))
    return (
        f"{f'with {where}, ' if where else ''}from {first} to {last}, what reaches step 1 goes "
        f"from {states} of the last norm, the gradient of W_hh from {weights}"
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    return sentences(
        "At initialisation; the panels of a row have the same scale. The words in a panel are of "
        "the line along which what reaches step 1 changes most. Lines and numbers: median over "
        "seeds; band: lowest to highest.",
        points_and_seeds(plotted.table),
    )
