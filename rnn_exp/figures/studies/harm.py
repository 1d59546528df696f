"""What a vanished and an exploded gradient do: loss, change of W_hh, gradient and contributions."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.captions import points_and_seeds, rate_words
from rnn_exp.figures.parts.carrier import carrier_rows, cases, column_rows, verdict_words
from rnn_exp.figures.parts.endings import carried_on, last_rows, solved_runs
from rnn_exp.figures.parts.seeds import gradient_interval, limit_updates, statuses
from rnn_exp.figures.parts.selection import (
    CannotDraw,
    Plotted,
    Tables,
    at_start,
    required,
    select_runs,
)
from rnn_exp.figures.parts.sheet import Entry
from rnn_exp.figures.parts.style import REFERENCE, THEORY, categories, in_style
from rnn_exp.words import number, plural, power, sentences

QUESTION: Final = "What does a vanished gradient do to training, and what an exploded one?"

PANELS: Final = {
    "loss": ("update", "loss"),
    "weight_change": ("update", r"$\|W_{hh} - W_0\|\,/\,\|W_0\|$"),
    "gradient": ("lag $T-t$ at update 0", r"$\|\partial L/\partial h_t\|$"),
    "contribution": ("lag $T-t$ at update 0", r"part of $\partial L/\partial W_{hh}$"),
}
"""The axes of each panel. A part is the contribution of one step over the largest of all."""
DIVERGED: Final = ("diverged_update", "diverged_time", "diverged_direction")
AT_CHANCE: Final = 0.95
"""A final loss above this part of chance, and as near to it from above, counts as chance."""
RESOLUTION: Final = float(np.log10(2.0**-24))
"""Less than this part of a sum is lost in single precision."""
_LAST: Final = 10
# Rates per step beyond which the first sentence calls a gradient vanished or exploded.
_SMALL, _LARGE = 0.9, 1.1
# The loss is of one batch: the last tenth of the updates says where it ends.
_CASES, _UPDATES = 6, 200


def table(tables: Tables) -> Plotted:
    """Return log10 of all four quantities for every case: median and range over seeds."""
    selected = select_runs(tables.runs, lengths=1)
    named = selected.runs[["run", "length"]].assign(case=_case_names(selected.runs))
    required(tables.runs, ["run", "status", "decay_rate", "verdict"], "runs")
    known = tables.runs.drop(columns=["length"], errors="ignore")
    known = known.reindex(columns=[*known.columns.union([*DIVERGED, "chance_loss"], sort=False)])
    frame = named.merge(known.astype({"run": str}), on="run")
    if frame["case"].nunique() > _CASES:
        raise CannotDraw(f"The study has more than {_CASES} cases: a line each cannot be read.")
    rows, note = _losses_and_changes(tables, frame[["run", "case"]])
    at_lags = [_gradients(tables, frame["run"]), _contributions(tables, frame["run"])]
    long = pd.concat([rows, *at_lags], ignore_index=True)
    long = frame[["run", "case"]].merge(long, on="run")
    numbers = gradient_interval(long, ["panel", "case", "x"], "log10")
    numbers = numbers.merge(_case_outcomes(frame), on="case")
    return Plotted(numbers, (*selected.notes, *note), selected.left_out)


def _case_names(chosen: pd.DataFrame) -> pd.Series:
    return (chosen["activation"] + ", " + chosen["series"]).str.strip(", ")


def _losses_and_changes(tables: Tables, runs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Loss and change of W_hh in long form; the change of 0 at update 0 is not drawn.

    A run that has solved its task keeps its last values to the end of its case.
    """
    rows = required(tables.updates, ["run", "update", "loss", "weight_change"], "updates")
    rows = rows.astype({"run": str}).merge(runs, on="run")
    if len(rows["update"].unique()) < 2:
        raise CannotDraw("Fewer than two updates were recorded: nothing was trained.")
    kept, note = limit_updates(rows["update"], _UPDATES)
    solved = last_rows(rows, solved_runs(tables.runs))
    rows = rows[rows["update"].isin([*kept, *solved["update"]])]
    rows = carried_on(rows, solved, ["case"]).rename(columns={"update": "x"})
    long = rows.melt(["run", "x"], ["loss", "weight_change"], "panel", "value").sort_values("x")
    return _logarithms(long[(long["panel"] == "loss") | (long["x"] > 0)]), note


def _gradients(tables: Tables, runs: pd.Series) -> pd.DataFrame:
    """The norm of the gradient at each lag, before training."""
    rows = at_start(carrier_rows(tables, runs, [0]), "gradients")
    rows = rows.sort_values("lag", kind="stable").rename(columns={"lag": "x"})
    rows = rows.rename(columns={"log10_norm": "log10"})[["run", "x", "log10", "status"]]
    return rows.assign(panel="gradient")


def _contributions(tables: Tables, runs: pd.Series) -> pd.DataFrame:
    """What each time step adds to ∂L/∂W_hh, as a part of the largest contribution of its run.

    Step 1 has no state before it and adds nothing.
    """
    rows = at_start(column_rows(tables, runs, [0], "log10_contribution"), "gradients")
    rows = rows[rows["time"] > 1].sort_values("lag", kind="stable")
    finite = rows["log10_norm"].where(np.isfinite(rows["log10_norm"]))
    largest = finite.groupby(rows["run"]).transform("max")
    # Of a run without a finite contribution nothing can be a part.
    rows = rows.assign(log10=rows["log10_norm"] - largest.fillna(0.0))
    rows = rows.rename(columns={"lag": "x"})[["run", "x", "log10", "status"]]
    return rows.assign(panel="contribution")


def _logarithms(long: pd.DataFrame) -> pd.DataFrame:
    with np.errstate(divide="ignore"):
        log10 = np.log10(long["value"].astype(float))
    return long.drop(columns="value").assign(log10=log10, status=statuses(log10))


def _case_outcomes(runs: pd.DataFrame) -> pd.DataFrame:
    """What is said of the gradient at the start (`cases`), and how the runs ended; a row a case."""
    ended = [{"case": case, **_case_end(part)} for case, part in runs.groupby("case")]
    return cases(runs, ["case"]).drop(columns="seeds").merge(pd.DataFrame(ended), on="case")


def _case_end(runs: pd.DataFrame) -> dict[str, object]:
    bad = runs[runs["status"] == "diverged"].sort_values("diverged_update")
    where = ""
    if len(bad):
        update, time, way = bad[list(DIVERGED)].iloc[0]
        where = f"at update {update:.0f}, time step {time:.0f}, in the {way} pass"
    return {
        "runs": len(runs),
        "solved": int((runs["status"] == "solved").sum()),
        "diverged": len(bad),
        "where": where,
        "chance": runs["chance_loss"].astype(float).median(),
    }


def draw(plotted: Plotted) -> Figure:
    """Draw four panels, a colour and a marker a case; triangles where a run is not finite."""
    table = plotted.table
    with in_style():
        figure, grid = panels.grid(2, 2, height=1.7, sharex=False, sharey=False)
        names = [str(name) for name in table["case"].unique()]
        palette = dict(zip(names, categories(len(names)), strict=True))
        for axes, (name, words) in zip(grid.flat, PANELS.items(), strict=True):
            part = table[table["panel"] == name]
            _panel(axes, part, palette)
            axes.set_xlabel(words[0])
            axes.set_ylabel(words[1])
            if words[0] == "update":
                _log_updates(axes, float(part["x"].max()))
        chance = table.loc[table["chance"] > 0, "chance"].unique()
        if len(chance) == 1:
            grid[0, 0].axhline(np.log10(chance[0]), linestyle=THEORY, color="0.2", linewidth=0.8)
        grid[1, 0].axhline(0, color=REFERENCE, linewidth=0.6, zorder=0)
        _mark_resolution(grid[1, 1])
        panels.letters(grid.flat)
        figure.set_legend(_entries(table, palette, len(chance) == 1))
    return figure


def _mark_resolution(axes: Axes) -> None:
    axes.axhline(RESOLUTION, color=REFERENCE, linewidth=0.6, zorder=0, gid="resolution")
    # The lower corner on the left is empty: contributions fall with the lag.
    look: dict[str, Any] = {"color": REFERENCE, "fontsize": 7, "linespacing": 1.1}
    words = "below the\ngrey line: lost in\nsingle precision"
    axes.text(0.03, 0.03, words, transform=axes.transAxes, va="bottom", **look)


def _panel(axes: Axes, part: pd.DataFrame, palette: dict[str, str]) -> None:
    for place, (case, shape) in enumerate(marks.shapes_of(palette).items()):
        rows = part[part["case"] == case]
        count = int(np.isfinite(rows["log10_median"]).sum())
        look = marks.sparse(shape, place, len(rows)) | ({"markevery": 1} if count < 3 else {})
        marks.band(axes, rows, "x", palette[case], log10=True, gid=case, **look)
    axes.margins(y=0.12)
    panels.powers(axes)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _log_updates(axes: Axes, last: float) -> None:
    """The logarithm of one more than the update: a network diverges within a few or never."""
    axes.set_xscale("function", functions=(np.log1p, np.expm1))
    axes.xaxis.set_major_locator(
        FixedLocator([0, *10.0 ** np.arange(np.log10(max(last, 1)) + 0.1)])
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(-0.1, last * 1.2 + 1)


def _entries(table: pd.DataFrame, palette: dict[str, str], chance: bool) -> list[Entry]:
    first = {str(row["case"]): row for _, row in table.drop_duplicates("case").iterrows()}
    labels = {case: f"{case}: {_verdict(first[case])}" for case in palette}
    shapes = {labels[case]: shape for case, shape in marks.shapes_of(palette).items()}
    colours = {labels[case]: colour for case, colour in palette.items()}
    guess = [marks.line_entry("chance", THEORY)] if chance else []
    entries = marks.series_entries(colours, shapes)
    return [*entries, *guess, *marks.lost_entries(table)]


def _verdict(row: pd.Series) -> str:
    """The verdict at the start, with the counts where seeds disagree."""
    return verdict_words(_of_runs(row))


def _of_runs(row: pd.Series) -> pd.Series:
    """The row of a case; the seeds of a panel at one place are fewer where runs have ended."""
    return row.drop("seeds").rename({"runs": "seeds"})


def caption(plotted: Plotted) -> str:
    """Say what is seen: what became of each case, and which part of the course's claim holds."""
    table = plotted.table
    return sentences(
        _answer(table),
        *(_case_words(str(case), part) for case, part in table.groupby("case", sort=False)),
        *plotted.notes,
    )


def _answer(table: pd.DataFrame) -> str:
    """What became of the case whose gradient is smallest, and of that whose is largest."""
    rates = table.drop_duplicates("case").set_index("case")["rate"].astype(float)
    known = rates[np.isfinite(rates)]
    parts = {str(case): part for case, part in table.groupby("case", sort=False)}
    which = [str(known.idxmin()), str(known.idxmax())] if len(known) else []
    said = []
    for case in dict.fromkeys(which):
        word = (
            "vanished" if known[case] < _SMALL else "exploded" if known[case] > _LARGE else "kept"
        )
        said.append(f"{word} ({case}): {_loss_words(parts[case])}")
    return f"Gradient {'; gradient '.join(said)}." if said else ""


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    return sentences(
        "Line: median over the seeds still training"
        f"{' and the last values of solved ones' if (plotted.table['solved'] > 0).any() else ''}; "
        "band: lowest to highest seed. In the last panel each step's contribution is divided by "
        "the largest; below the grey line single precision loses it in the sum. An exploded "
        "gradient meets states that are small at the early steps: its contributions may be even.",
        points_and_seeds(plotted.table),
    )


def _case_words(case: str, part: pd.DataFrame) -> str:
    """What is seen of one case in all panels."""
    row = part.iloc[0]
    known = np.isfinite(row["rate"])
    of = rate_words(_of_runs(row)) if known else ""
    gradient = ", ".join(filter(None, [f"gradient at update 0: {_verdict(row)}", of]))
    begin = f"With {case} ({gradient}):"
    said = [_loss_words(part), _change_words(part), _contribution_words(part)]
    return f"{begin} {'; '.join(filter(None, said))}."


def _finite_rows(part: pd.DataFrame, name: str) -> pd.DataFrame:
    rows = part[(part["panel"] == name) & np.isfinite(part["log10_median"])]
    return rows.sort_values("x")


def _loss_words(part: pd.DataFrame) -> str:
    """Where it diverged or, if no run did, the loss at the end beside chance."""
    row = part.iloc[0]
    if row["diverged"]:
        first = "first " if row["diverged"] > 1 else ""
        runs = plural(int(row["runs"]), "run")
        return f"{row['diverged']} of {runs} diverged, {first}{row['where']}"
    losses = _finite_rows(part, "loss")["log10_median"]
    loss = 10.0 ** losses.tail(max(1, len(losses) // _LAST)).median()
    chance = ""
    if row["chance"] > 0:
        part = loss / row["chance"]
        is_chance = AT_CHANCE < part < 2 - AT_CHANCE
        chance = f", {'which' if is_chance else 'where chance'} is "
        chance += f"chance ({number(row['chance'])})" if is_chance else number(row["chance"])
    solved = f"; {row['solved']} of {plural(int(row['runs']), 'run')} solved the task"
    return f"the loss ends at {number(loss)}{chance}{solved if row['solved'] else ''}"


def _change_words(part: pd.DataFrame) -> str:
    changed = _finite_rows(part, "weight_change")
    if changed.empty:
        return ""
    far = changed["log10_median"].iloc[-1]
    size = f"{number(100 * 10.0**far)} % of" if far < 0 else f"{power(round(far, 2))} times"
    return f"W_hh ends {size} its norm away from where it began"


def _contribution_words(part: pd.DataFrame) -> str:
    """What the earliest step adds to the gradient, and which steps add less than the sum keeps."""
    rows = _finite_rows(part, "contribution")
    if rows.empty:
        return ""
    share = rows["log10_median"].to_numpy()
    far = int(rows["x"].iloc[-1])
    said = f"at lag {far} a step adds {power(share[-1])} of the largest contribution"
    kept = rows.loc[share >= RESOLUTION, "x"]
    first, last = int(kept.min()), int(kept.max())
    lost = "less than single precision keeps in their sum"
    if last < far:
        said += f", and all steps beyond lag {last} add {lost}"
    if first > rows["x"].min():
        said += f", and all steps before lag {first} add {lost}"
    return said
