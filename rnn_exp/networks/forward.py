"""The forward pass: all states at once, or, of long sequences, a stretch of time at a time.

A stretch is computed again when its states are wanted: from the states at a border before it, which
are kept. Borders lie where a cell cuts the time for its matrix products, so that the same products
are made as of the whole sequence, and states have the same bits.
"""

import dataclasses
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from rnn_exp.networks.cells import Trace
from rnn_exp.networks.cells.layout import chunk_length
from rnn_exp.networks.ends import clear_after
from rnn_exp.networks.network import Network
from rnn_exp.networks.parameters import layer_weights
from rnn_exp.networks.readout import reader_of, states_read
from rnn_exp.shapes import Float, Shaped

__all__ = ["ForwardPass", "Grid", "forward", "grid_of", "outputs"]

# Numbers that a stretch has at least, of a layer and run. Shorter ones would save little memory,
# and sequences of up to one and a half of them are held whole. It must not depend on how many runs
# there are.
_LEAST = 1 << 19
# From one stretch to the next there are so many borders: what is computed again before the wanted
# states is less than such a part of a stretch.
_BORDERS = 4


@dataclasses.dataclass(frozen=True)
class Grid:
    """How the time of a long sequence is cut: a border every ``border`` steps.

    Example:
        >>> Grid(border=2).stretches(T=19)
        [(0, 8), (8, 19)]
    """

    border: int

    @property
    def stretch(self) -> int:
        """The time steps of a stretch."""
        return _BORDERS * self.border

    def stretches(self, T: int) -> list[tuple[int, int]]:
        """Return the first and the last + 1 time step of all stretches; no last one is short."""
        starts = range(0, max(1, T - self.stretch // 2), self.stretch)
        return list(zip(starts, [*starts[1:], T], strict=True))


def grid_of(network: Network, B: int, T: int, window: int) -> Grid | None:
    """Return how to cut the time; None: not at all, the sequence is short.

    Args:
        network: what the network is.
        B: sequences of a batch.
        T: time steps.
        window: the time steps that must be held at once.
    """
    chunk = chunk_length(B, network.kind.gates * network.hidden_size)
    wanted = max(_LEAST // (B * network.hidden_size), window)
    grid = Grid(chunk * -(-wanted // (_BORDERS * chunk)))
    return grid if len(grid.stretches(T)) > 1 else None


def forward(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time run batch input"],
    network: Network,
    ends: Shaped[Tensor, "run batch"] | None = None,
    before: Sequence[Trace] = (),
) -> list[Trace]:
    """Return the trace of every layer, from the lowest.

    Args:
        parameters: by torch's names, each (run, *shape).
        x: the inputs.
        network: what the network is.
        ends: the last time step of each sequence; after it the states are 0.
        before: of every layer, the trace of the time steps before these (`Trace.last_step`); empty:
            there are none.
    """
    cell, traces = network.make_cell(), list[Trace]()
    start = x.new_full((x.shape[1], x.shape[2], network.hidden_size), network.initial_state)
    for number in range(network.num_layers):
        inputs, weights = traces[-1].states if traces else x, layer_weights(parameters, number)
        own = before[number] if before else None
        traces.append(cell.forward(inputs, weights, start if own is None else own.states[-1], own))
        if ends is not None:  # what comes after the end may overflow, and means nothing
            trace, clear = traces[-1], network.kind.clears_kept and not network.phi.bounded
            with torch.inference_mode():
                clear_after(ends, (trace.states, *(trace.kept if clear else ())))
    return traces


class ForwardPass:
    """The states of all layers, of a whole sequence or of stretches of it.

    Args:
        parameters: by torch's names, each (run, *shape).
        x: the inputs.
        network: what the network is.
        ends: the last time step of each sequence; after it the states are 0.
        grid: how the time is cut; None: not at all, and all states are kept.
    """

    def __init__(
        self,
        parameters: dict[str, Tensor],
        x: Float[Tensor, "time run batch input"],
        network: Network,
        ends: Shaped[Tensor, "run batch"] | None = None,
        grid: Grid | None = None,
    ) -> None:
        self.parameters, self.x, self.network, self.ends = parameters, x, network, ends
        self.grid = grid or Grid(len(x))
        self.stretches = [(0, len(x))] if grid is None else grid.stretches(len(x))
        self._borders: dict[int, list[Trace]] = {0: []}
        self._whole: list[Trace] | None = None
        self._finite: Tensor | None = None

    @property
    def is_whole(self) -> bool:
        """Whether all states are kept."""
        return len(self.stretches) == 1

    def walk(self) -> Iterator[tuple[int, int, list[Trace]]]:
        """Compute all states once, in the order of time: start, stop and the traces in between."""
        for start, stop in self.stretches:
            traces = self.between(start, stop)
            if not self.network.is_bounded and not self.is_whole:
                fine = finite(traces)
                self._finite = fine if self._finite is None else self._finite & fine
            if not self.is_whole:
                for border in range(start + self.grid.border, stop + 1, self.grid.border):
                    until = [trace.between(0, border - start) for trace in traces]
                    self._borders[border] = [trace.last_step() for trace in until]
            yield start, stop, traces

    def between(self, start: int, stop: int) -> list[Trace]:
        """Return the traces of time steps start + 1 … stop; they may be computed again.

        Args:
            start: of a sequence in stretches, a step that `walk` has been at.
            stop: the last of the time steps.
        """
        if self._whole is not None:
            return [trace.between(start, stop) for trace in self._whole]
        border = start // self.grid.border * self.grid.border
        ends = None if self.ends is None else self.ends - border
        before = self._borders[border]
        traces = forward(self.parameters, self.x[border:stop], self.network, ends, before)
        if self.is_whole:
            self._whole = traces
        return [trace.between(start - border, stop - border) for trace in traces]

    def top_states(self) -> Float[Tensor, "time run batch hidden"]:
        """Return the top layer's states of all time steps, after `walk`."""
        tops = [self.between(start, stop)[-1].states for start, stop in self.stretches]
        return tops[0] if self.is_whole else torch.cat(tops)

    def first_sequences(self) -> Trace:
        """Return the top layer's trace of the batch's first sequence, after `walk`."""
        found = [
            self.between(start, stop)[-1].each(lambda part: part[:, :, :1].clone())
            for start, stop in self.stretches
        ]
        kept = zip(*(one.kept for one in found), strict=True)
        return Trace(
            torch.cat([one.states for one in found]),
            torch.cat([one.previous_states for one in found]),
            tuple(torch.cat(parts) for parts in kept),
        )

    def top_slopes(self) -> Float[Tensor, "time run batch hidden"] | None:
        """Return φ' of the top layer of all time steps; None: it follows from the states.

        In float64, and of the plain cell, whose step back is φ' and then W.
        """
        if not self.network.phi.needs_input:
            return None
        cell, found = self.network.make_cell(), list[Tensor]()
        for start, stop in self.stretches:
            jacobian = cell.jacobian(self.between(start, stop)[-1].double())
            found += () if jacobian is None else [f for f in jacobian.factors if f is not None]
        return torch.cat(found)

    def finite(self) -> Shaped[Tensor, " run"] | None:
        """Say of which runs all states were finite; None: no state can be anything else."""
        if self.network.is_bounded:
            return None
        return finite(self._whole) if self._whole is not None else self._finite


def finite(traces: Sequence[Trace]) -> Shaped[Tensor, " run"]:
    """Say of which runs all states are finite."""
    found = [trace.states.isfinite().all(-1).all(-1).all(0) for trace in traces]
    return torch.stack(found).all(0)


def outputs(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time run batch input"],
    network: Network,
    answers: int,
    ends: Shaped[Tensor, "run batch"] | None = None,
) -> Float[Tensor, "run answer batch output"]:
    """Return the outputs y = C h + c, without any gradient.

    They are those of the last ``answers`` time steps, or, if there are ``ends``, one at each end.
    """
    h = states_read(forward(parameters, x, network, ends)[-1].states, answers, ends)
    weight, bias = parameters["readout.weight"], parameters["readout.bias"]
    if network.by_kernels:
        reader = reader_of(network, weight, bias)
        y = reader.outputs(reader.rows(h))
    else:
        y = torch.baddbmm(bias.unsqueeze(1), h.flatten(1, 2), weight.transpose(1, 2))
    return y.view(*h.shape[:3], -1)
