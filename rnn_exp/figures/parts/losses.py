"""Losses against chance: learning curves of several recipes, and how each recipe ended."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.carrier import mean_rate
from rnn_exp.figures.parts.panels import lengths_of
from rnn_exp.figures.parts.recipes import Recipes, name_runs
from rnn_exp.figures.parts.seeds import interval, limit_updates
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.style import MEASURED, THEORY, categories, in_style
from rnn_exp.schema import VERDICTS
from rnn_exp.words import listing, number, plural, sentences

__all__ = [
    "LAST",
    "LEARNED",
    "SMOOTH",
    "STUCK",
    "curve_caption",
    "curve_table",
    "draw_curves",
    "final_table",
]

LEARNED: Final = 0.5
"""A final loss below this part of chance counts as learned."""
STUCK: Final = 0.9
"""A loss above this part of chance is counted as chance."""
LAST: Final = 0.1
"""A run's final loss is the mean over the last tenth of its recorded updates."""
SMOOTH: Final = 5
"""A loss is of one batch: drawn is each run's median over so many recorded updates."""
_UPDATES, _SERIES, _LENGTHS = 200, 6, 3
_BY: Final = ["length", "series"]
_FINAL_BY: Final = ["series", "length"]


def curve_table(tables: Tables, recipes: Recipes) -> Plotted:
    """Return the median and range over seeds of the smoothed loss at each recorded update.

    Args:
        tables: of a study whose runs have a length.
        recipes: the names of its series.

    Returns:
        Columns: length, series, update, median, low, high, seeds, ceiling (seeds without a finite
        loss) and chance (the loss of the best guess that has seen no input).

    Raises:
        CannotDraw: if fewer than two updates were recorded.
    """
    runs, left_out = _shown(tables.runs, recipes)
    rows = required(tables.updates, ["run", "update", "loss"], "updates").astype({"run": str})
    rows = rows[rows["run"].isin(runs["run"])]
    if len(rows["update"].unique()) < 2:
        raise CannotDraw("Fewer than two updates were recorded: nothing was trained.")
    rows = _smoothed(rows.astype({"loss": float}))
    kept, note = limit_updates(rows["update"], _UPDATES)
    frame = runs.merge(rows[rows["update"].isin(kept)], on="run").sort_values([*_BY, "update"])
    numbers = interval(frame, [*_BY, "update"], "loss")
    keys = [frame[key] for key in (*_BY, "update")]
    lost = frame["lost"].groupby(keys, sort=False, observed=True).sum()
    numbers = numbers.assign(ceiling=lost.to_numpy())
    chances = runs.groupby("length")["chance"].median()
    numbers["chance"] = numbers["length"].map(chances)
    return Plotted(numbers, (*note,), tuple(left_out))


def _shown(runs: pd.DataFrame, recipes: Recipes) -> tuple[pd.DataFrame, list[str]]:
    """The runs with their length and name, as many as a figure can hold."""
    needed = required(runs, ["run", "task.length"], "runs")
    frame = pd.DataFrame(
        {
            "run": needed["run"].astype(str),
            "length": needed["task.length"].astype(int),
            "series": name_runs(runs, recipes),
            "chance": runs.reindex(columns=["chance_loss"])["chance_loss"].astype(float),
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
        panels.name_axes(figure, grid, "update", y)
        shown = {name: palette[name] for name in names if (table["series"] == name).any()}
        figure.set_legend(_entries(table, shown))
    return figure


def _panel(axes: Axes, part: pd.DataFrame, palette: dict[str, str]) -> None:
    for series, rows in part.groupby("series", sort=False, observed=True):
        colour = palette[str(series)]
        marks.band(axes, rows, "update", colour)
    if part["chance"].notna().any():
        axes.axhline(part["chance"].iloc[0], linestyle=THEORY, color="0.1", linewidth=0.9)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _scale(table: pd.DataFrame, axes: Axes) -> None:
    """From 0, or logarithmic; what lies far above chance may leave the panel, but not empty it."""
    low, high = table["low"].min(), table["high"].max()
    chance = table["chance"].max()
    if low > 0 and chance / low > 10:
        panels.plain_log(axes, "y")
        return
    ends = table.dropna(subset="median").groupby(_BY, observed=True)["median"].last()
    some_are_near = bool((ends < 2 * chance).any())
    top = min(high, 2 * chance) if some_are_near else high
    axes.set_ylim(0, 1.05 * top)


def _entries(table: pd.DataFrame, palette: dict[str, str]) -> list[Entry]:
    entries = [marks.line_entry(panels.plain(n), MEASURED, c) for n, c in palette.items()]
    if table["chance"].notna().any():
        entries.append(marks.line_entry("chance: no memory", THEORY))
    return entries + marks.lost_entries(table)


def curve_caption(plotted: Plotted) -> str:
    """Say who ends below chance, and how far, in a figure of `curve_table`."""
    table = plotted.table
    said = [_length(length, table[table["length"] == length]) for length in lengths_of(table)]
    lost = int(table.groupby(_BY, observed=True)["ceiling"].max().sum())
    return sentences(
        *said,
        f"{plural(lost, 'run')} diverged (triangles where the loss was not finite)."
        if lost
        else "",
        *plotted.notes,
    )


def curve_reading(plotted: Plotted) -> str:
    """Say how to read a figure of `curve_table`."""
    most = int(plotted.table["seeds"].max())
    of = f"median over {plural(most, 'seed')} of " if most > 1 else ""
    band = "; band: lowest to highest seed" if most > 1 else " (one seed: no band)"
    return f"Line: {of}each run's running median over {SMOOTH} recorded updates{band}."


def _length(length: int, part: pd.DataFrame) -> str:
    chance = float(part["chance"].iloc[0])
    best_first = _last_medians(part).sort_values("median", kind="stable")
    said = [f"{row['series']} {number(row['median'])}" for _, row in best_first.iterrows()]
    level = f" (chance {number(chance)})" if chance == chance else ""
    median, series = best_first["median"], best_first["series"].astype(str)
    above = series[median > (2 - STUCK) * chance]
    stuck = series[(median > STUCK * chance) & (median <= (2 - STUCK) * chance)]
    told = f" At chance (within 10 %): {listing(stuck)}." if len(stuck) else ""
    told += f" Above it: {listing(above)}." if len(above) else ""
    if not said:
        return f"T = {length}: no loss was finite."
    return f"T = {length}: the loss ends at {'; '.join(said)}{level}.{told}"


def _last_medians(part: pd.DataFrame) -> pd.DataFrame:
    """The median of the last tenth of each line: what is drawn still has the noise of batches."""
    groups = part.dropna(subset="median").groupby("series", observed=True, sort=False)["median"]
    ends = groups.agg(lambda line: line.tail(max(1, len(line) // 10)).median())
    return ends.reset_index()


def final_table(tables: Tables, recipes: Recipes) -> Plotted:
    """Return for each recipe and length the decay rates, the verdicts and the loss at the end.

    Args:
        tables: of a study whose runs know the loss of guessing.
        recipes: the names of its series.

    Returns:
        Columns: series, length, seeds, diverged (so many of them); `start` and `end`, the decay
        rates at update 0 and at the last one recorded (the mean over seeds of the logarithm, with
        its 95 % interval in `_low` and `_high`, NaN of one seed); a count of each verdict at
        update 0; `loss` (in parts of chance), the median over seeds with the lowest and highest in
        `_low` and `_high`. The loss of a run that diverged is infinite.

    Raises:
        CannotDraw: if the loss of guessing is not known, or no run has a loss.
    """
    frame = _final_runs(tables.runs, recipes).merge(
        _final_losses(tables.updates), on="run", how="left"
    )
    if frame["loss"].isna().all():
        raise CannotDraw("No run of the study has a loss.")
    diverged = frame["status"] == "diverged"
    ended = frame["loss"].notna() | diverged
    frame, diverged = frame[ended], diverged[ended]
    losses = (frame["loss"] / frame["chance"]).mask(diverged, np.inf)
    frame = frame.assign(loss=losses, diverged=diverged.astype(int))
    numbers = _intervals(frame)
    left = int((~ended).sum())
    left_out = (f"{plural(left, 'run')} had not ended: not shown.",) if left else ()
    return Plotted(numbers, (), left_out)


def _intervals(frame: pd.DataFrame) -> pd.DataFrame:
    grouped = frame.groupby(_FINAL_BY, observed=True, sort=True)
    return pd.DataFrame(
        [dict(zip(_FINAL_BY, key, strict=True)) | _interval(part) for key, part in grouped]
    ).astype({"series": frame["series"].dtype})


def _interval(part: pd.DataFrame) -> dict[str, object]:
    """What the seeds of one recipe and length have in common."""
    found: dict[str, object] = {"seeds": len(part), "diverged": int(part["diverged"].sum())}
    for name in ("start", "end"):
        rate = mean_rate(part[name])
        found |= {name: rate.mean, f"{name}_low": rate.low, f"{name}_high": rate.high}
    found |= {word: int((part["verdict"] == word).sum()) for word in VERDICTS}
    loss = part["loss"]
    return found | {"loss": loss.median(), "loss_low": loss.min(), "loss_high": loss.max()}


def _final_runs(runs: pd.DataFrame, recipes: Recipes) -> pd.DataFrame:
    needed = ["run", "status", "decay_rate", "final_decay_rate", "task.length", "chance_loss"]
    frame = required(runs, needed, "runs")
    if not (frame["chance_loss"].astype(float) > 0).all():
        raise CannotDraw("The loss of guessing is not known for every run, or is 0.")
    return pd.DataFrame(
        {
            "run": frame["run"].astype(str),
            "status": frame["status"],
            "series": name_runs(runs, recipes),
            "length": frame["task.length"].astype(int),
            "start": frame["decay_rate"].astype(float),
            "end": frame["final_decay_rate"].astype(float),
            "verdict": runs.reindex(columns=["verdict"])["verdict"],
            "chance": frame["chance_loss"].astype(float),
        }
    )


def _final_losses(updates: pd.DataFrame) -> pd.DataFrame:
    rows = required(updates, ["run", "update", "loss"], "updates")
    rows = rows.astype({"run": str, "loss": float}).sort_values(["run", "update"])
    groups = rows.groupby("run", sort=False)["loss"]
    means = groups.agg(lambda loss: loss.tail(max(1, int(LAST * len(loss)))).mean())
    return means.reset_index()
