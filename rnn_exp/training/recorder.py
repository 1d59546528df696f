r"""What is measured at a recorded update, per run, and per layer and time step.

The gradient norm at time t is the root mean square over the batch of the per-sequence norm
‖∂L_b/∂h_{t,b}‖. The loss is a mean over B sequences, so it is √B ‖∂L/∂h_t‖_F and does not depend
on the batch size. It is kept as log10.

Contributions say what each time step adds to the gradient of W_hh,

    ∂L/∂W_hh = Σ_t C_t,    C_t = Σ_b δ_{t,b} h_{t-1,b}ᵀ,    δ_t = ∂L/∂(W_hh h_{t-1}).

When the gradient vanishes, the C_t of early steps are lost in the sum, although the sum itself may
be of any size (Pascanu, Mikolov & Bengio 2013, eqs. 3–4).

The names of what is measured are columns of `schema`. A new column is a line there and one here.
"""

import math
from collections.abc import Container, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from rnn_exp.networks.cells import Adjoint, Cell, Trace
from rnn_exp.networks.gradients import Gradients
from rnn_exp.networks.network import Network
from rnn_exp.networks.norms import log10_norm, norm
from rnn_exp.shapes import Float
from rnn_exp.tasks import SequenceBatch
from rnn_exp.theory.lyapunov import spectrum
from rnn_exp.training.batch import BatchGradients, RunBatch
from rnn_exp.training.run import Run

__all__ = [
    "Recorder",
    "Rows",
    "candidate_spectrum",
    "contributions",
    "log10_contributions",
    "profile",
]

Rows = dict[str, np.ndarray]
"""What was recorded of a run: by column, an entry a recorded update (layer and time, or index)."""

# Numbers of all C_t that are held at a time: they are many, and only their norms are wanted.
_MOST_NUMBERS = 1 << 20


class Recorder:
    """Measures updates and keeps the rows of every run.

    Args:
        runs: the runs; they agree in everything but init and seed.
        before: the rows of each run so far, where it goes on from a snapshot.
    """

    def __init__(self, runs: Sequence[Run], before: Sequence[Rows] = ()) -> None:
        self._recording, self._updates = runs[0].recording, runs[0].training.updates
        self._arrays = dict(zip(runs, before or ({} for _ in runs), strict=True))
        # What was measured, and the run's place in it: reading numbers makes a GPU wait.
        self._pending: dict[Run, list[tuple[int, Mapping[str, Tensor]]]] = {run: [] for run in runs}

    def wanted(self, number: int) -> bool:
        """Say whether an update is recorded, by its number."""
        return self._recording.wanted(number, self._updates)

    def measure(
        self, number: int, batch: RunBatch, data: SequenceBatch, gradients: BatchGradients
    ) -> dict[str, Tensor]:
        """Measure an update before its weights move.

        Args:
            number: of the update.
            batch: the runs.
            data: the update's sequences.
            gradients: of the update.

        Returns:
            By column: (run) of the table of updates, (layer, time, run) of that of gradients,
            (index, run) of that of exponents.
        """
        network, found = batch.network, gradients.network
        radius, largest = candidate_spectrum(batch.top_weight, network)
        unused = torch.full_like(found.loss, math.nan)
        late = batch.late_totals(data, found)
        return {
            "update": torch.full((len(batch.runs),), number),
            "length": torch.tensor(data.lengths),
            "loss": found.loss,
            "error": batch.error(data, found),
            "grad_norm": gradients.norm,
            "clipped": batch.clipped(gradients),
            "recurrent_grad_norm": norm(found.parameters[network.top_weight]),
            "spectral_radius": radius,
            "largest_singular_value": largest,
            "omega": gradients.penalties.get("omega", unused),
            "weight_change": batch.weight_change(),
            **profile(found, network.make_cell(), late),
            "exponent": _exponents(found, batch, self._recording.exponents, data.lengths).T,
        }

    def keep(
        self, measured: Mapping[str, Tensor], runs: Sequence[Run], only: Container[Run] | None
    ) -> None:
        """Keep what was measured of all runs, or of some of them alone.

        Args:
            measured: as `measure` returns it.
            runs: the runs that it has entries for, in order.
            only: whose rows are kept; None: all.
        """
        for place, run in enumerate(runs):
            if only is None or run in only:
                self._pending[run].append((place, measured))

    def rows(self, run: Run) -> Rows:
        """Return all that was recorded of a run: an array a column, an entry a recorded update."""
        if new := self._pending[run]:
            fresh = [_row(measured, place) for place, measured in new]
            arrays = {name: np.array([row[name] for row in fresh]) for name in fresh[0]}
            old = self._arrays[run]
            self._arrays[run] = {
                name: np.concatenate([old[name], values]) if old else values
                for name, values in arrays.items()
            }
            self._pending[run] = []
        return self._arrays[run]


def _row(measured: Mapping[str, Tensor], place: int) -> dict[str, object]:
    """Return one run's numbers and arrays of one update."""
    row: dict[str, object] = {}
    for name, values in measured.items():
        own = values[..., place]
        row[name] = own.cpu().numpy() if own.ndim else own.item()
    return row


def profile(
    gradients: Gradients, cell: Cell, late: list[Tensor] | None = None
) -> dict[str, Float[Tensor, "layer time run"]]:
    """Return the columns that have an entry a layer, time step and run.

    Args:
        gradients: of an update.
        cell: what computes a layer.
        late: the total gradients of the last answer's loss, where there are more answers.

    Returns:
        By column (`schema.TABLES`): log10_total, log10_direct, log10_contribution, saturation,
        state_rms; where there is one log10_memory, and log10_late.
    """
    layers = zip(gradients.traces, gradients.direct, gradients.adjoints, strict=True)
    rows = [_layer_profile(trace, direct, adjoint, cell) for trace, direct, adjoint in layers]
    if late is not None:
        for row, total in zip(rows, late, strict=True):
            row["log10_late"] = _log10_per_sequence(total)
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def _layer_profile(
    trace: Trace, direct: Tensor, adjoint: Adjoint, cell: Cell
) -> dict[str, Float[Tensor, "time run"]]:
    T, _, B, H = trace.states.shape
    row = {
        "log10_total": _log10_per_sequence(adjoint.total),
        "log10_direct": _from_the_end(_log10_per_sequence(direct), T),
        "log10_contribution": log10_contributions(trace, cell.deltas(trace, adjoint)),
        "saturation": cell.saturation(trace).double(),
        "state_rms": norm(trace.states) / math.sqrt(B * H),
    }
    if adjoint.memory is not None:
        row["log10_memory"] = _log10_per_sequence(adjoint.memory)
    return row


def _log10_per_sequence(gradient: Tensor) -> Tensor:
    """Return log10 of the root mean square over the batch of each sequence's gradient norm."""
    return log10_norm(gradient) + 0.5 * math.log10(gradient.shape[-2])


def _from_the_end(norms: Tensor, T: int) -> Tensor:
    """Put −∞, the log of nothing, in front of the norms of the last steps."""
    return torch.nn.functional.pad(norms, (0, 0, T - len(norms), 0), value=-math.inf)


def candidate_spectrum(
    weight_hh: Float[Tensor, "run gates_hidden hidden"], network: Network
) -> tuple[Float[Tensor, " run"], Float[Tensor, " run"]]:
    """Return the spectral radius and the largest singular value of W_hh; NaN: it is not finite.

    Of a gated cell they are those of the block that makes the candidate for the new state.

    Args:
        weight_hh: of one layer.
        network: what the network is.
    """
    W = network.kind.candidate_block(weight_hh)
    sane = W.isfinite().all(-1).all(-1)
    safe = torch.where(sane[:, None, None], W, 0.0).double()
    # Not abs(): that of complex numbers rounds the last few of a block in another way.
    radius = torch.view_as_real(torch.linalg.eigvals(safe)).square().sum(-1).amax(-1).sqrt()
    nothing = torch.full_like(sane, math.nan, dtype=torch.float64)
    largest = torch.linalg.svdvals(safe)[:, 0]
    return torch.where(sane, radius, nothing), torch.where(sane, largest, nothing)


def _exponents(
    gradients: Gradients, batch: RunBatch, k: int, lengths: Sequence[int]
) -> Float[Tensor, "run k"]:
    """Return the k largest exponents of the top layer; NaN where a state or W is not finite.

    The first tenth of the time steps only turns the tangent vectors (see `spectrum`).
    """
    W, states = batch.top_weight, gradients.traces[-1].states
    exponents = W.new_full((len(W), k), math.nan, dtype=torch.float64)
    if not k:
        return exponents
    fine = states.isfinite().all(-1).all(-1).all(0) & W.isfinite().all(-1).all(-1)
    # One run after the other: of many at once a QR may round in another way.
    for run in fine.nonzero().flatten().tolist():
        one, T = slice(run, run + 1), lengths[run]
        along = spectrum(W[one], states[:T, one], batch.network.activation, k=k, burn_in=T // 10)
        exponents[run] = along.mean(1)[0]
    return exponents


def contributions(
    trace: Trace, deltas: Float[Tensor, "time run batch gates_hidden"]
) -> Float[Tensor, "time run gates_hidden hidden"]:
    """Return C_t of every time step; their sum over time is ∂L/∂W_hh."""
    return deltas.mT @ trace.previous_states


def log10_contributions(
    trace: Trace, deltas: Float[Tensor, "time run batch gates_hidden"]
) -> Float[Tensor, "time run"]:
    """Return log10 ‖C_t‖ (Frobenius) of every time step."""
    T, R, _, G = deltas.shape
    steps = max(1, _MOST_NUMBERS // (R * G * trace.previous_states.shape[-1]))
    pieces = [
        log10_norm(
            contributions(trace.between(start, start + steps), deltas[start : start + steps])
        )
        for start in range(0, T, steps)
    ]
    return torch.cat(pieces)
