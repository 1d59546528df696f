"""The same from Python: runs in, results out, in a process settled as the command line does it."""

import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from torch import Tensor

from rnn_exp.fields import SettingError
from rnn_exp.program import one_line
from rnn_exp.recordings.trackers import Tracking
from rnn_exp.schema import RUN_JSON
from rnn_exp.storage import initial
from rnn_exp.storage.checkpoint import seconds_from
from rnn_exp.storage.loading import Results, held_in_memory, of_runs
from rnn_exp.storage.places import RunFolders
from rnn_exp.storage.study import StudyPage
from rnn_exp.storage.walk import refuse_hidden
from rnn_exp.storage.writing import is_done
from rnn_exp.sweeps import process
from rnn_exp.sweeps.jobs import Job
from rnn_exp.sweeps.run_list import declare, write_run_list
from rnn_exp.sweeps.sending import (
    Place,
    Sender,
    memory_for,
    open_workers,
    refuse_other_label,
)
from rnn_exp.sweeps.status import worked_on
from rnn_exp.training import grids
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.loop import Update
from rnn_exp.training.outcome import Outcome
from rnn_exp.training.run import Run
from rnn_exp.training.trials import refuse_wrong_parts
from rnn_exp.words import plural

__all__ = [
    "FailedRunsWarning",
    "declare_page",
    "grid",
    "initial_weights",
    "outcomes",
    "run",
    "train",
]

_MOST_FAILURES = 3

grid = grids.grid


class FailedRunsWarning(UserWarning):
    """Some runs could not be trained; the others were, and the results hold all of them."""


def train(
    runs: Run | Iterable[Run],
    folder: str | Path | None = None,
    *,
    processes: int = 1,
    checkpoint_seconds: float = 60.0,
    tracking: str = "none",
) -> Results:
    """Train runs and return their results, as `load` would of a folder with them.

    Runs that agree in everything but init and seed train together, and each gets the bits that it
    would get alone, and from the command line. For that the arithmetic of this process is settled,
    and torch computes with one thread while the runs train.

    With a folder each run leaves its own in it, as a sweep of the command line does: what is there
    is not trained again, and what was stopped goes on from its last checkpoint. Without one the
    results are in memory alone. A run that fails stops no other; the column ``failure`` says why.

    Args:
        runs: a run, or several, as `grid` makes them; one that is there twice is trained once.
        folder: where to write; None: nothing stays on disk.
        processes: how many processes train; 1: this one. Each of several imports this script, so
            what that does belongs under ``if __name__ == "__main__":``.
        checkpoint_seconds: seconds between two checkpoints; another one is written on Ctrl-C.
        tracking: ``tensorboard`` writes curves into the runs' folders; no result changes.

    Returns:
        The results of these runs, and of no others that the folder may have.

    Raises:
        SettingError: for a device, memory or tracking that this machine does not have.
        FileExistsError, BlockingIOError: if a folder has another run, or another process trains.
        KeyboardInterrupt: on Ctrl-C, after checkpoints were written.

    Warns:
        FailedRunsWarning: if runs failed.
        UnsettledWarning: if it is too late to settle the arithmetic of this process.

    Example:
        >>> train(grid(length=6, hidden_size=5, updates=2, seed=range(3)))
        Results of 3 runs
          seed: 0, 1, 2
          ended: 3 finished
    """
    asked, curves = _once([runs] if isinstance(runs, Run) else runs), _tracking(tracking, folder)
    if folder is not None:
        return of_runs(_trained_in(Path(folder), asked, processes, checkpoint_seconds, curves))
    with tempfile.TemporaryDirectory(prefix="rnn-exp-", ignore_cleanup_errors=True) as place:
        places = _trained_in(Path(place), asked, processes, checkpoint_seconds, name="")
        return held_in_memory(places)


def declare_page(
    folder: str | Path,
    *,
    question: str | None = None,
    figures: Sequence[str] | None = None,
    answer: Sequence[str] | None = None,
) -> None:
    """Say what the page of a study asks and shows (``rnn-exp-report``); no result changes.

    It is kept in the folder, also when `train` is called with it again.

    Args:
        folder: that `train` was given, or that of a sweep.
        question: the title of the page, one line; None: a general one.
        figures: the names of its figures, in order; None: the general ones.
        answer: those of them whose first sentence answers the question; it stands in bold below
            the title. None: the page says what each of its figures shows.

    Raises:
        SettingError: for a question of several lines, or a figure that there is not.
        FileNotFoundError: if there is no such folder, or nothing was trained in it.
        ValueError: if its list of runs is damaged.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     results = train(grid(length=[6, 9], hidden_size=5, updates=2), folder)
        ...     declare_page(folder, question="Does length matter?", answer=["decay"])
    """
    page = StudyPage(question, figures, answer)
    if page.figures is not None or page.answer is not None:
        from rnn_exp.figures import refuse_unknown  # two seconds, for who draws

        refuse_unknown(page.figures, page.answer)
    declare(Path(folder), page)


def run(
    settings: Mapping[str, Any] | None = None,
    /,
    *,
    folder: str | Path | None = None,
    **named: Any,  # noqa: ANN401 - whatever a setting accepts
) -> Results:
    """Train one run and return its results.

    Args:
        settings: a value by key, as for `grid`.
        folder: where to write; None: nothing stays on disk.
        **named: a value by key or by name, as for `grid`.

    Raises:
        SettingError: as `grid` does, and for a setting with several values.
        OSError, KeyboardInterrupt: as `train` does.

    Example:
        >>> run(task="temporal_order", length=12, hidden_size=5, updates=2).runs["status"].tolist()
        ['finished']
    """
    return train(grids.one(settings, **named), folder)


def outcomes(runs: Iterable[Run], watch: Callable[[Update], None] | None = None) -> list[Outcome]:
    """Train runs and return what each leaves behind, in the same order; nothing is written.

    This is the training alone: no folders, no tables of pandas, no progress bar; a run that fails
    raises its error.

    Args:
        runs: any runs.
        watch: is called with every update when it is made.

    Returns:
        An outcome a run: tables as dictionaries of arrays, final weights, how it ended.

    Raises:
        SettingError: for a device that this machine does not have.

    Example:
        >>> from rnn_exp import Run, Training
        >>> [outcome] = outcomes([Run(training=Training(updates=2))])
        >>> outcome.status, outcome.updates["update"].tolist()
        ('finished', [0, 1])
    """
    with process.settled():
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
    with process.settled():
        return initial.initial_weights(run if isinstance(run, Run) else initial.run_of(Path(run)))


def _once(runs: Iterable[Run]) -> dict[Run, Run]:
    """Return each run once."""
    asked: dict[Run, Run] = {}
    for each in runs:
        if not isinstance(each, Run):
            raise TypeError(f"runs are made by rnn_exp.grid or rnn_exp.Run, and {each!r} is none")
        refuse_other_label(asked.setdefault(each, each), each)
    return asked


def _tracking(word: str, folder: str | Path | None) -> Tracking:
    """Return where curves go, or refuse files for which there is no folder."""
    tracking = Tracking(word)
    if tracking.is_wanted and folder is None:
        raise SettingError("tracking", word, f"{Tracking().tracking} without a folder")
    return tracking


def _trained_in(
    folder: Path,
    runs: Iterable[Run],
    processes: int,
    checkpoint_seconds: float,
    tracking: Tracking | None = None,
    name: str | None = None,
) -> dict[Path, str]:
    """Train runs in a folder; return their folders and what the runs are called.

    Args:
        folder: of the sweep.
        runs: each once.
        processes: how many train.
        checkpoint_seconds: seconds between two checkpoints.
        tracking: where the curves of the runs go; None: nowhere.
        name: what the sweep is called where its progress is shown; None: as its folder.
    """
    try:
        seconds_from(checkpoint_seconds)
    except SettingError as error:
        raise SettingError("checkpoint_seconds", checkpoint_seconds, error.allowed) from None
    if (folder / RUN_JSON).exists():
        raise FileExistsError(f"{folder} is the folder of one run: choose the one above it")
    folder, names = folder.absolute(), RunFolders()
    there = {each: names.of(folder, each) for each in runs}
    places = {each: Place(place, is_done(place, each)) for each, place in there.items()}
    left = [each for each, place in places.items() if not place.done]
    refuse_hidden(places[each].folder for each in left)
    memory = memory_for(left)
    with process.settled():
        refuse_wrong_parts(left)
    with (
        process.settled(),
        closing(open_workers(left, memory, processes=processes)) as workers,
        worked_on(folder),
    ):
        write_run_list(folder, [place.name for place in there.values()], _command(folder))

        def job_of(each: Run) -> Job:
            return Job(each, places[each].folder, tracking=tracking or Tracking())

        sender = Sender(folder, job_of, name=name)
        results = sender.train(places, workers, checkpoint_seconds, memory)
    _tell_failures({each.name: results[each].failure for each in results})
    return {place: place.name for place in there.values()}


def _command(folder: Path) -> str:
    """Return what ``rnn-exp-status`` names as the command that goes on."""
    return f"rnn_exp.train(…, folder={str(folder)!r}) in Python"


def _tell_failures(failures: Mapping[str, str]) -> None:
    """Warn of runs that failed, naming the first of them and why."""
    failed = [f"{name}: {why}" for name, why in failures.items() if why]
    if failed:
        also = f"; and {len(failed) - _MOST_FAILURES} more" if len(failed) > _MOST_FAILURES else ""
        warnings.warn(
            f"{len(failed)} of {plural(len(failures), 'run')} failed (column failure of .runs): "
            f"{'; '.join(map(one_line, failed[:_MOST_FAILURES]))}{also}",
            FailedRunsWarning,
            stacklevel=4,
        )
