"""After fig. 7 of Pascanu, Mikolov & Bengio (2013): who learns how long a dependency?"""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnn_exp.figures.parts import marks, panels
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
_WIDTH: Final = 0.8  # of all methods at a length; lengths are 1 apart


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
    lengths = sorted(table["length"].unique())
    table = table.assign(place=table["length"].map(lengths.index).astype(float))
    with in_style():
        inits = list(table["init"].unique())
        figure, grid = panels.grid(2, len(inits), height=1.5, sharey="row")
        names = [name for name in table["series"].cat.categories if (table["series"] == name).any()]
        palette = dict(zip(names, categories(len(names)), strict=True))
        for init, (above, below) in zip(inits, grid.T, strict=True):
            part = table[table["init"] == init]
            for place, name in enumerate(names):
                rows = part[part["series"] == name]
                _series(above, below, rows, palette[name], place, len(names))
            above.set_title(panels.plain(f"init: {init}"))
            below.set_title("" if part["solved"].any() else "no run solves it")
        _axes(grid, table)
        panels.letters(grid.flat)
        figure.set_legend(_entries(palette, bool((table["solved"] == 0).any())))
    return figure


def _series(
    above: Axes, below: Axes, rows: pd.DataFrame, colour: str, place: int, count: int
) -> None:
    """Draw one method: a stem for each length, and below it the updates of seeds that solve."""
    # Beside one another, because methods that do equally well would lie on one line.
    x = rows["place"] + (place - (count - 1) / 2) * _WIDTH / count
    marker = MARKERS[place % len(MARKERS)]
    points: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": "none"}
    above.vlines(x, 0, 100 * rows["share"], color=colour, linewidth=2)
    above.plot(x, 100 * rows["share"], gid="share", **points)
    for at, share, solved in zip(x, rows["share"], rows["solved"], strict=True):
        words: dict[str, Any] = {"xytext": (0, 4), "textcoords": "offset points", "ha": "center"}
        above.annotate(f"{solved}", (at, 100 * share), gid="count", fontsize=6, **words)
    done = rows["solved"] > 0
    spread = bar_lengths(rows)
    below.errorbar(x[done], rows.loc[done, "median"], spread[:, done], elinewidth=0.8, **points)
    marks.mark_lost(below, x[~done], marks.CEILING, colour)


def _axes(grid: np.ndarray, table: pd.DataFrame) -> None:
    grid[0, 0].set_ylim(-6, 124)
    grid[0, 0].set_yticks([0, 50, 100])
    grid[0, 0].set_ylabel("seeds that solve it (%)")
    grid[1, 0].set_ylabel("updates needed")
    if (table["solved"] > 0).any():
        panels.plain_log(grid[1, 0], "y")
    else:
        grid[1, 0].set_yticks([])
    lengths = sorted(table["length"].unique())
    for axes in grid[1]:
        axes.set_xticks(range(len(lengths)), [str(length) for length in lengths])
        axes.set(xlabel="sequence length $T$", xlim=(-0.5, len(lengths) - 0.5))


def _entries(palette: dict[str, str], unsolved: bool) -> list[Entry]:
    look: dict[str, Any] = {"linestyle": "none"}
    entries: list[Entry] = [
        (Line2D([], [], color=c, marker=MARKERS[place % len(MARKERS)], **look), panels.plain(name))
        for place, (name, c) in enumerate(palette.items())
    ]
    triangle = Line2D([], [], linestyle="none", marker=marks.CEILING, color="0.35", markersize=3.5)
    return [*entries, (triangle, "no seed solves it")] if unsolved else entries


def caption(plotted: Plotted) -> str:
    """Say what is seen: how many seeds solve which length, and how long that takes."""
    table = plotted.table
    said = [_init(str(init), part) for init, part in table.groupby("init", sort=False)]
    return sentences(
        _answer(table),
        *said,
        *plotted.notes,
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    return sentences(
        "Solved: fewer than 1 % of 10,000 fresh sequences wrong, looked at when a run records.",
        "Numbers: seeds that solve it. Below: median of the seeds that solve it; bars: fewest and "
        "most updates.",
    )


def _answer(table: pd.DataFrame) -> str:
    """Up to which length every seed of a method learns the task, with its best init."""
    reach: dict[int, list[str]] = {}
    for name, rows in table.groupby("series", observed=True):
        each = [_reach(part) for _, part in rows.groupby("init")]
        reach.setdefault(max(each), []).append(str(name))
    said = [
        f"with {listing(names)} {f'up to T = {length}' if length else 'at no length'}"
        for length, names in sorted(reach.items())
    ]
    seeds, longest = int(table["seeds"].max()), int(table["length"].max())
    every = f"All {seeds} seeds learn" if seeds > 1 else "The one seed learns"
    best = "with the better init, " if len(table["init"].unique()) > 1 else ""
    return f"{every} the task {'; '.join(said)} ({best}of lengths up to {longest})."


def _reach(part: pd.DataFrame) -> int:
    """The length up to which every seed solves the task, this one and all shorter; 0: none."""
    fails = part.loc[part["solved"] < part["seeds"], "length"]
    below = part.loc[part["length"] < fails.min(), "length"] if len(fails) else part["length"]
    return int(below.max()) if len(below) else 0


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
