"""Gradient norm against lag at some updates of somebody's own network, a panel a layer."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures.parts import marks, panels
from rnn_exp.figures.parts.seeds import limit_updates
from rnn_exp.figures.parts.selection import Plotted
from rnn_exp.figures.parts.style import in_style, ordered
from rnn_exp.figures.recordings.cases import (
    LAG,
    carrier_norms,
    gradients_drawn,
    grid_of,
    lost_words,
)
from rnn_exp.profiles import summarize
from rnn_exp.recordings.sentences import verdict_words
from rnn_exp.words import sentences

QUESTION: Final = "How far back in time does the gradient reach?"

_UPDATES: Final = 5


def table(frame: pd.DataFrame) -> Plotted:
    """Return log10 of the norm at each lag, of the first, some middle and the last update."""
    norms, notes = carrier_norms(frame)
    kept, note = limit_updates(norms["update"], _UPDATES)
    return Plotted(norms[norms["update"].isin(kept)].reset_index(drop=True), (*notes, *note))


def draw(plotted: Plotted) -> Figure:
    """Draw a line an update, dark to light."""
    table = plotted.table
    with in_style():
        figure, grid, placed = grid_of(table, 1.75)
        updates = sorted(table["update"].unique())
        palette = dict(zip(updates, ordered(len(updates)), strict=True))
        for axes, name in placed:
            _panel(axes, table[table["panel"] == name], palette)
        _limits(table, placed[0][0])
        panels.name_axes(figure, grid, LAG, "gradient norm")
        entries = marks.series_entries({f"update {n}": colour for n, colour in palette.items()})
        figure.set_legend([*entries, *marks.lost_entries(table)])
    return figure


def _panel(axes: Axes, part: pd.DataFrame, palette: Mapping[Any, str]) -> None:
    for update, rows in part.groupby("update"):
        norms = rows["log10_norm"]
        curve = rows.assign(log10_median=norms, log10_low=norms, log10_high=norms)
        marks.band(axes, curve, "lag", palette[update], log10=True)
    panels.powers(axes)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))


def _limits(table: pd.DataFrame, axes: Axes) -> None:
    finite = table["log10_norm"].replace([np.inf, -np.inf], np.nan)
    low, high = (finite.min(), finite.max()) if finite.notna().any() else (-1.0, 1.0)
    margin = max(0.08 * (high - low), 0.3)
    axes.set_ylim(low - margin * (2 if table["floor"].any() else 1), high + margin)


def caption(plotted: Plotted) -> str:
    """Say the verdict and the rate of each panel at its first and its last update."""
    table = plotted.table
    return sentences(
        gradients_drawn(table),
        *(_verdicts(str(name), part) for name, part in table.groupby("panel", sort=False)),
        lost_words(table),
        *plotted.notes,
    )


def _verdicts(name: str, part: pd.DataFrame) -> str:
    said = []
    for update in sorted({part["update"].min(), part["update"].max()}):
        rows = part[part["update"] == update].sort_values("lag", ascending=False)
        found = summarize(rows["log10_norm"].to_numpy(), rows["status"].to_numpy())
        said.append(f"at update {update} {verdict_words(found)}")
    return f"{name}: {'; '.join(said)}."
