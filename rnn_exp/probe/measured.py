"""Calls of nn.RNN, nn.GRU and nn.LSTM with what was measured of them, and sequences made of these.

A loop that calls a module for one time step, or for a part of a sequence, and hands on its state in
the graph makes one sequence: each call has the total gradient through all later ones already.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from rnn_exp.probe.bad import Profiled
from rnn_exp.probe.chains import Edge, edge_of, reached
from rnn_exp.probe.profile import Gradients, Profile, profiles_of
from rnn_exp.probe.replay import Call
from rnn_exp.schema import GRADIENT_STATUSES, status_of

__all__ = ["Measured", "call_before", "joined"]

_NONE: Final = Gradients(None, None, None)
_NO_STATUS: Final = len(GRADIENT_STATUSES)  # behind all that there are: `frame_of` leaves it out


@dataclasses.dataclass
class Measured:
    """A call that may receive gradients, and what was measured of them.

    Args:
        call: itself.
        place: of the call among all calls of this update.
        number: of the call, of this module in this update.
        ends: its h_n, and c_n of an LSTM, outside the graph.
        edges: where these are in the graph.
        results: likewise of all that it returned.
        first: the number of the call in which its sequence begins.
        before: the place of the call whose state it began with, in the graph; None: there is none.
        steps_before: how many time steps of its sequence the calls before it have.
        is_cut: whether it began with the state of such a call, but without its graph.
        received: what autograd has handed to it in all backward passes of this update.
        handed: the part of it that a call which began with its h_n has handed back; None: more than
            that call may lie between the two, so that this part is not known.
        profiles: of each layer and direction; none before a gradient has come.
    """

    call: Call
    place: int
    number: int
    ends: tuple[Tensor, ...]
    edges: tuple[Edge | None, ...]
    results: list[Edge]
    first: int
    before: int | None = None
    steps_before: int = 0
    is_cut: bool = False
    received: Gradients = _NONE
    handed: Gradients | None = _NONE
    profiles: list[Profile] = dataclasses.field(default_factory=list)
    handles: list[RemovableHandle] = dataclasses.field(default_factory=list)

    def go_on_from(self, before: "Measured", *, is_exact: bool) -> None:
        """Begin with the state that another call ended with; ``is_exact``: with nothing between."""
        self.before, self.first = before.place, before.first
        self.steps_before = before.steps_before + before.call.layout.lengths.longest
        if not is_exact:
            before.handed = None

    def profiled(self) -> Profiled:
        """Return what was measured of this call alone."""
        name = self.call.name
        return Profiled(self.place, name, self.first, self.profiles, self.steps_before)

    def ended_with(self, states: Sequence[Tensor]) -> bool:
        """Say whether these states without a graph lie where its own do."""
        return any(
            not own.requires_grad and own.data_ptr() == end.data_ptr() and own.numel() > 0
            for own, end in zip(states, self.ends, strict=False)  # none is given
        )

    def receive(self, name: str, gradient: Tensor) -> None:
        """Add a gradient of one of its results."""
        self.received = self.received.plus(_NONE._replace(**{name: gradient}))

    def take_back(self, gradient: Tensor) -> None:
        """Add what a call that began with its h_n hands back to that."""
        if self.handed is not None:
            self.handed = self.handed.plus(_NONE._replace(h_n=gradient.detach().clone()))

    def measure(self, *, is_mean: bool, decades: float) -> None:
        """Measure what has been received until now; ``decades``: by which it is too large."""
        self.call.refuse_moved_weights()
        outside = None
        if self.handed is not None and self.handed.h_n is not None:
            outside = self.received.less(self.handed)
        profiles = profiles_of(self.call, self.received, is_mean=is_mean, outside=outside)
        is_known = self.handed is not None or self.received.h_n is None
        if not is_known:
            profiles = list(map(_without_last_direct, profiles))
        self.profiles = [_less(profile, decades) for profile in profiles] if decades else profiles


def call_before(
    measured: Measured, initial: Sequence[Tensor], last: Sequence[Measured]
) -> tuple[Measured, bool] | None:
    """Return the call whose state another one begins with, and whether it is that state itself.

    Args:
        measured: the other one.
        initial: h_0 and c_0, as they were given to it; none: it was given none.
        last: the calls of its module that no other goes on from.

    Returns:
        None: there is none; or it is not clear which one, or what of it is at which lag.
    """
    wanted = [edge_of(each) for each in initial]
    lengths = measured.call.layout.lengths
    # Of sequences that differ in length a later part would be at another lag in each of them.
    if not any(wanted) or measured.call.module.bidirectional or lengths.each is not None:
        return None
    fits = [each for each in last if each.call.layout.lengths.batch == lengths.batch]
    for each in fits:
        pairs = list(zip(wanted, each.edges, strict=True))
        if all(own is None or own == end for own, end in pairs):
            return each, True
    owners = {edge: each.place for each in fits for edge in each.results}
    found = {owners[edge] for edge in reached(initial, owners, all_of=len(fits) > 1)}
    if len(found) != 1:
        return None
    return next((each, False) for each in fits if each.place in found)


def joined(measured: Mapping[int, Measured]) -> list[Profiled]:
    """Return the sequences that calls make, in the order of their first calls.

    Args:
        measured: the calls that gradients have reached, by their place.
    """
    sequences: dict[int, list[Measured]] = {}  # by the place of the last call
    for place in sorted(measured):
        each = measured[place]
        parts = [] if each.before is None else sequences.pop(each.before, [])
        sequences[place] = [*parts, each]
    ordered = sorted(sequences.values(), key=lambda parts: parts[0].place)
    return [
        Profiled(parts[0].place, parts[0].call.name, parts[0].number, _together(parts))
        for parts in ordered
    ]


def _together(parts: Sequence[Measured]) -> list[Profile]:
    """Return the profiles of a sequence, by those of its parts."""
    if len(parts) == 1:
        return parts[0].profiles
    found = []
    for own in zip(*(each.profiles for each in parts), strict=True):
        columns = {
            name: np.concatenate([one.columns[name] for one in own]) for name in own[0].columns
        }
        found.append(own[0]._replace(columns=columns))
    return found


def _less(profile: Profile, decades: float) -> Profile:
    """Take a factor out of all norms; their statuses stay those that training saw."""
    columns = {
        name: values - decades if name.startswith("log10_") else values
        for name, values in profile.columns.items()
    }
    return profile._replace(columns=columns)


def _without_last_direct(profile: Profile) -> Profile:
    """Say of the direct part of the last time step that it is not known."""
    columns = dict(profile.columns)
    for name, unknown in (("log10_direct", np.nan), (status_of("log10_direct"), _NO_STATUS)):
        columns[name] = columns[name].copy()
        columns[name][-1] = unknown
    return profile._replace(columns=columns)
