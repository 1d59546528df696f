"""Update by lag: how the reach of the gradient changes while the network trains."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from rnn_exp.figures.parts import panels
from rnn_exp.figures.parts.axes import KEYS
from rnn_exp.figures.parts.carrier import carrier_rows
from rnn_exp.figures.parts.lag_cells import (
    MOST_UPDATES,
    Lost,
    diverging_scale,
    draw_by_lag,
    kinds,
    scale_bar,
)
from rnn_exp.figures.parts.seeds import gradient_interval, limit_updates
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required, select_runs
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.style import in_style
from rnn_exp.words import case_name, magnitude, plural, sentences

QUESTION: Final = "Does training change how far back the gradient reaches?"

_LOST: Final = Lost("black", "black", "0.85", "runs had ended")
_TENFOLD: Final = 1.0


def table(tables: Tables) -> Plotted:
    """Return log10 of the norm at each update and lag, relative to lag 0: median, range over seeds.

    Beside them how many of a case's runs there are and diverged, and at which updates.
    """
    selected = select_runs(tables.runs, lengths=1, series=4, panels=3)
    runs = selected.runs["run"]
    recorded = required(tables.updates, ["run", "update"], "updates").astype({"run": str})
    recorded = recorded[recorded["run"].isin(runs)]
    if len(recorded["update"].unique()) < 2:
        raise CannotDraw("Gradients were recorded at fewer than two updates: nothing changes.")
    kept, note = limit_updates(recorded["update"], MOST_UPDATES)
    rows = carrier_rows(tables, runs, kept)
    frame = selected.runs.merge(_relative(rows), on="run").sort_values(["update", "lag"])
    cells = gradient_interval(frame, [*KEYS, "update", "lag"], "log10_relative")
    numbers = selected.runs[KEYS].drop_duplicates().merge(cells, on=KEYS)
    numbers = numbers.merge(_divergences(tables.runs, selected.runs), on=KEYS, how="left")
    numbers = numbers.assign(kind=kinds(numbers["log10_median"], numbers["ceiling"]))
    return Plotted(numbers, (*selected.notes, *note), selected.left_out)


def _divergences(runs: pd.DataFrame, shown: pd.DataFrame) -> pd.DataFrame:
    """How many runs each case has, how many of them diverged, and at which updates."""
    known = runs.reindex(columns=["run", "diverged_update"]).astype({"run": str})
    grouped = shown.merge(known.astype({"diverged_update": float}), on="run").groupby(
        KEYS, dropna=False, sort=False
    )["diverged_update"]
    found = grouped.agg(["size", "count", "min", "max"]).reset_index()
    names = {"size": "runs", "count": "diverged", "min": "first_lost", "max": "last_lost"}
    return found.rename(columns=names)


def _relative(rows: pd.DataFrame) -> pd.DataFrame:
    """Each norm divided by the norm at lag 0 (in log10), where that one is finite."""
    last = rows.loc[rows["lag"] == 0, ["run", "update", "log10_norm"]]
    last = last.rename(columns={"log10_norm": "last"}).replace([np.inf, -np.inf], np.nan)
    joined = rows.merge(last, on=["run", "update"], how="left")
    return joined.assign(log10_relative=joined["log10_norm"] - joined["last"])


def draw(plotted: Plotted) -> Figure:
    """Draw panels by activation (rows) and series (columns), one colour scale for all."""
    table = plotted.table
    with in_style():
        rows, columns = _places(table)
        figure, grid = panels.grid(len(rows), columns, height=1.75)
        scale = diverging_scale(table["log10_median"])
        for (row, column), axes in np.ndenumerate(grid):
            activation, names = rows[row]
            name = names[column]
            if name is None:
                axes.set_visible(False)
                continue
            where = (table["activation"] == activation) & (table["series"] == name)
            _panel(axes, table[where], scale)
            panels.title(axes, activation, name)
        panels.letters(grid.flat)
        length = panels.length_label(int(table["length"].iloc[0]))
        steps = ", ".join(filter(None, ["steps back from the last", length]))
        panels.name_axes(figure, grid, f"lag $T-t$ ({steps})", "update")
        scale_bar(figure, grid, scale, "gradient norm / that at lag 0\n← vanishes    explodes →")
        figure.set_legend(_LOST.entries(table) + _ended_entries(table))
    return figure


def _places(table: pd.DataFrame) -> tuple[list[tuple[str, list[str | None]]], int]:
    """Each activation with the series of its row, and how many columns there are; None: no panel.

    Where all have the same series a column is one of them; of others each row has its own.
    """
    pairs = table[["activation", "series"]].drop_duplicates()
    every = list(pairs["series"].unique())
    own = {
        str(name): list(part["series"]) for name, part in pairs.groupby("activation", sort=False)
    }
    columns = max(map(len, own.values()))
    if columns == len(every):
        return [
            (name, [s if s in has else None for s in every]) for name, has in own.items()
        ], columns
    return [(name, [*has, *[None] * (columns - len(has))]) for name, has in own.items()], columns


def _have_ended(table: pd.DataFrame) -> bool:
    """Whether the runs of a case ended before the last update that is drawn."""
    last = table.groupby(KEYS, dropna=False)["update"].max()
    return bool((last < table["update"].max()).any())


def _ended_entries(table: pd.DataFrame) -> list[Entry]:
    is_there = bool((table["kind"] == "none").any())
    entry: Entry = (Patch(color=_LOST.none), "runs had ended")
    return [entry] if _have_ended(table) and not is_there else []


def _panel(axes: Axes, part: pd.DataFrame, scale: ScalarMappable) -> None:
    at: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 7, "color": "0.2"}
    draw_by_lag(axes, part, "log10_median", scale, _LOST)
    # What is not covered by cells: the runs had ended.
    axes.set_facecolor(_LOST.none)
    words = "\n".join(_lost_words(part.iloc[0]))
    box = {"boxstyle": "square,pad=0.2", "facecolor": "white", "alpha": 0.85, "linewidth": 0}
    if words:
        look: dict[str, Any] = {"bbox": box, "transform": axes.transAxes, "gid": "diverged"}
        axes.text(0.5, 0.6, words, **look, **at)


def _lost_words(case: pd.Series) -> list[str]:
    """Say in a few short lines how many runs of a case diverged, and when; nothing if none did."""
    if not case["diverged"]:
        return []
    first, last = int(case["first_lost"]), int(case["last_lost"])
    when = f"update {first}" if first == last else f"updates {first} to {last}"
    which = [] if case["runs"] == 1 else [f"{case['diverged']} of {case['runs']} runs"]
    return [*which, "diverged at", when]


def caption(plotted: Plotted) -> str:
    """Say what is seen: where training changes the reach of the gradient most, and how often."""
    table = plotted.table
    return sentences(
        _answer(table),
        *_diverged(table),
        *plotted.notes,
    )


def _answer(table: pd.DataFrame) -> str:
    """What becomes of the gradient at the far end, where training changes it most."""
    if not (table["kind"] == "value").any():
        return "No cell has a finite value."
    ends = _far_ends(table)
    trained = ends[ends["update_first"] < ends["update_last"]]
    if trained.empty:
        return "Each case has a finite gradient at one update alone: training cannot be seen."
    apart = (trained["log10_median_last"] - trained["log10_median_first"]).abs()
    most = trained.loc[[apart.idxmax()]].iloc[0]
    changed = int((apart > _TENFOLD).sum())
    updates = f"from update {most['update_first']:.0f} to {most['update_last']:.0f}"
    sizes = f"{_size(most, 'first')} to {_size(most, 'last')} times its norm at lag 0"
    sizes += _who_is_left(most)
    unknown = len(table.drop_duplicates(KEYS)) - len(trained)
    others = f" (of {unknown} more it is known at one update at most)" if unknown else ""
    if len(trained) == 1:
        verdict = "Yes" if changed else "No, less than tenfold"
        whose = f" with {case_name(most)}{others}" if unknown else ""
        return f"{verdict}: {_back(trained)} the gradient{whose} goes {updates} from {sizes}."
    much = f"more than tenfold in {changed or 'none'} of {len(trained)} settings{others}"
    of_most = f"most with {case_name(most)}, {updates}: from {sizes}."
    verdict = "Yes" if changed else "No"
    return f"{verdict}: {_back(trained)} the gradient changes {much}; {of_most}"


def _back(ends: pd.DataFrame) -> str:
    """How far back it is looked at: cases whose gradients are cut off earlier have an end there."""
    nearest, farthest = ends["lag_first"].min(), ends["lag_first"].max()
    if nearest == farthest:
        return f"{farthest:.0f} steps back"
    return f"at the far end of each setting ({nearest:.0f} to {farthest:.0f} steps back)"


def _far_ends(table: pd.DataFrame) -> pd.DataFrame:
    """First and last update of each case, at the largest lag that has a number at the first one.

    At the last one the gradient there may have become 0 or infinite: that is a change as well.
    """
    finite = table[table["kind"] == "value"]
    starts = finite.groupby(KEYS, dropna=False)["update"].transform("min")
    at_first = finite[finite["update"] == starts].groupby(KEYS, dropna=False)["lag"].max()
    # Sequences of an update may be longer than those of another: the largest lag of all of them.
    of_updates = table.groupby([*KEYS, "update"], dropna=False)["lag"].max()
    in_all = of_updates.groupby(KEYS, dropna=False).min()
    farthest = pd.concat([at_first, in_all], axis=1, join="inner").min(axis=1).rename("farthest")
    far = table[table["log10_median"].notna()].merge(farthest.reset_index(), on=KEYS)
    grouped = far[far["lag"] == far["farthest"]].groupby(KEYS, dropna=False, sort=False)
    names = ["update", "lag", "log10_median", "log10_low", "log10_high", "seeds"]
    first, last = grouped[names].first(), grouped[names].last()
    return first.add_suffix("_first").join(last.add_suffix("_last")).reset_index()


def _size(row: pd.Series, end: str) -> str:
    middle, low, high = (
        magnitude(float(row[f"log10_{name}_{end}"])) for name in ("median", "low", "high")
    )
    return middle if row[f"seeds_{end}"] == 1 else f"{middle} (seeds {low} to {high})"


def _who_is_left(case: pd.Series) -> str:
    """Of how many seeds the last gradient is: those that solved their task have no later one."""
    if case["seeds_last"] == case["seeds_first"]:
        return ""
    seeds = f"{case['seeds_last']} of {plural(int(case['seeds_first']), 'seed')}"
    return f" ({seeds} trained to update {case['update_last']:.0f})"


def _diverged(table: pd.DataFrame) -> list[str]:
    lost = table.drop_duplicates(KEYS)
    return [
        f"With {case_name(case)}: {' '.join(_lost_words(case))}."
        for _, case in lost[lost["diverged"] > 0].iterrows()
    ]


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    table = plotted.table
    return sentences(
        "Colour: median over seeds, relative to lag 0 of the same update; white: as large. Colours "
        "go with the decades up to tenfold and with their logarithm beyond"
        + ("; grey: runs had ended." if _have_ended(table) else "."),
        _LOST.words(table),
    )
