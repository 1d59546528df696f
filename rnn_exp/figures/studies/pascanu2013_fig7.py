"""After fig. 7 of Pascanu, Mikolov & Bengio (2013): who learns how long a dependency?"""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.panels import numeric_x, shifted
from rnn_exp.figures.parts.recipes import ANY, Recipes, name_runs
from rnn_exp.figures.parts.seeds import bar_lengths
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.style import MARKERS, categories, in_style
from rnn_exp.schema import DONE
from rnn_exp.words import listing, sentences

QUESTION: Final = "How long a dependency can plain SGD, clipping, and clipping with Ω learn?"

RECIPES: Final = Recipes(
    plain={"training.clip_norm": "none", "training.clip_value": "none", "training.omega": "0"},
    plain_name="plain SGD",
    known={
        "clipping": {"training.clip_norm": ANY},
        "Ω": {"training.omega": ANY},
        "clipping + Ω": {"training.clip_norm": ANY, "training.omega": ANY},
    },
)
_BY: Final = ["init", "series", "length"]


def table(tables: Tables) -> Plotted:
    """Return for each method and length how many seeds solved the task, and after what updates."""
    runs = _runs(tables.runs)
    rows = required(tables.updates, ["run", "update"], "updates").astype({"run": str})
    last = rows.groupby("run")["update"].max()
    runs["updates"] = runs["run"].map(last).where(runs["solved"]).astype(float) + 1
    grouped = runs.sort_values(_BY).groupby(_BY, observed=True, sort=False)
    numbers = grouped.agg(
        seeds=("solved", "size"),
        solved=("solved", "sum"),
        median=("updates", "median"),
        low=("updates", "min"),
        high=("updates", "max"),
    ).reset_index()
    numbers["share"] = numbers["solved"] / numbers["seeds"]
    return Plotted(numbers)


def _runs(runs: pd.DataFrame) -> pd.DataFrame:
    needed = ["run", "status", "task.length", "init"]
    frame = required(runs, needed, "runs").astype({"run": str})
    stops = runs.get("training.stop_when_solved", pd.Series(False, index=runs.index))
    if not stops.fillna(False).astype(bool).any():
        raise CannotDraw("No run was to stop when solved (training.stop_when_solved=true).")
    ended = frame["status"].isin(DONE) & stops.fillna(False)
    variants = runs.reindex(columns=["init.variant"])["init.variant"]
    frame = frame.assign(
        init=variants.where(variants.notna(), frame["init"]).astype(str).str.replace("_", " "),
        length=frame["task.length"].astype(int),
        series=name_runs(runs, RECIPES, apart=["init", "init.variant", "network.activation"]),
        solved=frame["status"] == "solved",
    )
    return frame[ended.astype(bool)]


def draw(plotted: Plotted) -> Figure:
    """Draw a column an init: above the share of seeds that solve the task, below the updates."""
    table = plotted.table
    with in_style():
        inits = list(table["init"].unique())
        figure, grid = panels.grid(2, len(inits), height=1.5, sharey="row")
        names = [name for name in table["series"].cat.categories if (table["series"] == name).any()]
        palette = dict(zip(names, categories(len(names)), strict=True))
        for init, (above, below) in zip(inits, grid.T, strict=True):
            part = table[table["init"] == init]
            for place, name in enumerate(names):
                rows = part[part["series"] == name]
                _series(above, below, rows, palette[name], place, len(names), table["length"])
            above.set_title(panels.plain(f"init: {init}"))
        _axes(grid, table)
        figure.set_legend(_entries(palette, bool((table["solved"] == 0).any())))
    return figure


def _series(
    above: Axes,
    below: Axes,
    rows: pd.DataFrame,
    colour: str,
    place: int,
    count: int,
    lengths: pd.Series,
) -> None:
    x = shifted(rows["length"].astype(float), 2 * (place - (count - 1) / 2), lengths)
    look: dict[str, Any] = {"color": colour, "marker": MARKERS[place % len(MARKERS)]}
    above.plot(x, 100 * rows["share"], **look)
    done = rows["solved"] > 0
    spread = bar_lengths(rows)
    below.errorbar(x[done], rows.loc[done, "median"], spread[:, done], elinewidth=0.8, **look)
    marks.mark_lost(below, x[~done], marks.CEILING, colour)


def _axes(grid: np.ndarray, table: pd.DataFrame) -> None:
    grid[0, 0].set_ylim(-5, 105)
    grid[0, 0].set_ylabel("seeds that solve it (%)")
    grid[1, 0].set_ylabel("updates needed")
    panels.plain_log(grid[1, 0], "y")
    numeric_x(grid[1, 0], table["length"])
    for axes in grid[1]:
        axes.set_xlabel("sequence length $T$")


def _entries(palette: dict[str, str], unsolved: bool) -> list[Entry]:
    entries: list[Entry] = [
        (Line2D([], [], color=colour, marker=MARKERS[place % len(MARKERS)]), panels.plain(name))
        for place, (name, colour) in enumerate(palette.items())
    ]
    triangle = Line2D([], [], linestyle="none", marker=marks.CEILING, color="0.35", markersize=3.5)
    return [*entries, (triangle, "no seed solves it")] if unsolved else entries


def caption(plotted: Plotted) -> str:
    """Say what is seen: how many seeds solve which length, and how long that takes."""
    table = plotted.table
    said = [_init(str(init), part) for init, part in table.groupby("init", sort=False)]
    return sentences(
        *said,
        *plotted.notes,
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    return sentences(
        "Solved: fewer than 1 % of 10,000 fresh sequences wrong, looked at when a run records.",
        "Below: median of the seeds that solve it; bars: fewest and most updates.",
    )


def _init(init: str, part: pd.DataFrame) -> str:
    if not part["solved"].any():
        return f"With the init {init}, no run solves the task."
    counts = [
        f"{series} {_counts(rows.sort_values('length'))}"
        for series, rows in part.groupby("series", observed=True)
    ]
    far = part[part["solved"] > 0].sort_values("length").iloc[-1]
    there = part[(part["length"] == far["length"]) & (part["solved"] > 0)]
    who = listing(f"{row['series']} {row['median']:,.0f}" for _, row in there.iterrows())
    return (
        f"With the init {init}, seeds that solve the task: {'; '.join(counts)}. Median number of "
        f"updates at T = {far['length']}: {who}."
    )


def _counts(rows: pd.DataFrame) -> str:
    """So many of so many seeds, at each length."""
    return listing(
        f"{row['solved']} of {row['seeds']} at T = {row['length']}" for _, row in rows.iterrows()
    )
