"""Learning curves of several recipes beside chance: on test sequences, or of smoothed batches."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.endings import carried_on, is_due, last_rows, solved_runs
from rnn_exp.figures.parts.losses import LEARNED, STUCK
from rnn_exp.figures.parts.panels import lengths_of
from rnn_exp.figures.parts.recipes import Recipes, in_list, name_runs
from rnn_exp.figures.parts.seeds import interval, limit_updates
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.style import THEORY, categories, in_style
from rnn_exp.words import listing, number, plural, sentences

__all__ = ["SMOOTH", "curve_caption", "curve_reading", "curve_table", "draw_curves"]

SMOOTH: Final = 5
"""A loss is of one batch: drawn is each run's median over so many recorded updates."""
_UPDATES, _SERIES, _LENGTHS = 200, 6, 3
_TEST: Final = "test_loss"
_SEQUENCES: Final = "evaluation.sequences"
_FAR: Final = 5.0
"""Losses that differ by more than this factor are on a logarithmic axis."""
_BY: Final = ["length", "series"]


def curve_table(tables: Tables, recipes: Recipes) -> Plotted:
    """Return the median and range over seeds of the loss at each update.

    It is that on the test sequences where every run was tested twice at least, and the smoothed
    loss of batches where not.

    Args:
        tables: of a study whose runs have a length.
        recipes: the names of its series.

    Returns:
        Columns: length, series, update, median, low, high, seeds, ceiling (seeds without a finite
        loss), diverged (so many runs of the line), chance (the loss of the best guess that has seen
        no input) and tested (on so many sequences; 0: the loss is of batches).

    Raises:
        CannotDraw: if fewer than two updates were recorded.
    """
    runs, left_out = _shown(tables.runs, recipes)
    tests = [_TEST] if _TEST in tables.updates else []
    rows = required(tables.updates, ["run", "update", "loss", *tests], "updates")
    rows = rows.astype({"run": str, "loss": float})
    rows = rows[rows["run"].isin(runs["run"])]
    if len(rows["update"].unique()) < 2:
        raise CannotDraw("Fewer than two updates were recorded: nothing was trained.")
    is_tested = bool(tests) and bool((rows.groupby("run")[_TEST].count() > 1).all())
    solved = set(solved_runs(tables.runs)) & set(runs["run"])
    rows = _with_ends(runs, rows, solved) if solved else rows
    rows = _tests(rows) if is_tested else _smoothed(rows)
    kept, note = limit_updates(rows["update"], _UPDATES)
    frame = runs.merge(rows[rows["update"].isin(kept)], on="run").sort_values([*_BY, "update"])
    numbers = interval(frame, [*_BY, "update"], "loss")
    keys = [frame[key] for key in (*_BY, "update")]
    lost = frame["lost"].groupby(keys, sort=False, observed=True).sum()
    numbers = numbers.assign(ceiling=lost.to_numpy())
    chances = runs.groupby("length")["chance"].median()
    numbers["chance"] = numbers["length"].map(chances)
    numbers["tested"] = _sequences(tables.runs) if is_tested else 0
    bad = runs["status"].eq("diverged").groupby([runs[key] for key in _BY], observed=True).sum()
    numbers = numbers.merge(bad.rename("diverged").reset_index(), on=_BY, how="left")
    if solved:
        many = len(solved) > 1
        stopped = f"{plural(len(solved), 'run')} solved the task and stopped"
        note = [*note, f"{stopped}: {'their' if many else 'its'} last loss counts to the end."]
    return Plotted(numbers, (*note,), tuple(left_out))


def _with_ends(runs: pd.DataFrame, rows: pd.DataFrame, solved: set[str]) -> pd.DataFrame:
    """The rows, and at later updates what the runs that solved their task ended with."""
    own = runs[["run", *_BY]].merge(rows, on="run")
    frame = carried_on(own, last_rows(own, solved), _BY)
    if _TEST in frame:
        frame[_TEST] = frame[_TEST].where(is_due(frame, own, _TEST, _BY))
    return frame.drop(columns=_BY)


def _shown(runs: pd.DataFrame, recipes: Recipes) -> tuple[pd.DataFrame, list[str]]:
    """The runs with their length and name, as many as a figure can hold."""
    needed = required(runs, ["run", "task.length"], "runs")
    frame = pd.DataFrame(
        {
            "run": needed["run"].astype(str),
            "length": needed["task.length"].astype(int),
            "series": name_runs(runs, recipes),
            "chance": runs.reindex(columns=["chance_loss"])["chance_loss"].astype(float),
            "status": runs.reindex(columns=["status"])["status"],
        }
    )
    series = list(frame["series"].cat.categories)
    lengths = sorted(frame["length"].unique())
    left = [*series[_SERIES:], *(f"T = {length}" for length in lengths[_LENGTHS:])]
    kept = frame["series"].isin(series[:_SERIES]) & frame["length"].isin(lengths[:_LENGTHS])
    left_out = [f"Left out to keep the figure readable: {listing(left)}."] if left else []
    return frame[kept], left_out


def _smoothed(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.sort_values(["run", "update"])
    finite = rows["loss"].where(np.isfinite(rows["loss"]))
    smooth = finite.groupby(rows["run"], sort=False).transform(
        lambda loss: loss.rolling(SMOOTH, min_periods=1, center=True).median()
    )
    return rows.assign(loss=smooth.where(finite.notna()), lost=finite.isna().astype(int))


def _tests(rows: pd.DataFrame) -> pd.DataFrame:
    """The loss on the test sequences where there was a test; a batch that is not finite stays."""
    lost = ~np.isfinite(rows["loss"])
    kept = rows[rows[_TEST].notna() | lost]
    found = kept[_TEST].where(np.isfinite(kept[_TEST]) & ~lost)
    return kept.assign(loss=found, lost=found.isna().astype(int)).drop(columns=_TEST)


def _sequences(runs: pd.DataFrame) -> int:
    """On how many sequences runs were tested; 1 stands for a number that is not known."""
    known = runs.reindex(columns=[_SEQUENCES])[_SEQUENCES].dropna().unique()
    return int(known[0]) if len(known) == 1 else 1


def draw_curves(plotted: Plotted, y: str) -> Figure:
    """Draw a panel a length, a line a recipe with the range over seeds; dashed is chance.

    Args:
        plotted: as of `curve_table`.
        y: the label of the losses.
    """
    table = plotted.table
    with in_style():
        lengths = lengths_of(table)
        figure, grid = panels.grid(1, len(lengths), height=2.2)
        names = list(table["series"].cat.categories)
        palette = dict(zip(names, categories(len(names)), strict=True))
        for length, axes in zip(lengths, grid[0], strict=True):
            _panel(axes, table[table["length"] == length], palette)
            panels.title(axes, "", length=length)
        _scale(table, grid[0, 0])
        panels.letters(grid.flat)
        panels.name_axes(figure, grid, "update", y)
        figure.set_legend(_entries(table, palette))
    return figure


def _panel(axes: Axes, part: pd.DataFrame, palette: dict[str, str]) -> None:
    tested = bool((part["tested"] > 0).any())
    for place, (name, shape) in enumerate(marks.shapes_of(palette).items()):
        rows = part[part["series"] == name]
        look = marks.sparse(shape, place, len(rows))
        # Every test has its marker.
        look |= {"markevery": 1} if tested else {}
        marks.band(axes, rows, "update", palette[name], **look)
    if part["chance"].notna().any():
        axes.axhline(part["chance"].iloc[0], linestyle=THEORY, color="0.1", linewidth=0.9)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _scale(table: pd.DataFrame, axes: Axes) -> None:
    """Everything is inside: from 0, or logarithmic where losses are far apart."""
    ends = table[["low", "high", "chance"]].replace([np.inf, -np.inf], np.nan)
    low, high = float(ends.min().min()), float(ends.max().max())
    if low > 0 and high / low > _FAR:
        axes.set_ylim(low / 1.2, 1.2 * high)
        panels.plain_log(axes, "y")
    elif low >= 0:
        axes.set_ylim(0, 1.05 * high)


def _entries(table: pd.DataFrame, palette: dict[str, str]) -> list[Entry]:
    shown = {name: palette[name] for name in palette if (table["series"] == name).any()}
    shapes = marks.shapes_of(palette)
    entries = marks.series_entries(shown, shapes)
    if table["chance"].notna().any():
        entries.append(marks.line_entry("chance: no memory", THEORY))
    return entries + marks.lost_entries(table)


def curve_caption(plotted: Plotted, task: str) -> str:
    """Say who ends below chance, and how far, in a figure of `curve_table`.

    Args:
        plotted: as of `curve_table`.
        task: what is learned, such as "The adding problem".
    """
    table = plotted.table
    lengths = lengths_of(table)
    longest = table[table["length"] == lengths[-1]]
    said = [_length(length, table[table["length"] == length]) for length in lengths]
    # A run that diverged in the gradient alone has a finite loss, one of an old folder no status.
    lines = table.groupby(_BY, observed=True)
    lost = int(lines[["diverged", "ceiling"]].max().max(axis=1).sum())
    return sentences(
        _answer(longest, task, f"T = {lengths[-1]}"),
        *said,
        f"{plural(lost, 'run')} diverged{' (triangles)' if (table['ceiling'] > 0).any() else ''}."
        if lost
        else "",
        *plotted.notes,
    )


def _answer(part: pd.DataFrame, task: str, where: str) -> str:
    """Who learns, who does not, and who does neither, with the loss of each and its range."""
    ends, chance = _last_medians(part), float(part["chance"].iloc[0])
    if ends.empty:
        return f"{task} ({where}): no loss was finite."
    if not chance > 0:
        best = ends.sort_values("median").iloc[0]
        return f"{task} ({where}): the loss ends lowest with {_named_end(best)}."
    parts = ends["median"] / chance
    learned, between = ends[parts < LEARNED], ends[(parts >= LEARNED) & (parts <= STUCK)]
    stuck = map(in_list, ends.loc[parts > STUCK, "series"])
    said = [
        f"learned by {listing(map(_named_end, _rows(learned)))}" if len(learned) else "",
        f"in part by {listing(map(_named_end, _rows(between)))}" if len(between) else "",
        f"not by {listing(stuck)}" if (parts > STUCK).any() else "",
    ]
    told = "; ".join(filter(None, said))
    return f"{task} ({where}; loss, chance {number(chance)}): {told}."


def _rows(ends: pd.DataFrame) -> list[pd.Series]:
    return [row for _, row in ends.sort_values("median", kind="stable").iterrows()]


def _named_end(row: pd.Series) -> str:
    return f"{in_list(row['series'])} ({_end(row)})"


def _end(row: pd.Series) -> str:
    """A loss at the end with the range over seeds."""
    middle, low, high = (number(float(row[key])) for key in ("median", "low", "high"))
    return middle if low == high else f"{middle}, seeds {low} to {high}"


def curve_reading(plotted: Plotted) -> str:
    """Say how to read a figure of `curve_table`."""
    table = plotted.table
    most = int(table["seeds"].max())
    of = f"median over {plural(most, 'seed')} of " if most > 1 else ""
    band = "; band: lowest to highest seed" if most > 1 else " (one seed: no band)"
    tested = int(table["tested"].max())
    count = f"{tested:,}" if tested > 1 else "the"
    what = (
        f"each run's loss on {count} fixed sequences that training never sees, where markers are"
        if tested
        else f"each run's running median over {SMOOTH} recorded updates of the loss of a batch"
    )
    return f"Line: {of}{what}{band}."


def _length(length: int, part: pd.DataFrame) -> str:
    """The losses at the end of a length, the best first."""
    chance = float(part["chance"].iloc[0])
    best_first = _last_medians(part).sort_values("median", kind="stable")
    said = [f"{row['series']} {number(row['median'])}" for _, row in best_first.iterrows()]
    if not said:
        return f"T = {length}: no loss was finite."
    level = f" (chance {number(chance)})" if chance == chance else ""
    return f"T = {length}: the loss ends at {'; '.join(said)}{level}."


def _last_medians(part: pd.DataFrame) -> pd.DataFrame:
    """The median of the last tenth of each line: what is drawn still has the noise of batches."""
    columns = ["median", "low", "high"]
    groups = part.dropna(subset="median").groupby("series", observed=True, sort=False)[columns]
    rows = [
        {"series": series, **lines.tail(max(1, len(lines) // 10)).median()}
        for series, lines in groups
    ]
    return pd.DataFrame(rows, columns=["series", *columns])
