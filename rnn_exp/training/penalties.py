r"""Penalties on W_hh: Ω, which asks the gradient to keep its norm, and orthogonality.

Ω (Pascanu, Mikolov & Bengio 2013): with δ_t = ∂L/∂h_t and J_t = ∂h_t/∂h_{t-1},

    ratio    (eq. 9)                    Ω = ⟨ (‖δ_t J_t‖ / ‖δ_t‖ − 1)² ⟩
    squared  (eq. 10, and their code)   Ω = ⟨ (‖δ_t J_t‖² / ‖δ_t‖² − 1)² ⟩

⟨·⟩ is the mean over sequences and time steps t = 2…T with ‖δ_t‖² ≥ 1e-20. Only the *immediate*
derivative by W_hh is taken: δ_t and φ' count as constants. With a linear network and W = cQ, Q
orthogonal, Ω is (c − 1)² or (c² − 1)².

Orthogonality (Vorontsov et al. 2017, eq. 7): ‖WᵀW − 1‖²_F, with gradient 4 W (WᵀW − 1).
"""

from collections.abc import Iterator
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from rnn_exp.networks.cells import Cell, Totals, Trace
from rnn_exp.networks.cells.layout import flatten_time_batch
from rnn_exp.networks.gradients import Gradients
from rnn_exp.networks.matrices import Matrices, matrices_of
from rnn_exp.networks.network import Network, Refusal
from rnn_exp.networks.parametrizations import PARAMETRIZATIONS
from rnn_exp.registry import Registry
from rnn_exp.shapes import Float
from rnn_exp.training.settings import Training

__all__ = [
    "PENALTIES",
    "Layer",
    "Penalty",
    "PenaltyValue",
    "add_penalties",
    "omega",
    "orthogonality",
    "reads_states",
]

_VALID = 1e-10  # of ‖δ_t‖


class PenaltyValue(NamedTuple):
    """The value of a penalty and its gradient by W_hh."""

    value: Float[Tensor, " run"]
    weight_hh: Float[Tensor, "run hidden hidden"]


class Layer(NamedTuple):
    """What a penalty may look at: a layer's W_hh, and, if it reads them, states and gradients."""

    weight_hh: Float[Tensor, "run gates_hidden hidden"]
    cell: Cell
    gradients: Gradients
    number: int

    @property
    def trace(self) -> Trace:
        """What the layer's forward pass has left."""
        return self.gradients.whole.traces[self.number]

    @property
    def totals(self) -> Totals:
        """The gradients by the layer's states."""
        return self.gradients.whole.totals[self.number]

    @property
    def matrices(self) -> Matrices:
        """What computes products, as the network's passes are computed."""
        return matrices_of(self.gradients.forward.network.engine)


@runtime_checkable
class Penalty(Protocol):
    """Something that is added to the loss for the sake of W_hh.

    ``reads_states`` says whether it looks at states and their gradients, of all time steps.
    """

    name: ClassVar[str]
    reads_states: ClassVar[bool]

    def weight(self, training: Training) -> float:
        """Return by how much it counts; 0: it is not used."""
        ...

    def refusals(self, network: Network, training: Training) -> Iterator[Refusal]:
        """Yield why it makes no sense for a network: key, value, what is allowed."""
        ...

    def of_layer(self, layer: Layer, training: Training) -> PenaltyValue:
        """Return its value for one layer, and its gradient by W_hh."""
        ...


class Omega:
    """Ω of Pascanu, Mikolov & Bengio (2013), in the form ``training.omega_form``."""

    name: ClassVar[str] = "omega"
    reads_states: ClassVar[bool] = True

    def weight(self, training: Training) -> float:
        """Return ``training.omega``."""
        return training.omega

    def refusals(self, network: Network, training: Training) -> Iterator[Refusal]:
        """Yield that Ω is written for the plain recurrence."""
        if not network.kind.is_plain:
            reason = "Ω is written for h_t = φ(W h_{t-1} + …)"
            allowed = f"0 with network.cell={network.cell}: {reason}"
            yield "training.omega", training.omega, allowed

    def of_layer(self, layer: Layer, training: Training) -> PenaltyValue:
        """Return Ω and its immediate gradient."""
        deltas = layer.cell.deltas(layer.trace, layer.totals)
        given = layer.totals.total, deltas, layer.weight_hh
        return omega(*given, training.omega_form, layer.matrices)


class Orthogonality:
    """The squared distance of WᵀW from 1."""

    name: ClassVar[str] = "orthogonality"
    reads_states: ClassVar[bool] = False

    def weight(self, training: Training) -> float:
        """Return ``training.orthogonality``."""
        return training.orthogonality

    def refusals(self, network: Network, training: Training) -> Iterator[Refusal]:
        """Yield that W_hh is no square matrix, or stays orthogonal by itself."""
        key, value = "training.orthogonality", training.orthogonality
        if not network.kind.is_square:
            reason = f"its {network.kind.not_square}"
            yield key, value, f"0 with network.cell={network.cell}: {reason}"
        if PARAMETRIZATIONS[network.parametrization].is_orthogonal:
            given = f"network.parametrization={network.parametrization}"
            yield key, value, f"0 with {given}, which needs no penalty"

    def of_layer(self, layer: Layer, training: Training) -> PenaltyValue:
        """Return ‖WᵀW − 1‖² and its gradient."""
        del training
        return orthogonality(layer.weight_hh, layer.matrices)


PENALTIES: Registry[Penalty] = Registry("penalty")
PENALTIES.register(Omega())
PENALTIES.register(Orthogonality())


def reads_states(training: Training) -> bool:
    """Say whether a penalty in use looks at states, for which all of them are then kept."""
    return any(one.reads_states for one in PENALTIES.values() if one.weight(training))


def add_penalties(
    gradients: Gradients, weights: dict[str, Tensor], network: Network, training: Training
) -> dict[str, Float[Tensor, " run"]]:
    """Add the gradients of all penalties in use to those of W_hh, in place.

    Args:
        gradients: of the loss; its ``parameters`` are changed.
        weights: the network's parameters by torch's names.
        network: what the network is.
        training: which penalties count, and by how much.

    Returns:
        The value of each penalty in use, for the top layer.
    """
    values: dict[str, Tensor] = {}
    in_use = [one for one in PENALTIES.values() if one.weight(training)]
    own, cell = training.own_penalties, network.make_cell()
    for number in range(network.num_layers) if in_use or own else ():
        name = f"weight_hh_l{number}"
        layer = Layer(weights[name], cell, gradients, number)
        for penalty in in_use:
            values[penalty.name], slope = penalty.of_layer(layer, training)
            share = penalty.weight(training) * slope
            gradients.parameters[name] = gradients.parameters[name] + share
        for penalty_of_user in own:
            value, slope = penalty_of_user.with_gradient(weights[name])
            values[penalty_of_user.name] = value
            share = penalty_of_user.weight * slope
            gradients.parameters[name] = gradients.parameters[name] + share
    return values


@torch.inference_mode()
def omega(
    total: Float[Tensor, "time run batch hidden"],
    deltas: Float[Tensor, "time run batch hidden"],
    weight_hh: Float[Tensor, "run hidden hidden"],
    form: str,
    matrices: Matrices,
) -> PenaltyValue:
    """Return Ω and its immediate gradient.

    With a = φ' ⊙ δ_t / ‖δ_t‖, Wᵀ a is what a step back leaves of a gradient of size 1, and the
    gradient of ‖Wᵀ a‖² by W is 2 a (Wᵀ a)ᵀ: the sum over time and batch is one GEMM.

    Args:
        total: δ_t = ∂L/∂h_t.
        deltas: φ'(u_t) ⊙ δ_t.
        weight_hh: W.
        form: ``ratio`` or ``squared``.
        matrices: what computes products.
    """
    size = torch.linalg.vector_norm(flatten_time_batch(total[1:]), dim=-1, dtype=torch.float64)
    valid = size >= _VALID
    unit = torch.where(valid, size, 1.0).to(weight_hh.dtype).unsqueeze(-1)
    a = flatten_time_batch(deltas[1:]) / unit
    after = matrices.product(a, weight_hh)
    ratio = after.square().sum(-1)
    if form == "squared":
        missed, slope = ratio - 1, torch.full_like(ratio, 2.0)
    else:
        root = ratio.sqrt()
        missed, slope = root - 1, torch.where(root > 0, 1 / root, 0.0)
    counted = valid.to(ratio.dtype) / valid.sum(-1, keepdim=True).clamp(min=1)
    share = (2 * counted * missed * slope).unsqueeze(-1)
    slope_of_W = matrices.product((share * a).mT, after)
    return PenaltyValue((counted * missed.square()).sum(-1), slope_of_W)


@torch.inference_mode()
def orthogonality(
    weight_hh: Float[Tensor, "run hidden hidden"], matrices: Matrices
) -> PenaltyValue:
    """Return ‖WᵀW − 1‖² and its gradient.

    Args:
        weight_hh: W.
        matrices: what computes products.

    Example:
        >>> from rnn_exp.networks.matrices import TorchMatrices
        >>> orthogonality(2 * torch.eye(2).unsqueeze(0), TorchMatrices()).value.item()
        18.0
    """
    W = weight_hh
    one = torch.eye(W.shape[-1], dtype=W.dtype, device=W.device)
    missed = matrices.product(W.mT, W) - one
    return PenaltyValue(missed.square().flatten(1).sum(-1), 4 * matrices.product(W, missed))
