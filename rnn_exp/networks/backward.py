"""The backward pass: through all time at once, or in the windows of truncated backpropagation.

What it leaves of time steps comes in pieces of time. Of a long truncated sequence they are computed
again whenever they are gone through: no more is held at a time than a window can reach.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from rnn_exp.networks.cells import Adjoint, LayerWeights, Totals, Trace
from rnn_exp.networks.forward import ForwardPass
from rnn_exp.networks.network import Network
from rnn_exp.networks.parameters import layer_weights
from rnn_exp.networks.reading import TimeReading
from rnn_exp.networks.readout import LossOf, Objective, Reading, read, reader_of, states_read
from rnn_exp.networks.truncation import Region, Sums, WeightSums, Window, regions
from rnn_exp.shapes import Float

__all__ = ["Piece", "WindowedPieces", "adjoints_of_last", "backward", "read_top"]


class Piece(NamedTuple):
    """What a backward pass leaves of the time steps from start + 1 on.

    ``traces``, ``direct`` and ``totals`` have one entry a layer, from the lowest. A ``direct`` that
    is shorter belongs to the last time steps and is 0 before.
    """

    start: int
    traces: Sequence[Trace]
    direct: Sequence[Float[Tensor, "some run batch hidden"]]
    totals: Sequence[Totals]


def backward(
    parameters: dict[str, Tensor],
    x: Tensor,
    network: Network,
    traces: Sequence[Trace],
    direct: Tensor,
    later: Sequence[tuple[Tensor, ...]] = (),
) -> tuple[list[Tensor], list[Adjoint]]:
    """Return the direct gradients and the adjoint of every layer, from the top's downwards.

    Args:
        parameters: by torch's names, each (run, *shape).
        x: the inputs of these time steps.
        network: what the network is.
        traces: of these time steps.
        direct: of the last of them, of the top layer.
        later: what the adjoint of every layer has handed on from the steps after these.
    """
    directs, cell = [direct], network.make_cell()
    adjoints: list[Adjoint] = []
    for number in reversed(range(network.num_layers)):
        inputs = traces[number - 1].states if number else x
        weights = layer_weights(parameters, number)
        adjoint = cell.adjoint(
            directs[0],
            traces[number],
            inputs,
            weights,
            with_inputs=bool(number),
            later=later[number] if later else (),
        )
        adjoints.insert(0, adjoint)
        if adjoint.inputs is not None:
            directs.insert(0, adjoint.inputs)
    return directs, adjoints


class WindowedPieces:
    """The pieces of truncated backpropagation; they are computed whenever they are gone through.

    Args:
        forward: the forward pass.
        reading: what was read along it.
        windows: the windows, in the order of time.
    """

    def __init__(
        self, forward: ForwardPass, reading: TimeReading, windows: Sequence[Window]
    ) -> None:
        self._forward, self._reading, self._windows = forward, reading, windows
        self._layers = forward.network.num_layers

    def weights_and_pieces(self) -> tuple[list[LayerWeights], Iterable[Piece]]:
        """Return the gradients of every layer's parameters, and the pieces: kept, if it is one."""
        weights = WeightSums()
        if self._forward.is_whole:
            return weights.layers, list(self._pieces(weights))
        begin = self._windows[0].start
        seen = begin
        for region, traces in self._regions(begin):
            self._reading.add(seen, region.stop, traces[-1].states[seen - region.start :])
            seen = region.stop
            for _, _, adjoints in self._backward(region, traces):
                weights.add(adjoints)
        return weights.layers, self

    def __iter__(self) -> Iterator[Piece]:
        """Yield the pieces in the order of time."""
        return self._pieces(WeightSums())

    def _pieces(self, weights: WeightSums) -> Iterator[Piece]:
        """Yield the pieces, and sum the gradients of the parameters on the way."""
        x, network = self._forward.x, self._forward.network
        like = x.new_empty(0, *x.shape[1:3], network.hidden_size)
        sums = Sums(self._layers, like, has_memory=network.kind.has_memory)
        for region, traces in self._regions(0):
            sums.begin(region.start, region.stop)
            for window, directs, adjoints in self._backward(region, traces):
                weights.add(adjoints)
                sums.add(window, directs, adjoints)
            if region.until > region.start:
                done = [trace.between(0, region.until - region.start) for trace in traces]
                yield Piece(region.start, done, *sums.up_to(region.until))

    def _regions(self, begin: int) -> Iterator[tuple[Region, list[Trace]]]:
        for region in regions(self._windows, self._forward.stretches, begin):
            yield region, self._forward.between(region.start, region.stop)

    def _backward(
        self, region: Region, traces: Sequence[Trace]
    ) -> Iterator[tuple[Window, list[Tensor], list[Adjoint]]]:
        """Yield the direct gradients and the adjoints of every window that ends in a region."""
        if not region.windows:
            return
        first, forward = region.windows[0].first, self._forward
        direct = self._reading.direct(first, region.windows[-1].end)
        for window in region.windows:
            start, end = window.start - region.start, window.end - region.start
            cut = [trace.between(start, end) for trace in traces]
            own = direct[window.first - first : window.end - first]
            x = forward.x[window.start : window.end]
            yield window, *backward(forward.parameters, x, forward.network, cut, own)


def adjoints_of_last(
    forward: ForwardPass, last_loss_of: LossOf
) -> Iterator[tuple[int, list[Adjoint]]]:
    """Yield the adjoint of every layer for L_T, the loss of the last answer alone.

    A loss at every time step gives every state a direct gradient, which hides what does not come
    through; this one has nothing but what comes through from the end.

    Args:
        forward: the forward pass.
        last_loss_of: the loss as a function of the last output.

    Yields:
        After how many time steps a piece begins, and its adjoints; the last piece comes first.
    """
    later: list[tuple[Tensor, ...]] = [()] * forward.network.num_layers
    for start, stop in reversed(forward.stretches):
        traces, x = forward.between(start, stop), forward.x[start:stop]
        if stop == len(forward.x):
            top, objective = traces[-1].states, Objective(last_loss_of)
            reading = read_top(top, forward.parameters, objective, forward.network)
            direct = reading.states.transpose(0, 1)
        else:
            direct = traces[-1].states[:0]
        _, adjoints = backward(forward.parameters, x, forward.network, traces, direct, later)
        later = [adjoint.earlier for adjoint in adjoints]
        yield start, adjoints


def read_top(
    top: Tensor, parameters: dict[str, Tensor], objective: Objective, network: Network
) -> Reading:
    """Read what an objective asks for from all states of the top layer."""
    states = states_read(top, objective.answers, objective.ends)
    reader = reader_of(network, parameters["readout.weight"], parameters["readout.bias"])
    return read(states, reader, objective.loss_of)
