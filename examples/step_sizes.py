"""How large a step is beside the weights, over training: a figure.

    ‖Δw‖ / ‖w‖   at every recorded update, a line a run

A rule of thumb wants it near 0.001 (Karpathy, notes of the course CS231n, "Ratio of
weights:updates"); a step that is much larger is the first sign of a loss that will jump.

    rnn-exp-report outputs/decay --use examples/step_sizes.py
"""

from matplotlib.figure import Figure

import rnn_exp as rx
from rnn_exp.figures import CannotDraw, Plotted, Tables

USUAL = 1e-3


class StepSizes:
    """One line a run."""

    name = "step_sizes"
    QUESTION = "How large is a step beside the weights?"

    def table(self, tables: Tables) -> Plotted:
        """Return exactly the numbers that are plotted."""
        numbers = tables.updates[["run", "update", "update_ratio"]].dropna()
        if numbers.empty:
            raise CannotDraw("No update has moved the weights.")
        return Plotted(numbers)

    def draw(self, plotted: Plotted) -> Figure:
        """Draw that table."""
        figure = Figure(figsize=(3.4, 2.6), layout="constrained")
        axes = figure.subplots()
        for _, of_run in plotted.table.groupby("run"):
            axes.plot(of_run["update"], of_run["update_ratio"], color="C0", alpha=0.5, lw=1)
        axes.axhline(USUAL, color="black", lw=1, ls="--")
        axes.set_yscale("log")
        axes.set_xlabel("update")
        axes.set_ylabel("‖Δw‖ / ‖w‖")
        return figure

    def caption(self, plotted: Plotted) -> str:
        """Say in words what is seen."""
        medians = plotted.table.groupby("run")["update_ratio"].median()
        return (
            f"Each line is one of {len(medians)} runs. The medians of their steps lie between "
            f"{medians.min():.2g} and {medians.max():.2g} of the weights' norm; dashed: {USUAL:g}."
        )


rx.register(StepSizes())
