r"""From a loss to all gradients: of the parameters, and ∂L/∂h_t of every layer and time step.

A loss whose gradient is not written out is differentiated by autograd, as a function of the outputs
(`readout`); the rest is the adjoint recursion of the cells. Three engines give the same numbers but
for rounding: `scan_engine` runs this package's cells over many runs at once, `kernel_engine` does
so with compiled ones, `torch_engine` runs the genuine torch module of one run.

What belongs to time steps comes in pieces of time (`backward`): one, which is kept, unless long
sequences are truncated.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from rnn_exp.networks.backward import Piece, WindowedPieces, backward, read_top
from rnn_exp.networks.cells import LayerWeights, Trace
from rnn_exp.networks.forward import ForwardPass, Grid
from rnn_exp.networks.network import ENGINES, Engine, Network, Refusal
from rnn_exp.networks.reading import read_along
from rnn_exp.networks.readout import Objective, onto_time
from rnn_exp.networks.torch_modules import empty_module, states_of, torch_refusals
from rnn_exp.networks.truncation import Truncation
from rnn_exp.schema import ACTIVATION_CODES, KERNEL_CELLS
from rnn_exp.shapes import Float

__all__ = ["Gradients", "kernel_engine", "scan_engine", "torch_engine"]


@dataclasses.dataclass(frozen=True)
class Gradients:
    """One backward pass: what the loss is, and how it changes with parameters and states.

    Args:
        loss: of each run.
        outputs: what was read.
        parameters: the gradients of the parameters by torch's names.
        forward: the forward pass.
        pieces: what belongs to time steps, in the order of time; can be gone through many times.
    """

    loss: Float[Tensor, " run"]
    outputs: Float[Tensor, "run answer batch output"]
    parameters: dict[str, Tensor]
    forward: ForwardPass
    pieces: Iterable[Piece]

    @property
    def whole(self) -> Piece:
        """The only piece of time.

        Raises:
            ValueError: if there are several.
        """
        [piece] = self.pieces
        return piece

    @property
    def traces(self) -> Sequence[Trace]:
        """The traces of the only piece."""
        return self.whole.traces

    @property
    def states(self) -> list[Tensor]:
        """h_1…h_T of every layer, of the only piece."""
        return [trace.states for trace in self.whole.traces]

    @property
    def direct(self) -> Sequence[Tensor]:
        """The direct gradients of the only piece."""
        return self.whole.direct

    @property
    def total(self) -> list[Tensor]:
        """∂L/∂h_t of every layer, of the only piece."""
        return [one.total for one in self.whole.totals]


def scan_engine(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time run batch input"],
    objective: Objective,
    network: Network,
    truncation: Truncation | None = None,
    grid: Grid | None = None,
) -> Gradients:
    """Differentiate each run's loss by its parameters and by the states of every layer.

    g_t = d_t + (∂h_{t+1}/∂h_t)ᵀ g_{t+1}, d_t the loss's own gradient by the states h_t.
    With a truncation, all gradients (the recorded ones too) are those of its windows, summed.

    Args:
        parameters: by torch's names, each (run, *shape).
        x: the inputs.
        objective: which time steps are read, and the loss of what is read.
        network: what the network is.
        truncation: the windows of truncated backpropagation; None: none.
        grid: how the time is cut with a truncation; None: not at all.

    Returns:
        The losses, the outputs, and the gradients of both kinds.
    """
    forward = ForwardPass(parameters, x, network, objective.ends, grid if truncation else None)
    reading = read_along(forward, objective)
    if truncation is None:
        traces = forward.between(0, len(x))
        direct = reading.direct(objective.first(len(x)), len(x))
        directs, adjoints = backward(parameters, x, network, traces, direct)
        pieces: Iterable[Piece] = [Piece(0, traces, directs, adjoints)]
        layers = [adjoint.weights for adjoint in adjoints]
    else:
        windowed = WindowedPieces(forward, reading, truncation.windows_of(objective, len(x)))
        layers, pieces = windowed.weights_and_pieces()
    by_name = _by_name(layers) | reading.of_weights()
    return Gradients(reading.loss, reading.outputs, by_name, forward, pieces)


@torch.inference_mode()
def kernel_engine(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time run batch input"],
    objective: Objective,
    network: Network,
    truncation: Truncation | None = None,
    grid: Grid | None = None,
) -> Gradients:
    """Do as `scan_engine` with cells that are kernels; torch records nothing for autograd.

    A loss that autograd differentiates does so by itself (`readout.differentiated`).
    """
    by_run = x.transpose(0, 1).contiguous().transpose(0, 1)  # as both passes read them
    return scan_engine(parameters, by_run, objective, network, truncation, grid)


def torch_engine(
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time 1 batch input"],
    objective: Objective,
    network: Network,
    truncation: Truncation | None = None,
    grid: Grid | None = None,
) -> Gradients:
    """Do as `scan_engine` with the genuine torch module and its own backward pass.

    The module returns the states of its top layer only, and no gradient by the others: traces and
    total gradients are computed from the same weights. Loss, outputs and the gradients of the
    parameters are torch's.

    Raises:
        ValueError: for a truncation: the module goes back to the start.
    """
    del grid
    if truncation is not None:
        raise ValueError("torch's module cannot truncate its backward pass; use the scan engine")
    names = [name for name in parameters if not name.startswith("readout")]
    leaves = {name: parameters[name].detach().requires_grad_() for name in names}
    module = empty_module(network, x.shape[-1], x.device)
    end = len(x) if objective.ends is None else int(objective.ends.max())
    own = {name: leaf[0] for name, leaf in leaves.items()}
    top = states_of(module, own, x[:end, 0], network).unsqueeze(1)
    first = objective.first(len(x))
    reading = read_top(top.detach(), parameters, objective, network)
    direct = onto_time(reading.states, objective, len(x), first, len(x))
    by_weight = torch.autograd.grad(
        top[first:],
        list(leaves.values()),
        direct[: end - first],
        allow_unused=True,  # biases that the module has not
        materialize_grads=True,
    )
    gradients = dict(zip(names, by_weight, strict=True))
    gradients |= {"readout.weight": reading.weight, "readout.bias": reading.bias}
    forward = ForwardPass(parameters, x, network, objective.ends)
    traces = forward.between(0, len(x))
    pieces = [Piece(0, traces, *backward(parameters, x, network, traces, direct))]
    return Gradients(reading.loss, reading.outputs, gradients, forward, pieces)


def _by_name(layers: Sequence[LayerWeights]) -> dict[str, Tensor]:
    """Return the gradients of every layer's parameters by torch's names."""
    return {
        f"{name}_l{number}": value
        for number, layer in enumerate(layers)
        for name, value in layer.named().items()
    }


def _no_refusals(network: Network) -> Iterator[Refusal]:
    del network
    yield from ()


def _kernel_refusals(network: Network) -> Iterator[Refusal]:
    """Yield what has no kernel."""
    if network.cell not in KERNEL_CELLS:
        able = ", ".join(KERNEL_CELLS)
        yield "cell", network.cell, f"{able} with engine=kernel; use engine=scan"
    if network.activation not in ACTIVATION_CODES:
        able = ", ".join(ACTIVATION_CODES)
        yield "activation", network.activation, f"{able} with engine=kernel; use engine=scan"


ENGINES.register(
    Engine("kernel", kernel_engine, many_runs=True, truncates=True, refusals=_kernel_refusals)
)
ENGINES.register(Engine("scan", scan_engine, many_runs=True, truncates=True, refusals=_no_refusals))
ENGINES.register(
    Engine("torch", torch_engine, many_runs=False, truncates=False, refusals=torch_refusals)
)
