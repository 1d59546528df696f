"""The same from Python: runs in, outcomes out, in a process settled as the command line does it."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from rnn_exp.storage import initial
from rnn_exp.sweeps import process
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.loop import Update
from rnn_exp.training.outcome import Outcome
from rnn_exp.training.run import Run

__all__ = ["initial_weights", "train"]


def train(runs: Iterable[Run], watch: Callable[[Update], None] | None = None) -> list[Outcome]:
    """Train runs and return what each leaves behind, in the same order; nothing is written.

    Runs that agree in everything but init and seed train together, and each gets the bits that it
    would get alone. For that the arithmetic of this process is settled, and torch computes with one
    thread while the runs train.

    Args:
        runs: any runs.
        watch: is called with every update when it is made.

    Returns:
        An outcome a run: tables as dictionaries of arrays, final weights, how it ended.

    Raises:
        SettingError: for a device that this machine does not have.

    Example:
        >>> from rnn_exp import Run, Training
        >>> [outcome] = train([Run(training=Training(updates=2))])
        >>> outcome.status, outcome.updates["update"].tolist()
        ('finished', [0, 1])
    """
    process.settle()
    with _one_thread():
        return train_runs(runs, watch)


def initial_weights(run: Run | str | Path) -> dict[str, Tensor]:
    """Return the weights with which a run makes its update 0: they follow from settings and seed.

    Args:
        run: a run, or the folder of one.

    Returns:
        Tensors under torch's names, to the bit those of the run on such a machine and with such
        versions (if a folder was made with others, that is warned of).

    Raises:
        OSError: if the folder has no run.json that can be read.
        ValueError: if that describes no run of this version.

    Example:
        >>> from rnn_exp import Run
        >>> initial_weights(Run())["weight_hh_l0"].shape
        torch.Size([128, 128])
    """
    process.settle()
    with _one_thread():
        return initial.initial_weights(run if isinstance(run, Run) else initial.run_of(Path(run)))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch compute with one thread, and with as many as before afterwards."""
    before = torch.get_num_threads()
    process.use_one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(before)
