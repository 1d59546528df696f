r"""What is measured at a recorded update, per run, and per layer and time step.

The gradient norm at time t is the root mean square over the batch of the per-sequence norm
‖∂L_b/∂h_{t,b}‖. The loss is a mean over B sequences, so it is √B ‖∂L/∂h_t‖_F and does not depend
on the batch size. It is kept as log10.

Contributions say what each time step adds to the gradient of W_hh,

    ∂L/∂W_hh = Σ_t C_t,    C_t = Σ_b δ_{t,b} h_{t-1,b}ᵀ,    δ_t = ∂L/∂(W_hh h_{t-1}).

When the gradient vanishes, the C_t of early steps are lost in the sum, although the sum itself may
be of any size (Pascanu, Mikolov & Bengio 2013, eqs. 3–4).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells import Adjoint, Cell, Trace
from rnn_exp.networks.gradients import Gradients
from rnn_exp.networks.network import Network
from rnn_exp.networks.norms import log10_norm, norm
from rnn_exp.shapes import Float, Shaped
from rnn_exp.theory.lyapunov import spectrum

__all__ = [
    "COLUMNS",
    "Known",
    "Recorded",
    "columns_of",
    "contributions",
    "log10_contributions",
    "profile",
    "record",
]

# Numbers of all C_t that are held at a time: they are many, and only their norms are wanted.
_AT_ONCE = 1 << 20


def contributions(
    trace: Trace, deltas: Float[Tensor, "time run batch gates_hidden"]
) -> Float[Tensor, "time run gates_hidden hidden"]:
    """Return C_t of every time step; their sum over time is ∂L/∂W_hh."""
    return deltas.mT @ trace.before


def log10_contributions(
    trace: Trace, deltas: Float[Tensor, "time run batch gates_hidden"]
) -> Float[Tensor, "time run"]:
    """Return log10 ‖C_t‖ (Frobenius) of every time step."""
    T, R, _, G = deltas.shape
    steps = max(1, _AT_ONCE // (R * G * trace.before.shape[-1]))
    pieces = [
        log10_norm(
            contributions(trace.between(start, start + steps), deltas[start : start + steps])
        )
        for start in range(0, T, steps)
    ]
    return torch.cat(pieces)


COLUMNS = ("log10_total", "log10_direct", "log10_contribution", "saturation", "state_rms")


class Known(NamedTuple):
    """What is known of an update when it is recorded."""

    error: Float[Tensor, " run"]
    clipped: Shaped[Tensor, " run"]
    omega: Float[Tensor, " run"]
    moved: Float[Tensor, " run"]
    length: list[int]


class Recorded(NamedTuple):
    """What is measured at a recorded update, before the weights move."""

    known: Known
    recurrent_grad_norm: Float[Tensor, " run"]
    spectral_radius: Float[Tensor, " run"]
    largest_singular_value: Float[Tensor, " run"]
    profile: Float[Tensor, "column layer time run"]
    exponents: Float[Tensor, "run k"]


def record(
    gradients: Gradients,
    weight_hh: Float[Tensor, "run gates_hidden hidden"],
    network: Network,
    known: Known,
    late: list[Tensor] | None = None,
    exponents: int = 0,
) -> Recorded:
    """Measure an update; ``weight_hh`` is the top layer's, ``late`` as in `profile`.

    The spectrum is that of W_hh, and in a gated cell that of the block of the candidate state
    (GRU n, LSTM g), which is the third; NaN where it is not all finite.
    """
    n = network.hidden_size
    W = weight_hh[:, 2 * n : 3 * n] if network.gated else weight_hh
    sane = W.isfinite().all(-1).all(-1)
    safe = torch.where(sane[:, None, None], W, 0.0).double()
    # Not abs(): that of complex numbers rounds the last few of a block in another way.
    radius = torch.view_as_real(torch.linalg.eigvals(safe)).square().sum(-1).amax(-1).sqrt()
    nothing = torch.full_like(sane, math.nan, dtype=torch.float64)
    return Recorded(
        known=known,
        recurrent_grad_norm=norm(gradients.parameters[network.top]),
        spectral_radius=torch.where(sane, radius, nothing),
        largest_singular_value=torch.where(sane, torch.linalg.svdvals(safe)[:, 0], nothing),
        profile=profile(gradients, network.layer, late),
        exponents=_exponents(gradients, weight_hh, network, exponents, known.length),
    )


def _exponents(
    gradients: Gradients, W: Tensor, network: Network, k: int, length: list[int]
) -> Tensor:
    """Return the k largest exponents of the top layer; NaN where a state or W is not finite.

    The first tenth of the time steps only turns the tangent vectors (see `spectrum`).
    """
    found = W.new_full((len(W), k), math.nan, dtype=torch.float64)
    trace = gradients.traces[-1]
    fine = trace.now.isfinite().all(-1).all(-1).all(0) & W.isfinite().all(-1).all(-1)
    # One run after the other: of many at once a QR may round in another way.
    for run in fine.nonzero().flatten().tolist() if k else ():
        one, T = slice(run, run + 1), length[run]
        states = trace.now[:T, one]
        found[run] = spectrum(W[one], states, network.activation, k=k, burn_in=T // 10).mean(1)[0]
    return found


def columns_of(network: Network, answers: int) -> tuple[str, ...]:
    """Return the columns of `profile`: `COLUMNS`, and what there is beside them.

    log10_total, log10_direct: log10 of the gradient norm. log10_contribution: log10 of the norm of
    what a time step adds to ∂L/∂W_hh. saturation: mean φ' over batch, units and gates (the smaller,
    the more saturated). state_rms: root mean square of h over batch and units. log10_memory: as
    log10_total, of ∂L/∂c_t (LSTM only). log10_late: as log10_total, for the loss of the last answer
    alone, never truncated (losses at more than one time step only; with one it would be log10_total
    again).

    Example:
        >>> columns_of(Network(), answers=1)[:2]
        ('log10_total', 'log10_direct')
    """
    memory = ("log10_memory",) if network.cell == "lstm" else ()
    return (*COLUMNS, *memory, *(("log10_late",) if answers > 1 else ()))


def profile(
    gradients: Gradients, cell: Cell, late: list[Tensor] | None = None
) -> Float[Tensor, "column layer time run"]:
    """Return `columns_of` for every layer, time step and run.

    ``late``: the total gradients of the last answer's loss, where there are more answers.
    """
    layers = zip(gradients.traces, gradients.direct, gradients.adjoints, strict=True)
    columns = []
    for number, (trace, direct, found) in enumerate(layers):
        own = _layer_profile(trace, direct, found, cell)
        if late is not None:
            own.append(_log10_per_sequence(late[number]))
        columns.append(torch.stack(own))
    return torch.stack(columns, dim=1)


def _layer_profile(trace: Trace, direct: Tensor, found: Adjoint, cell: Cell) -> list[Tensor]:
    T, _, B, H = trace.now.shape
    result = [
        _log10_per_sequence(found.total),
        _from_the_end(_log10_per_sequence(direct), T),
        log10_contributions(trace, cell.deltas(trace, found)),
        cell.saturation(trace).double(),
        norm(trace.now) / math.sqrt(B * H),
    ]
    if found.memory is not None:
        result.append(_log10_per_sequence(found.memory))
    return result


def _log10_per_sequence(gradient: Tensor) -> Tensor:
    return log10_norm(gradient) + 0.5 * math.log10(gradient.shape[-2])


def _from_the_end(norms: Tensor, T: int) -> Tensor:
    """Put −∞, the log of nothing, in front of the norms of the last steps."""
    return torch.nn.functional.pad(norms, (0, 0, T - len(norms), 0), value=-math.inf)
