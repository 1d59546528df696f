"""Update by lag: how the reach of the gradient of somebody's own network changes in training."""

from typing import Final

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from rnn_exp.figures.parts import panels
from rnn_exp.figures.parts.lag_cells import (
    MOST_UPDATES,
    Lost,
    diverging_scale,
    draw_by_lag,
    kinds,
    scale_bar,
)
from rnn_exp.figures.parts.seeds import limit_updates
from rnn_exp.figures.parts.selection import CannotDraw, Plotted
from rnn_exp.figures.parts.style import in_style
from rnn_exp.figures.recordings.cases import (
    LAG,
    carrier_norms,
    gradients_drawn,
    grid_of,
)
from rnn_exp.words import change, sentences

QUESTION: Final = "Does training change how far back the gradient reaches?"

# Beside the colours of a scale that is white in its middle, only greys are no value.
_LOST: Final = Lost("black", "black", "0.75", "not recorded")
_KEYS: Final = ["panel", "module", "layer", "direction", "gradient"]


def table(frame: pd.DataFrame) -> Plotted:
    """Return log10 of the norm at each update and lag, relative to lag 0 of the same update.

    Raises:
        CannotDraw: if fewer than two updates were recorded.
    """
    norms, notes = carrier_norms(frame)
    if norms["update"].nunique() < 2:
        raise CannotDraw("Gradients were recorded at fewer than two updates: nothing changes.")
    kept, note = limit_updates(norms["update"], MOST_UPDATES)
    cells = _relative(norms[norms["update"].isin(kept)])
    parts = [_whole(part) for _, part in cells.groupby("panel", sort=False)]
    return Plotted(pd.concat(parts, ignore_index=True), (*notes, *note))


def _relative(norms: pd.DataFrame) -> pd.DataFrame:
    """Add each norm divided by that of the smallest lag that has one, of the same update."""
    known = norms[np.isfinite(norms["log10_norm"])].sort_values("lag", kind="stable")
    first = known.drop_duplicates([*_KEYS, "update"])
    first = first[[*_KEYS, "update", "lag", "log10_norm"]]
    first = first.rename(columns={"lag": "reference_lag", "log10_norm": "log10_reference"})
    joined = norms.merge(first, on=[*_KEYS, "update"], how="left")
    # Where no lag has a norm there is nothing to divide by: what is lost stays what it is.
    by = joined["log10_reference"].fillna(0.0)
    joined = joined.assign(log10_relative=joined["log10_norm"] - by)
    return joined.assign(kind=kinds(joined["log10_relative"], joined["ceiling"]))


def _whole(part: pd.DataFrame) -> pd.DataFrame:
    """Add the cells of updates whose sequences were shorter than others, as not recorded."""
    places = [sorted(part["update"].unique()), sorted(part["lag"].unique())]
    every = pd.MultiIndex.from_product(places, names=["update", "lag"])
    whole = part.set_index(["update", "lag"]).reindex(every).reset_index()
    whole = whole.assign(**{key: part[key].iloc[0] for key in _KEYS})
    columns = [*_KEYS, "update", "lag", "reference_lag", "log10_relative", "status"]
    return whole.assign(kind=whole["kind"].fillna("none"))[[*columns, "kind"]]


def draw(plotted: Plotted) -> Figure:
    """Draw a panel a layer, one colour scale for all, with 1 in its middle."""
    table = plotted.table
    with in_style():
        figure, grid, placed = grid_of(table, 1.6)
        scale = diverging_scale(table["log10_relative"])
        for axes, name in placed:
            draw_by_lag(axes, table[table["panel"] == name], "log10_relative", scale, _LOST)
        panels.name_axes(figure, grid, LAG, "update")
        scale_bar(figure, [axes for axes, _ in placed], scale, f"gradient norm / that {_at(table)}")
        figure.set_legend(_LOST.entries(table))
    return figure


def _at(table: pd.DataFrame) -> str:
    """Where the norm is that all others of an update are divided by."""
    known = table["reference_lag"].dropna()
    return "at lag 0" if (known == 0).all() else "at the first lag"


def caption(plotted: Plotted) -> str:
    """Say how much is left at the largest lag, at the first and at the last update."""
    table = plotted.table
    where = "lag 0" if _at(table) == "at lag 0" else "the smallest lag that has a norm"
    none = "; grey: not recorded" if (table["kind"] == "none").any() else ""
    return sentences(
        gradients_drawn(table),
        *(_change(str(name), part) for name, part in table.groupby("panel", sort=False)),
        f"Colour: relative to {where} of the same update (white: as large){none}.",
        _LOST.words(table),
        *plotted.notes,
    )


def _change(name: str, part: pd.DataFrame) -> str:
    finite = part[part["kind"] == "value"]
    if finite.empty:
        return f"{name}: no cell has a finite value."
    said = []
    for update in sorted({finite["update"].min(), finite["update"].max()}):
        rows = finite[finite["update"] == update]
        far = rows.loc[rows["lag"].idxmax()]
        steps = int(far["lag"] - far["reference_lag"])
        left = change(float(far["log10_relative"]), steps) if steps else "one lag alone has a norm"
        said.append(f"at update {update}, {left}")
    return f"{name}: {'; '.join(said)}."
