"""What a recurrent network and its read-out are: a frozen value, and the shapes of its parameters.

Engines, which compute such networks, are described here and do their work in `gradients`.
"""

import dataclasses
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import torch

from rnn_exp.fields import (
    SettingError,
    as_typed,
    check,
    choice,
    flag,
    more,
    number,
    pairs_of,
    whole,
)
from rnn_exp.networks.cells import ACTIVATIONS, CELLS, Activation, Cell, CellKind
from rnn_exp.networks.kernel.cells import kernel_cell
from rnn_exp.networks.matrices import matrices_of
from rnn_exp.networks.parameters import Parameters
from rnn_exp.networks.parametrizations import PARAMETRIZATIONS, Parametrization
from rnn_exp.registry import Registry
from rnn_exp.schema import AUTO, KERNEL, decided_engine

__all__ = [
    "DTYPES",
    "ENGINES",
    "Engine",
    "Network",
    "Refusal",
    "shapes",
]

DTYPES = {"float32": torch.float32, "float64": torch.float64}

Refusal = tuple[str, object, str]
"""A setting that excludes another: its key, its value, and what is allowed and why."""


@dataclasses.dataclass(frozen=True)
class Engine:
    """What computes a loss and all its gradients (`gradients`), and what it cannot do.

    Args:
        name: the word of ``network.engine``.
        run: the function.
        many_runs: whether it computes many runs at once.
        truncates: whether it can truncate backpropagation.
        refusals: the settings of a network that it cannot compute.
    """

    name: str
    run: Callable[..., Any]
    many_runs: bool
    truncates: bool
    refusals: Callable[["Network"], Iterator[Refusal]]


ENGINES: Registry[Engine] = Registry("engine")
"""Filled by `gradients`."""


class _EngineWords(Collection[str]):
    """The words of ``network.engine``: the engines, and the one that chooses among them."""

    def __iter__(self) -> Iterator[str]:
        yield from (AUTO, *ENGINES)

    def __len__(self) -> int:
        return 1 + len(ENGINES)

    def __contains__(self, word: object) -> bool:
        return word == AUTO or word in ENGINES


@dataclasses.dataclass(frozen=True)
class Network:
    """A stack of recurrent layers, from h_0 = ``initial_state``, and a linear read-out.

    Args:
        activation: φ, the nonlinearity of every unit.
        hidden_size: n, units of a layer.
        num_layers: how many layers; the top one is read out.
        cell: ``rnn`` is h_t = φ(u_t), u_t = W_hh h_{t-1} + b_hh + W_ih x_t + b_ih; ``leaky`` is
            (1 − α) h_{t-1} + α φ(u_t) and ``residual`` h_{t-1} + α φ(u_t); ``normed`` normalises
            u_t over the units; ``gru`` and ``lstm`` are torch's.
        leak: α of leaky and residual.
        initial_state: h_0 of every unit.
        parametrization: with ``orthogonal`` W_hh stays orthogonal in training (times the init's
            gain).
        engine: ``auto`` (decided when a run is planned: ``kernel`` where its cell and activation
            have one and the device is the processor, else ``scan``), ``kernel`` (compiled loops,
            many runs at once), ``scan`` (the same in torch, of every cell, on every device) or
            ``torch`` (the genuine module, one run at a time). The first update is the same but
            for rounding, which grows in training.
        dtype: the precision of states and weights.
        bias: whether layers and read-out have biases; without them they are 0 and stay 0.
        more: the settings that the cell itself brings, where it is one of your own.

    Raises:
        SettingError: for a size below 1, an unknown word, or settings that exclude each other.
    """

    activation: str = choice("tanh", ACTIVATIONS)
    hidden_size: int = whole(128, least=1, short="units")
    num_layers: int = whole(1, least=1, short="layers")
    cell: str = choice("rnn", CELLS)
    leak: float | None = number(None, above=0)
    initial_state: float = number(0.0, short="state")
    parametrization: str = choice("free", PARAMETRIZATIONS, short="W")
    engine: str = choice(AUTO, _EngineWords())
    dtype: str = choice("float32", DTYPES, short="")
    bias: bool = flag(True)
    more: Iterable[tuple[str, Any]] | Mapping[str, Any] = more()

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        own = self.kind.options
        kinds = {} if own is None else {f"network.cell={self.cell}": own}
        object.__setattr__(self, "more", pairs_of(kinds, self.more))
        of_engine = () if self.engine == AUTO else ENGINES[self.engine].refusals(self)
        for key, value, reason in (*self._refusals(), *of_engine):
            raise SettingError(key, value, reason)

    def _refusals(self) -> Iterator[Refusal]:
        kind, with_cell = self.kind, f"with cell={self.cell}"
        if kind.only_activation not in (None, self.activation):
            yield "activation", self.activation, f"{kind.only_activation} {with_cell}"
        if kind.has_leak and not (self.leak is not None and self.leak <= 1):
            yield "leak", as_typed(self.leak), f"a number above 0 and at most 1 {with_cell}"
        if not kind.has_leak and self.leak is not None:
            leaking = " and ".join(name for name, one in CELLS.items() if one.has_leak)
            yield "leak", self.leak, f"null {with_cell} (it is the step of {leaking})"
        kind.shapes(self.hidden_size, 1)  # a cell may refuse a number of units
        if PARAMETRIZATIONS[self.parametrization].is_orthogonal and not kind.is_square:
            reason = f"its {kind.not_square}"
            yield "parametrization", self.parametrization, f"free {with_cell}: {reason}"

    @property
    def kind(self) -> CellKind:
        """What the cell can and cannot do."""
        return CELLS[self.cell]

    @property
    def by_kernels(self) -> bool:
        """Whether its passes are kernels."""
        return self.engine == KERNEL.engine

    @property
    def top_weight(self) -> str:
        """The name of the recurrent weights of the highest layer, which is read out."""
        return f"{self.kind.recurrent}_l{self.num_layers - 1}"

    @property
    def phi(self) -> Activation:
        """The activation itself."""
        return ACTIVATIONS[self.activation]

    @property
    def is_bounded(self) -> bool:
        """Whether no state can be infinite."""
        return self.phi.bounded and self.kind.is_bounded

    @property
    def torch_dtype(self) -> torch.dtype:
        """The precision as torch names it."""
        return DTYPES[self.dtype]

    def has(self, parameter: str) -> bool:
        """Say whether a parameter, by torch's name, is there and trained, and not 0 for ever.

        Example:
            >>> Network(bias=False).has("bias_hh_l0"), Network(bias=False).has("weight_hh_l0")
            (False, True)
        """
        return self.bias or "bias" not in parameter

    def make_cell(self) -> Cell:
        """Return what computes a layer."""
        own = self.kind.options
        made = self.kind.build(self.phi, self.leak if own is None else own(**dict(self.more)))
        return kernel_cell(made) if self.by_kernels else made

    def parametrized(self, given: Parameters) -> Parametrization:
        """Return what is between the weights and what is trained.

        Args:
            given: the weights that training starts from.
        """
        return PARAMETRIZATIONS[self.parametrization](given, matrices_of(self.engine))

    def decided(self, device: str) -> "Network":
        """Return the network with an engine that is not ``auto``.

        Args:
            device: where it is to be computed: kernels are of the processor, ``cpu``.

        Example:
            >>> Network().decided("cpu").engine, Network(cell="normed").decided("cpu").engine
            ('kernel', 'scan')
        """
        engine = decided_engine(self.engine, self.cell, self.activation, device)
        return self if engine == self.engine else dataclasses.replace(self, engine=engine)


def shapes(network: Network, input_size: int, output_size: int) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter under torch's names, in torch's order.

    Args:
        network: what the network is.
        input_size: numbers it reads a time step.
        output_size: numbers it answers with.

    Example:
        >>> list(shapes(Network(hidden_size=3), 2, 1).values())
        [(3, 2), (3, 3), (3,), (3,), (1, 3), (1,)]
    """
    H = network.hidden_size
    result: dict[str, tuple[int, ...]] = {}
    for depth in range(network.num_layers):
        own = network.kind.shapes(H, H if depth else input_size)
        result |= {f"{name}_l{depth}": shape for name, shape in own.items()}
    return result | {"readout.weight": (output_size, H), "readout.bias": (output_size,)}
