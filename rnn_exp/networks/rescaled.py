r"""∂L/∂h_t of every layer and time step, however small or large: the adjoint without its floor.

The adjoint is linear in the gradient: after every step back, a power of two is taken out of each
sequence's gradient and kept beside it (`scaled`). States and weights are those that training had,
widened to float64; from them come the loss's own gradient and every step's factors. Where a state
is infinite or NaN, so is everything that passes through it: NaN.

Within one sequence and time step numbers share an exponent: what is 1e-300 times the largest of
them is lost. Training never sees any of this.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells import Cell, LayerWeights, Trace
from rnn_exp.networks.ends import ByLag
from rnn_exp.networks.forward import ForwardPass
from rnn_exp.networks.parameters import layer_weights
from rnn_exp.networks.reading import TimeReading, read_along
from rnn_exp.networks.readout import Objective
from rnn_exp.networks.scaled import Scaled
from rnn_exp.networks.truncation import Region, Truncation, Window, regions
from rnn_exp.shapes import Float

__all__ = ["AlignedTotals", "LayerGradients", "rescaled"]


class AlignedTotals(NamedTuple):
    """∂L/∂h_t and ∂L/∂c_t (None: no c) of some steps, over the power of two of each step."""

    total: Float[Tensor, "time run batch hidden"]
    memory: Float[Tensor, "time run batch hidden"] | None
    exponents: Float[Tensor, "time run"]


class LayerGradients(NamedTuple):
    """The gradients of one layer.

    Args:
        direct: those not through later steps, of the last time steps; before them they are 0.
        both: ∂L/∂h_t and, where the cell has a c, ∂L/∂c_t behind it.
        trace: what the forward pass of these runs has left, as training had it.
        weights: the layer's parameters in float64.
    """

    direct: Scaled
    both: Scaled
    trace: Trace
    weights: LayerWeights

    def by_lag(self, lags: ByLag) -> "LayerGradients":
        """Return the same with the time steps of each sequence moved, all of which must be here."""
        trace = lags.trace(self.trace)
        return LayerGradients(lags.scaled(self.direct), lags.scaled(self.both), trace, self.weights)

    @property
    def hidden(self) -> int:
        """The units of the layer."""
        return self.direct.values.shape[-1]

    def totals(self, start: int, stop: int) -> AlignedTotals:
        """Return those of steps start + 1 … stop, a run's sequences over the same power of two."""
        (values, exponents), hidden = self.both.between(start, stop).aligned(), self.hidden
        memory = values[..., hidden:] if values.shape[-1] > hidden else None
        return AlignedTotals(values[..., :hidden], memory, exponents)


def rescaled(
    forward: ForwardPass,
    objective: Objective,
    runs: Sequence[int],
    truncation: Truncation | None = None,
) -> Iterator[tuple[int, list[LayerGradients]]]:
    """Yield the gradients of every layer, from the lowest, of some of the runs, piece by piece.

    Args:
        forward: the forward pass of all runs, which has been made.
        objective: which time steps are read, and the loss of what is read.
        runs: the places of those that are wanted.
        truncation: the windows of truncated backpropagation; None: none.

    Yields:
        After how many time steps a piece begins, and its gradients. With a truncation the pieces
        come in the order of time, else in the opposite one.
    """
    some = _Runs(forward, list(runs))
    reading = read_along(forward, objective, double=True, again=True)
    if truncation is None:
        yield from _in_stretches(some, reading, objective.first(len(forward.x)))
        return
    ends = objective.ends
    own = objective._replace(ends=None if ends is None else ends[list(runs)])
    yield from _in_windows(some, reading, truncation.windows_of(own, len(forward.x)))


class _Runs:
    """Some of the runs: their weights, and their traces and direct gradients at any time."""

    def __init__(self, forward: ForwardPass, places: list[int]) -> None:
        self.forward, self.network, self._places = forward, forward.network, places
        self._everybody = places == list(range(forward.x.shape[1]))
        self.weights = [
            layer_weights(forward.parameters, number).each(lambda part: part[places].double())
            for number in range(self.network.num_layers)
        ]
        self.shape = len(places), forward.x.shape[2], self.network.hidden_size
        self.width = self.shape[-1] * (2 if self.network.kind.has_memory else 1)

    def traces(self, start: int, stop: int) -> list[Trace]:
        """Return the traces of time steps start + 1 … stop."""
        traces = self.forward.between(start, stop)
        return traces if self._everybody else [trace.of_runs(self._places) for trace in traces]

    def direct(self, reading: TimeReading, start: int, stop: int) -> Scaled:
        """Return the direct gradients of these time steps, all of which may have a loss."""
        return Scaled.of(reading.direct(start, stop)[:, self._places])

    def nothing(self, steps: int, width: int) -> Scaled:
        """Return zeros for so many time steps, and numbers of a sequence."""
        return Scaled.zeros((steps, *self.shape[:2], width), self.forward.x.device)


def _in_stretches(
    some: _Runs, reading: TimeReading, first: int
) -> Iterator[tuple[int, list[LayerGradients]]]:
    """Go back through all time, a stretch after the other, the last one first."""
    later = [some.nothing(1, some.width) for _ in some.weights]
    for start, stop in reversed(some.forward.stretches):
        with torch.inference_mode():
            begin = min(max(first, start), stop)
            direct = (
                some.direct(reading, begin, stop)
                if begin < stop
                else some.nothing(0, some.shape[-1])
            )
            found, later = _through_layers(some, direct, some.traces(start, stop), later)
        yield start, found


def _through_layers(
    some: _Runs, direct: Scaled, traces: Sequence[Trace], later: Sequence[Scaled]
) -> tuple[list[LayerGradients], list[Scaled]]:
    """Go back through time in every layer, from the top: what a layer reads is the next's part.

    ``later`` is what steps hand back to these, a layer each; what these hand back is returned.
    """
    cell, found, earlier = some.network.make_cell(), list[LayerGradients](), list[Scaled]()
    for number in reversed(range(len(traces))):
        both, of_inputs, before = _through_time(
            cell,
            direct,
            traces[number],
            some.weights[number],
            later[number],
            with_inputs=bool(number),
        )
        found.insert(0, LayerGradients(direct, both, traces[number], some.weights[number]))
        earlier.insert(0, before)
        if of_inputs is not None:
            direct = of_inputs
    return found, earlier


def _through_time(
    cell: Cell,
    direct: Scaled,
    trace: Trace,
    weights: LayerWeights,
    later: Scaled,
    *,
    with_inputs: bool,
) -> tuple[Scaled, Scaled | None, Scaled]:
    """Return ∂L/∂h_t with ∂L/∂c_t behind it, ∂L/∂x_t if it is wanted, and what is handed back."""
    (T, R, B, H), device = trace.states.shape, trace.states.device
    width, known = later.values.shape[-1], T - len(direct.values)
    found = Scaled.zeros((T, R, B, width), device)
    # Whoever asks for it is a layer above another, whose states it reads.
    of_inputs = Scaled.zeros((T if with_inputs else 0, R, B, H), device)
    sick = ~trace.states.abs().amax(-1).isfinite()
    any_sick = bool(sick.any())
    for t in reversed(range(T)):
        if t >= known:
            later = later.plus(direct.between(t - known, t - known + 1))
        later = later.settled()
        if any_sick:
            reached = sick[t : t + 1] & ~later.nothing
            later.values.masked_fill_(reached.unsqueeze(-1), torch.nan)
        values, exponents = later
        carried = values[..., H:] if width > H else None
        back = cell.step_back(
            values[..., :H], carried, trace.between(t, t + 1).double(), weights, with_inputs
        )
        whole = values if back.memory is None else torch.cat([values[..., :H], back.memory], -1)
        found.put(t, Scaled(whole, exponents))
        if back.inputs is not None:
            of_inputs.put(t, Scaled(back.inputs, exponents).settled())
        on = back.total if back.carried is None else torch.cat([back.total, back.carried], -1)
        later = Scaled(on, exponents)
    return found, of_inputs if with_inputs else None, later


def _in_windows(
    some: _Runs, reading: TimeReading, windows: Sequence[Window]
) -> Iterator[tuple[int, list[LayerGradients]]]:
    """Go back through windows of time, and sum."""
    sums = [(_Sum(some, some.shape[-1]), _Sum(some, some.width)) for _ in some.weights]
    later = [some.nothing(1, some.width) for _ in some.weights]
    for region in regions(windows, some.forward.stretches):
        traces = some.traces(region.start, region.stop)
        for one in (one for layer in sums for one in layer):
            one.begin(region.start, region.stop)
        with torch.inference_mode():
            for window, found in _backward(some, reading, region, traces, later):
                for (direct, both), layer in zip(sums, found, strict=True):
                    direct.add(layer.direct, window.end)
                    both.add(layer.both, window.end)
        until = region.until - region.start
        if until:
            done = [trace.between(0, until) for trace in traces]
            parts = zip(sums, done, some.weights, strict=True)
            yield (
                region.start,
                [
                    LayerGradients(
                        direct.up_to(region.until), both.up_to(region.until), trace, weights
                    )
                    for (direct, both), trace, weights in parts
                ],
            )


def _backward(
    some: _Runs,
    reading: TimeReading,
    region: Region,
    traces: Sequence[Trace],
    later: Sequence[Scaled],
) -> Iterator[tuple[Window, list[LayerGradients]]]:
    """Yield the gradients of every window that ends in a region."""
    if not region.windows:
        return
    first = region.windows[0].first
    direct = some.direct(reading, first, region.stop)
    for window in region.windows:
        start, end = window.start - region.start, window.end - region.start
        cut = [trace.between(start, end) for trace in traces]
        own = direct.between(window.first - first, window.end - first)
        yield window, _through_layers(some, own, cut, later)[0]


class _Sum:
    """Gradients summed over windows; the time moves along."""

    def __init__(self, some: _Runs, width: int) -> None:
        self._some, self._width, self._start = some, width, 0
        self._sum = some.nothing(0, width)

    def begin(self, start: int, stop: int) -> None:
        """Make room for time steps start + 1 … stop; what is before them is forgotten."""
        kept = self._sum.between(start - self._start, len(self._sum.values))
        self._sum, self._start = self._some.nothing(stop - start, self._width), start
        self._sum.put(0, kept)

    def add(self, more: Scaled, end: int) -> None:
        """Add gradients of the time steps up to one."""
        stop = end - self._start
        start = stop - len(more.values)
        self._sum.put(start, self._sum.between(start, stop).plus(more).settled())

    def up_to(self, until: int) -> Scaled:
        """Return the sums of the time steps up to one."""
        return self._sum.between(0, until - self._start)
