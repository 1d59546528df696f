"""The product of the course notes beside the measured gradient, of networks of one unit."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.selection import CannotDraw, Plotted, Tables, at_start, required
from rnn_exp.figures.parts.style import MEASURED, REFERENCE, THEORY, darker, in_style, ordered
from rnn_exp.words import listing, number, plural, power, sentences

QUESTION: Final = "Is the gradient the product of σ'(z) w, and does w > 1 make it explode?"

TENFOLD: Final = 1.0
_SAME: Final = 1e-3
_SETTINGS: Final = {
    "network.activation": "activation",
    "network.hidden_size": "units",
    "training.batch_size": "sequences",
    "init.weight": "weight",
    "init.bias": "bias",
}
_LOG10: Final = ("log10_measured", "log10_formula")
_REST: Final = ("difference", "largest_slope")
_ROWS: Final = ["run", "update", "lag", "log10_total", "saturation", "status"]
_HEIGHT: Final = 2.0  # of a row of panels, in inches
_COURSES: Final = {-1: "vanishes for", 1: "explodes for", 0: "does neither for"}


def table(tables: Tables) -> Plotted:
    """Return log10 of |∂h_T/∂h_(T-n)| as measured, and of D_n = Π φ'(z) w, a row a unit and lag."""
    runs = required(tables.runs, ["run", *_SETTINGS], "runs").rename(columns=_SETTINGS)
    runs["largest_slope"] = tables.runs.reindex(columns=["largest_slope"]).astype(float)
    runs = runs[(runs["units"] == 1) & (runs["sequences"] == 1)].astype({"run": str})
    if runs.empty:
        raise CannotDraw("No run has one unit and one sequence, where D_n is a product of numbers.")
    rows = tables.gradient_rows(_ROWS, runs=runs["run"], updates=[0], layer=-1)
    rows = at_start(rows.astype({"run": str}), "gradients").sort_values("lag", kind="stable")
    known = np.isfinite(rows["log10_total"].to_numpy(dtype=float))
    frame = runs.merge(rows[known], on="run").astype({"weight": float})
    if frame.empty:
        raise CannotDraw("No gradient of a single unit was finite and above zero.")
    last = frame.groupby("run", sort=False)["log10_total"].transform("first")
    measured, formula = frame["log10_total"] - last, _formula(frame)
    frame = frame.assign(panel=_panel_of(frame), log10_measured=measured, log10_formula=formula)
    frame["difference"] = np.expm1((measured - formula).abs() * np.log(10))
    columns = ["panel", "activation", "weight", "bias", "lag", *_LOG10, *_REST]
    order = ["activation", "panel", "weight", "lag"]
    return Plotted(frame.sort_values(order, kind="stable")[columns].reset_index(drop=True))


def _formula(frame: pd.DataFrame) -> pd.Series:
    """log10 |D_n| at each lag n: what leaves a state goes through the slope at the next."""
    factor = (frame["saturation"] * frame["weight"]).abs().map(np.log10)
    # D_0 = 1 is the product of nothing.
    product: pd.Series = factor.groupby(frame["run"]).cumsum() - factor
    return product


def _panel_of(frame: pd.DataFrame) -> pd.Series:
    """Weights share a panel where their bias is one number, or follows the weight as -w/2."""
    half = frame["bias"] == -frame["weight"] / 2
    bias = frame["bias"].map(number).mask(half & (frame["bias"] != 0), "−w/2")
    return frame["activation"] + ", b = " + bias


def draw(plotted: Plotted) -> Figure:
    """Draw a panel for each kind of bias, a colour a weight; solid measured, dashed the product."""
    table = plotted.table
    with in_style():
        names = list(table["panel"].unique())
        rows = -(-len(names) // 2)
        figure, grid = panels.grid(rows, min(len(names), 2), height=_HEIGHT, sharey=False)
        weights = sorted(table["weight"].unique())
        palette = dict(zip(weights, ordered(len(weights)), strict=True))
        for axes, name in zip(grid.flat, names, strict=False):
            _panel(axes, table[table["panel"] == name], palette)
            axes.set_title(name)
        for axes in grid.flat[len(names) :]:
            axes.set_visible(False)
        panels.letters(grid.flat)
        size = r"$|\partial h_T / \partial h_{T-n}|$" + f"\n{panels.VANISHES_EXPLODES}"
        panels.name_axes(figure, grid, "lag $n$ (steps back from the last)", size)
        entries = marks.colour_entries({f"w = {w:g}": c for w, c in palette.items()})
        measured = marks.line_entry("measured", MEASURED)
        product = marks.line_entry("$\\Pi\\,|\\varphi$′$(z_t)\\,w|$", THEORY)
        figure.set_legend([*entries, measured, product])
    return figure


def _panel(axes: Axes, part: pd.DataFrame, palette: dict[float, str]) -> None:
    axes.axhline(0, color=REFERENCE, linewidth=0.6, zorder=0)
    ends = []
    for weight, rows in part.groupby("weight"):
        colour = palette[float(str(weight))]
        axes.plot(
            rows["lag"], rows["log10_measured"], MEASURED, color=colour, linewidth=2.4, alpha=0.45
        )
        axes.plot(rows["lag"], rows["log10_formula"], THEORY, color=darker(colour), linewidth=0.9)
        last = rows.iloc[-1]
        ends.append(marks.End(last["lag"], last["log10_formula"], f"{weight:g}", colour))
    # Titles, labels and the gap between rows take about three tenths of the height.
    marks.end_labels(axes, ends, 0.7 * _HEIGHT)
    panels.powers(axes)


def caption(plotted: Plotted) -> str:
    """Say what is seen: how exact the product is, and which weights above 1 explode."""
    table = plotted.table
    units = table.drop_duplicates(["panel", "weight"])
    worst = float(table["difference"].max())
    error = f"to a relative error of {power(np.log10(worst)) if worst else 0} at most"
    return sentences(
        f"Yes, in {plural(len(units), 'network')} of one unit the gradient is the product {error}; "
        f"{_above_one(table)}."
        if worst < _SAME
        else f"No, the gradient is the product only {error}; {_above_one(table)}.",
        *(_claim(str(name), part) for name, part in table.groupby("activation", sort=False)),
        "Vanishing, exploding: by a factor of more than ten over the sequence.",
        _bound(table),
    )


def reading(plotted: Plotted) -> str:
    """Say how to read it."""
    return "Solid: measured; dashed, on top of it: the product. Numbers at the ends of lines: w."


def _ends(table: pd.DataFrame) -> pd.DataFrame:
    ends = table.groupby(["panel", "weight"], sort=False)["log10_formula"].last().reset_index()
    courses = (
        np.sign(ends["log10_formula"]).where(ends["log10_formula"].abs() > TENFOLD, 0).astype(int)
    )
    return ends.assign(course=courses)


def _above_one(table: pd.DataFrame) -> str:
    """Of how many units with a weight above 1 the gradient explodes."""
    above = _ends(table).query("weight > 1")
    count = int((above["course"] == 1).sum())
    if above.empty:
        return "no w is above 1"
    one = f"it explodes in {count} of {plural(len(above), 'unit')}"
    return f"w > 1 {'does' if count == len(above) else 'alone does not'} make it explode: {one}"


def _claim(activation: str, part: pd.DataFrame) -> str:
    """What becomes of each weight, panel by panel."""
    said = []
    for panel, ends in _ends(part).groupby("panel", sort=False):
        groups = [(c, ends.loc[ends["course"] == c, "weight"]) for c in _COURSES]
        words = [
            f"{_COURSES[c]} w = {listing(f'{w:g}' for w in weights)}"
            for c, weights in groups
            if len(weights)
        ]
        said.append(f"at {str(panel).split(', ')[1]} it {', '.join(words)}")
    return f"With {activation}, {'; '.join(said)}."


def _bound(table: pd.DataFrame) -> str:
    """Whether a weight of more than 1/sup φ' was needed, and whether it was enough."""
    said = []
    for activation, part in table.groupby("activation", sort=False):
        # Of results that do not say how steep the activation is, nothing is said.
        least = 1 / part["largest_slope"].max()
        ends = _ends(part)
        enough = ends.loc[ends["weight"] > least, "course"]
        if not (ends.loc[ends["weight"] <= least, "course"] == 1).any() and (enough == 1).any():
            kind = "only necessary" if (enough < 1).any() else "sufficient here"
            said.append(f"with {activation} w > {least:g} is {kind} for exploding")
    return f"So {'; '.join(said)}." if said else ""
