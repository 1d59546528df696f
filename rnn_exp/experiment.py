"""Experiment: executing runs turns frozen values into tables.

Runs that agree in everything but init and seed train together as one tensor program, and every
one of them gets the bits it would have got alone (one torch thread, CPU).
"""

import dataclasses
from collections.abc import Callable, Iterable

from rnn_exp.inits import Gaussian
from rnn_exp.network import Parameters, shapes
from rnn_exp.outcome import Outcome, outcome_of
from rnn_exp.prediction import predict
from rnn_exp.run import Run
from rnn_exp.training import Update, train

__all__ = ["chunks", "execute", "train_together"]

# 8–32 runs of usual sizes keep an update's working set in the cache; more are slower, not faster.
_CHUNK = 32


def chunks(runs: Iterable[Run]) -> list[list[Run]]:
    """Group runs that can train together, in the order of their first member.

    They share all but init and seed. Networks of one unit go alone (their matrix products are
    dot products, which round differently in company), and so do those of ``engine=torch``.
    """
    groups: dict[Run, list[Run]] = {}
    for run in runs:
        groups.setdefault(dataclasses.replace(run, init=Gaussian(), seed=0), []).append(run)
    result = []
    for shared, members in groups.items():
        alone = shared.network.engine == "torch" or shared.network.hidden_size == 1
        size = 1 if alone else _CHUNK
        result += [members[start : start + size] for start in range(0, len(members), size)]
    return result


def execute(runs: Iterable[Run], watch: Callable[[Update], None] | None = None) -> list[Outcome]:
    """Train the runs and return their outcomes in the same order.

    Example:
        >>> from rnn_exp.training import Training
        >>> [outcome] = execute([Run(training=Training(updates=2))])
        >>> outcome.status, outcome.updates["update"].tolist()
        ('finished', [0, 1])
    """
    runs = list(runs)
    outcomes: dict[Run, Outcome] = {}
    for chunk in chunks(dict.fromkeys(runs)):
        outcomes |= dict(zip(chunk, train_together(chunk, watch), strict=True))
    return [outcomes[run] for run in runs]


def train_together(runs: list[Run], watch: Callable[[Update], None] | None = None) -> list[Outcome]:
    """Train the runs of one chunk as one tensor program."""
    first = runs[0]
    sizes = shapes(first.network, first.task.input_size, first.task.output_size)
    drawn = [run.init.draw(sizes, run.seed) for run in runs]
    parameters = Parameters.stack(drawn, first.network.torch_dtype)
    parameters.flat = parameters.flat.to(first.device)
    predictions = [predict(run, parameters, place) for place, run in enumerate(runs)]
    kept: list[list[Update]] = [[] for _ in runs]
    seeds = [run.seed for run in runs]
    for update in train(
        parameters, first.network, first.task, first.training, first.recording, seeds
    ):
        if watch is not None:
            watch(update)
        for run in update.runs if update.recorded is not None else ():
            if run in update.divergences or first.recording.wanted(
                update.update, first.training.updates
            ):
                kept[run].append(update)
    return [
        outcome_of(run, place, kept[place], predictions[place], parameters.of_run(place))
        for place, run in enumerate(runs)
    ]
