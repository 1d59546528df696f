"""Dots: a row a recipe, left the decay rate before and after training, right the final loss."""

from typing import Any, Final

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rnn_exp.figures import legends, panels
from rnn_exp.figures.style import BLUE, PAGE, THEORY, VERMILLION, in_style

__all__ = ["draw"]

_RATES: Final = ("start", "end")


def draw(table: pd.DataFrame, plain: str) -> Figure:
    """A row for each of the table's, top to bottom; the row ``plain`` is a band in both panels."""
    with in_style():
        figure = Figure(figsize=(PAGE, 0.19 * len(table) + 1.1), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        places = np.arange(len(table))
        _rates(left, table, places, plain)
        _losses(right, table, places, plain)
        left.set_yticks(places, [panels.plain(str(name)) for name in table["series"]])
        left.set_ylim(len(table) - 0.4, -0.6)
        for axes in (left, right):
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="y", color="0.92", linewidth=0.6)
        legends.legend(figure, _entries(table, plain))
    return figure


def _rates(axes: Axes, table: pd.DataFrame, places: np.ndarray, plain: str) -> None:
    for end, face in zip(_RATES, ("white", BLUE), strict=True):
        low, middle, high = (table[f"{end}{what}"] for what in ("_low", "", "_high"))
        axes.hlines(places, low, high, color=BLUE, linewidth=0.8, alpha=0.6)
        axes.plot(
            middle, places, linestyle="none", marker="o", color=BLUE, markerfacecolor=face,
            markersize=4.5, gid=end, zorder=3 if end == "end" else 4,
        )  # fmt: skip
    axes.axvline(1, color="0.6", linewidth=0.8, zorder=0)
    _plain_at(axes, table, "start", plain)
    axes.xaxis.set_major_locator(MaxNLocator(6))
    axes.set_xlabel("decay rate per step back in time")


def _losses(axes: Axes, table: pd.DataFrame, places: np.ndarray, plain: str) -> None:
    finite = np.isfinite(table["loss"])
    axes.hlines(places[finite], table["loss_low"][finite],
                table["loss_high"][finite].replace(np.inf, np.nan).fillna(table["loss"][finite]),
                color=VERMILLION, linewidth=0.8, alpha=0.6)  # fmt: skip
    axes.plot(table["loss"][finite], places[finite], "D", color=VERMILLION, gid="loss")
    for place in places[~finite]:
        axes.text(0.98, place, "diverged", transform=axes.get_yaxis_transform(), ha="right",
                  va="center", fontsize=7, color=VERMILLION)  # fmt: skip
    axes.axvline(1, color="0.1", linestyle=THEORY, linewidth=0.9, zorder=0)
    _plain_at(axes, table, "loss", plain)
    if finite.any() and (table["loss_low"][finite] > 0).all():
        panels.plain_log(axes, "x")
    axes.set_xlabel("final loss (1: chance)")


def _plain_at(axes: Axes, table: pd.DataFrame, column: str, plain: str) -> None:
    value = table.loc[table["series"].astype(str) == plain, column]
    if len(value) and np.isfinite(value.iloc[0]):
        axes.axvline(value.iloc[0], color="0.75", linewidth=2.5, alpha=0.5, zorder=0, gid="plain")


def _entries(table: pd.DataFrame, plain: str) -> list[legends.Entry]:
    dot: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": BLUE, "markersize": 4.5}
    entries: list[legends.Entry] = [
        (Line2D([], [], **dot, markerfacecolor="white"), "before training"),
        (Line2D([], [], **dot), "after training"),
        (Line2D([], [], linestyle="none", marker="D", color=VERMILLION), "final loss"),
        legends.line_entry("chance", THEORY),
    ]
    if (table["series"].astype(str) == plain).any():
        band = Line2D([], [], color="0.75", linewidth=2.5, alpha=0.5)
        entries.append((band, "plain network"))
    return entries
