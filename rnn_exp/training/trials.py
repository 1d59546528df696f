"""Trials: the parts of users are called once, before anything is written.

Each part of a run that is none of this package makes one small call (`attempts`). Where it does not
do what it must, the run is refused in one line: the part, what it must do, and what it did.
`TRIALS` has one for each kind of part that `sources_of` knows.
"""

import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from rnn_exp.fields import SettingError
from rnn_exp.registry import why_of
from rnn_exp.training.attempts import (
    PartError,
    try_activation,
    try_cell,
    try_init,
    try_optimizer,
    try_penalty,
    try_task,
)
from rnn_exp.training.own_penalties import OwnPenalty
from rnn_exp.training.run import Run

__all__ = ["TRIALS", "Trial", "refuse_wrong_parts"]


class Trial(NamedTuple):
    """How a kind of part is tried.

    Args:
        what: the kind, in words.
        reads: what it reads of a run and the part's name; runs that agree in that are tried once.
        call: makes the trial with what is read.
    """

    what: str
    reads: Callable[[Run, str], tuple[Any, ...]]
    call: Callable[..., None]


def refuse_wrong_parts(runs: Iterable[Run]) -> None:
    """Refuse runs with a part of a user that does not do what it must.

    Args:
        runs: any runs; those without such parts cost nothing.

    Raises:
        SettingError: for the first such part.
    """
    tried = set[Hashable]()
    for run in runs:
        for what, source in run.sources.items():
            key, _, name = what.partition("=")
            trial = TRIALS[key]
            given = trial.reads(run, name)
            if (what, given) in tried:
                continue
            tried.add((what, given))
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # they come again where the run trains
                    trial.call(*given)
            except PartError as wrong:
                raise SettingError(key, name, f"{trial.what} {wrong}") from None
            except (Exception, SystemExit) as error:
                why = f"{source.name}, {why_of(error, source)}"
                allowed = f"{trial.what} that can be computed; {why}"
                raise SettingError(key, name, allowed) from error


def _sizes(run: Run) -> tuple[int, int]:
    return run.task.input_size, run.task.output_size


def _own_penalty(run: Run, name: str) -> OwnPenalty | None:
    return next((one for one in run.training.own_penalties if one.name == name), None)


TRIALS: Final[Mapping[str, Trial]] = MappingProxyType(
    {
        "task": Trial("a task", lambda run, _: (run.task,), try_task),
        "init": Trial("an init", lambda run, _: (run.init, run.network, *_sizes(run)), try_init),
        "network.cell": Trial(
            "a cell", lambda run, _: (run.network, run.task.input_size), try_cell
        ),
        "network.activation": Trial("an activation", lambda run, _: (run.network,), try_activation),
        "training.optimizer": Trial(
            "an optimiser",
            lambda run, name: (name, run.training, run.network, *_sizes(run)),
            try_optimizer,
        ),
        "penalty": Trial(
            "a penalty", lambda run, name: (_own_penalty(run, name), run.network), try_penalty
        ),
    }
)
"""How each kind of part is tried, by the words of `sources_of`."""
