"""The first value that is not finite: in which module, layer, direction, time step and pass.

First is what was computed first. A state has the place of its call; a gradient comes after all
calls that were made before its backward pass, and in that pass the last call comes first.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from rnn_exp.probe.profile import Profile
from rnn_exp.probe.steps import Step
from rnn_exp.probe.torch_names import backward_number
from rnn_exp.schema import GRADIENT_STATUSES

__all__ = ["BadValue", "Findings", "NonFiniteError", "Profiled"]

_BAD: Final = [GRADIENT_STATUSES.index(word) for word in ("inf", "nan")]

When = tuple[float, int, int]
"""The place of the last call before; the number of the backward pass, from 1; its order in it."""
_AT_THE_STEP: Final[When] = (math.inf, 0, 0)


@dataclasses.dataclass(frozen=True)
class BadValue:
    """Where a value is not finite for the first time.

    Args:
        update: its number.
        call: of the module in this update, from 0; None, as are the next four: it is the gradient
            of all weights.
        module: its name in the model.
        layer: its number.
        direction: 0: reads forward, 1: backward.
        time: the time step, from 1.
        is_forward: in the forward pass, so of a state; else of a gradient.
        calls: how many calls of the module in this update are known of.
        every: the first update of so many was looked at.
    """

    update: int
    call: int | None = None
    module: str | None = None
    layer: int | None = None
    direction: int | None = None
    time: int | None = None
    is_forward: bool = False
    calls: int = dataclasses.field(default=1, compare=False)  # fewer are known where it stops
    every: int = 1

    def __str__(self) -> str:
        found = f"update {self.update}{self._where()} is not finite"
        if self.every == 1:
            return found
        return f"{found}, the first among the recorded updates (one in {self.every})"

    def _where(self) -> str:
        if self.call is None:
            return ": the gradient of the weights"
        what = "state h_t (forward pass)" if self.is_forward else "gradient ∂L/∂h_t (backward pass)"
        call = f", call {self.call} (from 0)" if self.call or self.calls > 1 else ""
        backwards = ", reading backwards" if self.direction else ""
        where = f"layer {self.layer}{backwards}, time step {self.time}"
        return f", {self.module or 'the model'}{call}, {where}: a {what}"


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


class Findings:
    """What is not finite in an update; it may be found in any order.

    Args:
        every: the first update of so many is looked at.
    """

    def __init__(self, every: int) -> None:
        self._every, self._made = every, 0
        self._found: dict[When, BadValue] = {}
        self._calls: set[tuple[str, int]] = set()

    @property
    def first(self) -> BadValue | None:
        """The first of them; None: there is none."""
        if not self._found:
            return None
        found = self._found[min(self._found)]
        calls = sum(name == found.module for name, _ in self._calls)
        return dataclasses.replace(found, calls=calls, every=self._every)

    def clear(self) -> None:
        """Begin an update."""
        self._found.clear()
        self._calls.clear()

    def place(self) -> int:
        """Return the place of a call that is made now among all calls."""
        self._made += 1
        return self._made - 1

    def now(self) -> tuple[int, int]:
        """Return the time of the backward pass that is going on, or has just ended."""
        return self._made - 1, backward_number() + 1

    def add_weights(self, update: int) -> None:
        """Take a gradient of all weights that is not finite when the optimizer makes its step."""
        self._found[_AT_THE_STEP] = BadValue(update)

    def add_state(self, update: int, call: Profiled) -> None:
        """Look at the states of a call: by layer, and then by time."""
        self._calls.add((call.module, call.number))
        for one in sorted(call.profiles, key=lambda each: each.layer):
            steps = np.flatnonzero(~np.isfinite(one.columns["state_rms"]))
            if steps.size:
                found = _at(update, call, one, int(steps[0]), is_forward=True)
                self._found[call.place, 0, 0] = found
                return

    def add_gradient(self, update: int, call: Profiled) -> None:
        """Look at the gradients that a backward pass has given a call: from its end on."""
        for one in sorted(call.profiles, key=lambda each: -each.layer):
            steps = _bad_gradients(one)
            if steps.size:
                found = _at(update, call, one, int(steps[-1]), is_forward=False)
                self._found.setdefault((*self.now(), -call.place), found)
                return

    def add_chain(self, update: int, call: Profiled, steps: Sequence[Step]) -> None:
        """Look at calls that are a time step each."""
        self.add_state(update, call._replace(profiles=[]))
        for one in call.profiles:
            for place in np.flatnonzero(~np.isfinite(one.columns["state_rms"]))[:1]:
                found = _at(update, call, one, int(place), is_forward=True)
                self._found[steps[place].place, 0, 0] = found
            for place in _bad_gradients(one):
                found = _at(update, call, one, int(place), is_forward=False)
                self._found[*steps[place].received_at, -steps[place].place] = found

    def add_one_step(self, update: int, module: str, step: Step, *, is_forward: bool) -> None:
        """Take one of these calls, which was looked at already."""
        found = BadValue(update, step.chain, module, 0, 0, step.time, is_forward)
        when = (step.place, 0) if is_forward else step.received_at
        self._calls.add((module, step.chain))
        self._found[*when, 0 if is_forward else -step.place] = found


def _bad_gradients(one: Profile) -> np.ndarray:
    """Return the time steps whose gradients are not finite."""
    names = ("status", "status_memory")
    statuses = [one.columns[name] for name in names if name in one.columns]
    return np.flatnonzero(np.isin(statuses, _BAD).any(0)) if statuses else np.array([], dtype=int)


def _at(update: int, call: Profiled, one: Profile, step: int, *, is_forward: bool) -> BadValue:
    T = len(one.columns["state_rms"])
    time = T - step if one.direction else call.steps_before + step + 1
    return BadValue(update, call.number, call.module, one.layer, one.direction, time, is_forward)
