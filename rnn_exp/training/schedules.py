r"""Schedules: the learning rate of an update, a function of its number alone.

With η the learning rate, W updates of warming up, and U updates in all, the rate of update u is

    η (u + 1) / (W + 1)     for u < W
    η f(u − W)              from u = W on, where f(0) = 1

A run that goes on from a checkpoint needs nothing but the number of its update. The rates are those
of ``torch.optim.lr_scheduler`` (`LinearLR`, `StepLR`, `CosineAnnealingLR`), in closed form.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

from rnn_exp.registry import Registry

__all__ = ["SCHEDULES", "Schedule", "learning_rate"]


@dataclasses.dataclass(frozen=True)
class Schedule:
    """One schedule.

    Args:
        name: the word of ``training.schedule``.
        factor: f, from how many updates were made since the warming up ended, how many there are
            from there on, and each setting of ``takes`` under its name.
        takes: the settings of the training that it has.
        needs: those of them that must be given.
    """

    name: str
    factor: Callable[..., float]
    takes: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    def settings_of(self, training: object) -> dict[str, Any]:
        """Return the settings that ``factor`` takes, by name.

        Args:
            training: how it is used: it has the settings of ``takes``.
        """
        return {name: getattr(training, name) for name in self.takes}


def _constant(made: int, of: int) -> float:
    """Return 1."""
    del made, of
    return 1.0


def _step(made: int, of: int, *, schedule_every: int, schedule_factor: float) -> float:
    """Return the factor to the power of how often so many updates have been made."""
    del of
    try:
        return float(schedule_factor ** (made // schedule_every))
    except OverflowError:  # a run with such a rate is refused
        return math.inf


def _cosine(made: int, of: int) -> float:
    """Return (1 + cos(π made / of)) / 2: half a period, towards 0 (Loshchilov & Hutter 2017)."""
    return (1 + math.cos(math.pi * made / of)) / 2


SCHEDULES: Final[Registry[Schedule]] = Registry("schedule")
SCHEDULES.register(Schedule("constant", _constant))
SCHEDULES.register(
    Schedule(
        "step",
        _step,
        takes=("schedule_every", "schedule_factor"),
        needs=("schedule_every",),
    )
)
SCHEDULES.register(Schedule("cosine", _cosine))


def learning_rate(
    update: int,
    *,
    base: float,
    updates: int,
    warm_up: int = 0,
    schedule: str = "constant",
    settings: Mapping[str, Any] | None = None,
) -> float:
    """Return the learning rate of an update.

    Args:
        update: its number, from 0.
        base: η.
        updates: how many there are.
        warm_up: W, in how many of them the rate rises.
        schedule: the word of the schedule.
        settings: what the schedule takes, by name.

    Example:
        >>> [learning_rate(u, base=1.0, updates=6, warm_up=2, schedule="cosine") for u in range(3)]
        [0.3333333333333333, 0.6666666666666666, 1.0]
    """
    if update < warm_up:
        return base * ((update + 1) / (warm_up + 1))
    rest = update - warm_up, updates - warm_up
    return base * SCHEDULES[schedule].factor(*rest, **(settings or {}))
