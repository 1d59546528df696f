"""A check of figures: they are drawn of a few small runs, which are trained for that."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import matplotlib.figure

from rnn_exp.figures import CannotDraw, FigureModule
from rnn_exp.networks import Network
from rnn_exp.networks.inits import Gaussian
from rnn_exp.storage.loading import Results, load
from rnn_exp.sweeps import process
from rnn_exp.sweeps.jobs import Job
from rnn_exp.sweeps.worker import train_jobs
from rnn_exp.tasks import Adding
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from rnn_exp.verification.finding import Finding, truth

__all__ = ["check_figure"]

_GAINS: Final = (0.5, 1.5)
_SEEDS: Final = (0, 1)


def check_figure(part: str, figure: FigureModule) -> Iterator[Finding]:
    """Yield what is found of a figure of a user.

    Args:
        part: what it is called in findings.
        figure: what draws it.
    """
    with tempfile.TemporaryDirectory(prefix="rnn-exp-", ignore_cleanup_errors=True) as folder:
        results = _results(Path(folder))
        try:
            plotted, again = figure.table(results), figure.table(results)
        except CannotDraw as why:
            yield truth(part, f"of 4 small runs it is drawn, or it says why not: {why}", True)
            return
        same = plotted.table.equals(again.table)
        yield truth(part, "equal results have equal tables", same)
        drawn, caption = figure.draw(plotted), figure.caption(plotted)
        is_figure = isinstance(drawn, matplotlib.figure.Figure)
        yield truth(part, "4 small runs are drawn as a figure of matplotlib", is_figure)
        is_text = isinstance(caption, str) and bool(caption.strip())
        yield truth(part, "it says in words what is seen", is_text)


def _results(folder: Path) -> Results:
    """Return the results of a few small runs."""
    network, training = Network(hidden_size=6), Training(4, batch_size=4)
    runs = [
        Run(Adding(8), network, Gaussian(gain), training, Recording(1), seed)
        for gain in _GAINS
        for seed in _SEEDS
    ]
    process.settle()
    train_jobs([Job(run, folder / run.name) for run in runs])
    return load(folder)
