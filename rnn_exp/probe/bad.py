"""The first value that is not finite: in which module, layer, direction, time step and pass."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from rnn_exp.probe.profile import Profile
from rnn_exp.schema import GRADIENT_STATUSES

__all__ = ["BadValue", "NonFiniteError", "Profiled", "first_bad"]

_BAD = [GRADIENT_STATUSES.index(word) for word in ("inf", "nan")]


@dataclasses.dataclass(frozen=True)
class BadValue:
    """Where a value is not finite for the first time.

    Args:
        update: its number.
        call: of the module in this update.
        module: its name in the model.
        layer: its number.
        direction: 0: reads forward, 1: backward.
        time: the time step, from 1.
        is_forward: in the forward pass, so of a state; else of a gradient.
    """

    update: int
    call: int
    module: str
    layer: int
    direction: int
    time: int
    is_forward: bool

    def __str__(self) -> str:
        what = "state h_t (forward pass)" if self.is_forward else "gradient ∂L/∂h_t (backward pass)"
        backwards = ", reading backwards" if self.direction else ""
        where = f"layer {self.layer}{backwards}, time step {self.time}"
        return (
            f"update {self.update}, {self.module or 'the model'}, {where}: a {what} is not finite"
        )


class NonFiniteError(FloatingPointError):
    """Training has met a value that is not finite; ``found`` says where."""

    def __init__(self, found: BadValue) -> None:
        super().__init__(str(found))
        self.found = found


class Profiled(NamedTuple):
    """A call and what was measured of it.

    Args:
        place: of the call among all calls of the update, in the order in which they were made.
        module: the name of its module.
        number: of the call, of this module in the update.
        profiles: of each layer and direction.
        steps_before: how many time steps of its sequence the calls before it have.
    """

    place: int
    module: str
    number: int
    profiles: Sequence[Profile]
    steps_before: int = 0


def first_bad(update: int, calls: Iterable[Profiled]) -> BadValue | None:
    """Return the first value of an update that is not finite; None: there is none.

    States come first, by call, by layer and then by time; then gradients, from the last call, its
    top layer and the last time step on.

    Args:
        update: its number.
        calls: of all modules; of profiles with states alone there are no gradients to look at.
    """
    ordered = sorted(calls, key=lambda each: each.place)
    for call in ordered:
        for one in sorted(call.profiles, key=lambda each: each.layer):
            steps = np.flatnonzero(~np.isfinite(one.columns["state_rms"]))
            if steps.size:
                return _at(update, call, one, int(steps[0]), is_forward=True)
    for call in reversed(ordered):
        for one in sorted(call.profiles, key=lambda each: -each.layer):
            names = ("status", "status_memory")
            statuses = [one.columns[name] for name in names if name in one.columns]
            steps = np.flatnonzero(np.isin(statuses, _BAD).any(0)) if statuses else np.array([])
            if steps.size:
                return _at(update, call, one, int(steps[-1]), is_forward=False)
    return None


def _at(update: int, call: Profiled, one: Profile, step: int, *, is_forward: bool) -> BadValue:
    T = len(one.columns["state_rms"])
    time = T - step if one.direction else call.steps_before + step + 1
    return BadValue(update, call.number, call.module, one.layer, one.direction, time, is_forward)
