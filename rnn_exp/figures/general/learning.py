"""Loss and error against update: does the network learn what its gradient cannot reach?"""

import math
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures.parts import loss_axis, marks, panels
from rnn_exp.figures.parts.axes import KEYS
from rnn_exp.figures.parts.captions import points_and_seeds
from rnn_exp.figures.parts.endings import carried_on, is_due, last_losses, last_rows, solved_runs
from rnn_exp.figures.parts.losses import LEARNED, STUCK
from rnn_exp.figures.parts.seeds import interval, limit_updates
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, required, select_runs
from rnn_exp.figures.parts.sheet import Entry, Sheet
from rnn_exp.figures.parts.style import REFERENCE, THEORY, darker, in_style
from rnn_exp.words import case_name, number, plural, sentences

QUESTION: Final = "Does it learn?"

_UPDATES = 200
_TEST = "test_loss"
_CHANCE: Final = {"chance": "chance_loss", "chance_error": "chance_error"}
_BY: Final = [*KEYS, "update"]
_COLUMNS: Final = 4  # loss and error stand beside one another in so many at most, else below


def table(tables: Tables) -> Plotted:
    """Return the median and range over seeds of loss and error at each recorded update.

    Where runs were tested, the column ``test`` has the median loss on their test sequences. A run
    counts in ``ceiling`` at the update at which its loss is not finite or it diverged. One that has
    solved its task keeps its last values to the end of its case. Beside them stand, the same in all
    rows of a case, how its ``runs`` ended (`last_losses`), and the largest loss of those that did
    not diverge (``needed``).
    """
    selected = select_runs(tables.runs)
    more = [name for name in (_TEST, "error") if name in tables.updates]
    rows = required(tables.updates, ["run", "update", "loss", *more], "updates")
    rows = rows.astype({"run": str})
    rows = rows[rows["run"].isin(selected.runs["run"])]
    if len(rows["update"].unique()) < 2:
        raise CannotDraw("Fewer than two updates were recorded: nothing was trained.")
    ended = _endings(tables.runs)
    kept, note = limit_updates(rows["update"], _UPDATES)
    last = rows.merge(ended, on="run").query("update == diverged_update")["update"]
    solved = last_rows(rows, solved_runs(tables.runs))
    shown = rows[rows["update"].isin([*kept, *last, *solved["update"]])]
    frame = selected.runs.merge(shown, on="run").merge(ended, on="run")
    own = frame
    frame = carried_on(own, solved, KEYS)
    if _TEST in more and len(solved):
        frame[_TEST] = frame[_TEST].where(is_due(frame, own, _TEST))
    frame = frame.astype({"loss": float}).sort_values("update", kind="stable")
    numbers = interval(frame, _BY, "loss")
    frame["needed"] = loss_axis.needed(frame)
    lost = ~np.isfinite(frame["loss"]) | (frame["update"] == frame["diverged_update"])
    grouped = frame.assign(lost=lost).groupby(_BY, dropna=False, sort=False)
    numbers = numbers.assign(ceiling=grouped["lost"].sum().to_numpy())
    if _TEST in more and frame[_TEST].notna().any():
        numbers["test"] = interval(frame, _BY, _TEST)["median"]
    if "error" in more and frame["error"].notna().any():
        errors = interval(frame, _BY, "error")
        numbers = numbers.assign(error=errors["median"], error_low=errors["low"])
        numbers["error_high"] = errors["high"]
    for name in (*_CHANCE, "needed"):
        numbers[name] = grouped[name].median().to_numpy()
    numbers = selected.runs[KEYS].drop_duplicates().merge(numbers, on=KEYS)
    numbers = numbers.merge(last_losses(tables.runs, selected.runs, rows), on=KEYS)
    return Plotted(numbers, (*selected.notes, *note), selected.left_out)


def _endings(runs: pd.DataFrame) -> pd.DataFrame:
    """Where each run diverged, and what guessing gives on its task; NaN where it is not known."""
    known = runs.reindex(columns=["run", "diverged_update", *_CHANCE.values()])
    known = known.rename(columns={old: new for new, old in _CHANCE.items()}).astype({"run": str})
    return known.astype({name: float for name in known if name != "run"})


def draw(plotted: Plotted) -> Figure:
    """Draw loss and error by activation and length, a line a series, its band the seeds' range."""
    table = plotted.table
    with in_style():
        activations, lengths = list(table["activation"].unique()), panels.lengths_of(table)
        quantities = ["loss", *(["error"] if "error" in table else [])]
        figure, axes_of = _grid(activations, lengths, quantities)
        palette, most = marks.colours(table), loss_axis.limit(table)
        for (activation, length, quantity), axes in axes_of.items():
            where = (table["activation"] == activation) & (table["length"] == length)
            _panel(axes, table[where], palette, quantity, most if quantity == "loss" else math.inf)
            panels.title(axes, activation, marks.only_series(table), length)
            axes.set_ylabel(quantity)
        for quantity in quantities:
            same = [axes for (*_, name), axes in axes_of.items() if name == quantity]
            if quantity == "loss":
                loss_axis.scale(table, same[0], most)
            else:
                same[0].set_ylim(-0.04, 1.04 * max(1.0, float(table["error_high"].max())))
        for (activation, length, quantity), axes in axes_of.items():
            where = (table["activation"] == activation) & (table["length"] == length)
            if quantity == "loss":
                _say_stuck(axes, table[where])
        panels.letters(axes_of.values())
        figure.supxlabel("update")
        figure.set_legend(_entries(table, palette))
    return figure


def _grid(
    activations: list[str], lengths: list[int], quantities: list[str]
) -> tuple[Sheet, dict[tuple[str, int, str], Axes]]:
    """Panels by activation, length and quantity; those of one quantity share their axes."""
    beside = len(activations) * len(quantities) <= _COLUMNS
    pairs = [(a, q) for a in activations for q in quantities]
    below = [(a, q) for q in quantities for a in activations]
    columns = len(pairs) if beside else len(activations)
    rows = len(lengths) * len(pairs) // columns
    figure, grid = panels.grid(rows, columns, height=1.3, sharey=False)
    every = [(a, n, q) for n in lengths for a, q in (pairs if beside else below)]
    found = dict(zip(every, grid.flat, strict=True))
    for (*_, quantity), axes in found.items():
        first = next(axes for (*_, name), axes in found.items() if name == quantity)
        if axes is not first:
            axes.sharey(first)
    return figure, found


def _panel(
    axes: Axes, part: pd.DataFrame, palette: dict[str, str], quantity: str, most: float
) -> None:
    names = {"error": "median", "error_low": "low", "error_high": "high"}
    if quantity == "error":
        shown = part.drop(columns=["median", "low", "high", "ceiling"]).rename(columns=names)
    else:
        shown = part
    for place, (series, shape) in enumerate(marks.shapes_of(palette).items()):
        rows = shown[shown["series"] == series]
        count = int(np.isfinite(rows["median"]).sum())
        look = marks.sparse(shape, place, count) | ({"markevery": 1} if count < 3 else {})
        if _is_sparse(part):
            # A band between two updates would say what was measured between them: bars instead.
            aside = place - (len(palette) - 1) / 2
            rows = rows.assign(update=panels.shifted(rows["update"], aside, part["update"]))
            ends = np.isfinite(rows["median"])
            spread = rows.loc[ends, ["low", "high"]].to_numpy().T
            axes.vlines(rows.loc[ends, "update"], *spread, color=palette[series], linewidth=0.8)
            rows = rows.assign(low=rows["median"], high=rows["median"])
        look["markevery"] = loss_axis.markers_within(rows["median"], look["markevery"], most)
        marks.band(axes, rows, "update", palette[series], **look)
        if quantity == "error":
            continue
        loss_axis.arrows(axes, rows, most, palette[series])
        if "test" in rows:
            tested = rows[np.isfinite(rows["test"])]
            every = loss_axis.markers_within(tested["test"], 1, most)
            look = _test_look(darker(palette[series])) | {"markevery": every}
            axes.plot(tested["update"], tested["test"], **look)
    column = "chance" if quantity == "loss" else "chance_error"
    if part[column].notna().any():
        axes.axhline(part[column].median(), linestyle=THEORY, color="0.1", linewidth=0.9)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))


def _is_sparse(table: pd.DataFrame) -> bool:
    """Whether there is nothing between the first and the last update."""
    return len(table["update"].unique()) < 3


def _test_look(colour: object) -> dict[str, Any]:
    look: dict[str, Any] = {"linestyle": "-.", "marker": "o", "markerfacecolor": "white"}
    return {**look, "markersize": 2.5, "linewidth": 0.8, "color": colour, "gid": "test"}


def _say_stuck(axes: Axes, part: pd.DataFrame) -> None:
    """Write into a panel that none of its lines leaves chance: lines that are flat say nothing."""
    ends = _ends(part)
    if len(ends) and (ends["last"] > STUCK * ends["chance"]).all():
        kept = f"{100 * STUCK:.0f} % of chance"
        which = f"ends above\n{kept}" if len(ends) == 1 else f"all end above\n{kept}"
        if ends["solved"].any():
            count = f"{ends['solved'].sum()} of {ends['seeds'].sum()} solved"
            which = f"median {which},\n{count}".replace("median all", "medians")
        which = "every run\ndiverged" if ends["lost"].sum() == ends["seeds"].sum() else which
        level = float(ends["chance"].median())
        height = float((axes.transScale + axes.transLimits).transform((0.0, level))[1])
        at: dict[str, Any] = {"transform": axes.transAxes, "ha": "center", "va": "center"}
        # Where the lines are not.
        y = 0.2 if height > 0.45 else 0.8
        look: dict[str, Any] = {"color": REFERENCE, "fontsize": 7, "gid": "stuck"}
        axes.text(0.5, y, which, **look, **at)


def _entries(table: pd.DataFrame, palette: dict[str, str]) -> list[Entry]:
    entries = marks.series_entries(palette, marks.shapes_of(palette))
    if table["chance"].notna().any():
        entries.append(marks.line_entry("chance", THEORY))
    if "test" in table:
        entries.append((Line2D([], [], **_test_look("0.2")), "loss on test sequences"))
    # A run that diverges may have a finite loss to the end.
    lost = ((mark, "diverged") for mark, _ in marks.lost_entries(table))
    return [*entries, *lost, *loss_axis.entries(table)]


def caption(plotted: Plotted) -> str:
    """Say how many cases learn and which best, where the loss fell most, and who diverged."""
    table = plotted.table
    ends = _ends(table)
    if ends.empty:
        return sentences("No loss was finite.", *plotted.notes)
    return sentences(_answer(table, ends), *_course(ends), loss_axis.words(table), *plotted.notes)


def _answer(table: pd.DataFrame, ends: pd.DataFrame) -> str:
    """In how many cases the loss ends below half of chance, and where it is lowest beside it."""
    known = ends[ends["chance"] > 0]
    if known.empty:
        return ""
    # Where most runs diverged, the loss of the others is not that of the case.
    parts = (known["last"] / known["chance"]).mask(2 * known["lost"] > known["seeds"], np.inf)
    learned = int((parts < LEARNED).sum())
    best = known.loc[[parts.idxmin()]].iloc[0]
    left, seeds = int(best["seeds"] - best["lost"]), plural(int(best["seeds"]), "seed")
    spread = f", seeds {number(best['low'])} to {number(best['high'])}" if left > 1 else ""
    spread += f", {left} of {seeds}" if best["lost"] and left else ""
    loss = f"{number(best['last'])}{spread}; chance {number(best['chance'])}"
    of = f"of {plural(int(table.drop_duplicates(KEYS)['runs'].sum()), 'run')}"
    bad, solved = int(table["ceiling"].sum()), int(known["solved"].sum())
    lost = f"; {solved} {of} solved the task" if solved else ""
    lost += f"; {bad} {of} diverged" if bad else ""
    if len(known) == 1:
        ends_at = "the loss ends at" if left else "the last finite loss that was recorded is"
        return f"{'Yes' if learned else 'No'}: {ends_at} {loss}{lost}."
    return (
        f"{_verdict(learned, len(known))} below half of chance; it ends lowest with "
        f"{case_name(best)} ({loss}){lost}."
    )


def _verdict(learned: int, count: int) -> str:
    if not learned:
        return f"No: in none of {count} settings does the loss end"
    which = f"Yes: in all {count}" if learned == count else f"In {learned} of {count}"
    return f"{which} settings the loss ends"


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    table = plotted.table
    solved = " and the last loss of solved ones" if table["solved"].any() else ""
    return sentences(
        f"Line: median over the seeds still training{solved}; "
        f"{'bars' if _is_sparse(table) else 'band'}: lowest to highest.",
        "Dashed: what guessing gives without having seen the input."
        if table["chance"].notna().any()
        else "",
        "Dash-dotted with open circles: median loss on test sequences." if "test" in table else "",
        "Triangles: a run diverged there." if (table["ceiling"] > 0).any() else "",
        loss_axis.reading(table),
        points_and_seeds(table.drop(columns="ceiling")),
    )


def _ends(table: pd.DataFrame) -> pd.DataFrame:
    """The loss of each case at first and at the end, and how its runs ended."""
    lost = table.groupby(KEYS, dropna=False, sort=False)["ceiling"].sum().rename("lost")
    finite = table[np.isfinite(table["median"])]
    grouped = finite.groupby(KEYS, dropna=False, sort=False)
    ends = grouped.agg(
        first=("begin", "last"),
        last=("end", "last"),
        at=("update", "last"),
        low=("end_low", "last"),
        high=("end_high", "last"),
        seeds=("runs", "last"),
        solved=("solved", "last"),
        chance=("chance", "last"),
    )
    ends = ends.reset_index().merge(lost.reset_index(), on=KEYS)
    ends["part"] = ends["last"] / ends["first"]
    known: pd.DataFrame = ends.dropna(subset="part")
    return known


def _course(ends: pd.DataFrame) -> list[str]:
    """What becomes of the loss: of one case, or at the ends and over all; falls are not rises."""
    if len(ends) == 1:
        return [f"The loss {_went(ends.iloc[0])}."]
    first, last = (ends.iloc[int(i)] for i in (ends["part"].argmin(), ends["part"].argmax()))
    halved, risen = int((ends["part"] < 0.5).sum()), int((ends["part"] > 1).sum())
    return [
        f"With {case_name(first)} the loss {_went(first)}; with {case_name(last)} it "
        f"{_went(last)}.",
        f"It is at least halved in {halved or 'none'} of {plural(len(ends), 'setting')}"
        + (f", and higher at the end than at first in {risen}." if risen else "."),
    ]


def _went(row: pd.Series) -> str:
    first, last = number(row["first"]), number(row["last"])
    if row["at"] == 0:
        return f"is {first} at update 0, the only recorded one at which it is finite"
    if first == last:
        return f"stays at {first} up to update {row['at']}"
    way = "falls" if row["last"] < row["first"] else "rises"
    return f"{way} from {first} to {last} at update {row['at']}"
