"""Eigenvalues, exponents and singular values of the top layer at a recorded update."""

import functools
import math
import operator
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from rnn_exp.networks.gradients import Gradients
from rnn_exp.networks.network import Network
from rnn_exp.networks.norms import largest_singular_value
from rnn_exp.networks.parameters import layer_weights
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks import SequenceBatch
from rnn_exp.theory.directions import log10_singular_values, log10_singular_values_of_cell
from rnn_exp.theory.lyapunov import spectrum
from rnn_exp.training.batch import RunBatch

__all__ = ["CandidateBlock", "exponents", "singular_values"]


class CandidateBlock:
    """The square block of W_hh that makes the candidate for the new state, and its spectrum.

    Of a cell without gates it is W_hh itself. A spectrum is NaN where the block is not finite, or
    where the cell has recurrent weights that are no such matrix.

    Args:
        weight_hh: of one layer.
        network: what the network is.
    """

    def __init__(self, weight_hh: Float[Tensor, "run ..."], network: Network) -> None:
        self._weight_hh, self._network = weight_hh, network

    def spectral_radius(self) -> Float[Tensor, " run"]:
        """Return the largest modulus of an eigenvalue."""
        return self._measured(_largest_modulus)

    def sigma_max(self) -> Float[Tensor, " run"]:
        """Return the largest singular value."""
        return self._measured(largest_singular_value)

    @functools.cached_property
    def _blocks(self) -> tuple[Float[Tensor, "run n n"], Shaped[Tensor, " run"]]:
        """The blocks in float64, zeros where one is not finite, and which are."""
        W = self._network.kind.candidate_block(self._weight_hh)
        sane = W.isfinite().all(-1).all(-1)
        return torch.where(sane[:, None, None], W, 0.0).double(), sane

    def _measured(self, measure: Callable[[Tensor], Tensor]) -> Float[Tensor, " run"]:
        """Return what is measured of the blocks, in float64."""
        if not self._network.kind.has_matrix:
            runs = self._weight_hh.shape[:1]
            return self._weight_hh.new_full(runs, math.nan, dtype=torch.float64)
        W, sane = self._blocks
        found = measure(W)
        return torch.where(sane, found, torch.full_like(found, math.nan))


def _largest_modulus(W: Float[Tensor, "run n n"]) -> Float[Tensor, " run"]:
    # Not abs(): that of complex numbers rounds the last few of a block in another way.
    return torch.view_as_real(torch.linalg.eigvals(W)).square().sum(-1).amax(-1).sqrt()


def exponents(
    gradients: Gradients, batch: RunBatch, k: int, data: SequenceBatch
) -> Float[Tensor, "run k"]:
    """Return the k largest exponents of the top layer; NaN where a state or W is not finite.

    The first tenth of the time steps only turns the tangent vectors (see `spectrum`).
    """
    W = batch.top_weight
    exponents = W.new_full((len(W), k), math.nan, dtype=torch.float64)
    if not k:
        return exponents
    states, slopes = gradients.forward.top_states(), gradients.forward.top_slopes()
    # One run after the other: of many at once a QR may round in another way.
    for run in _finite(states, W):
        one, ends = slice(run, run + 1), data.every_end[run]
        along = []
        for T in sorted({*ends.tolist()}):
            own = ends == T
            along.append(
                spectrum(
                    W[one],
                    states[:T, one, own],
                    batch.network.activation,
                    k=k,
                    burn_in=T // 10,
                    slopes=None if slopes is None else slopes[:T, one, own],
                )
            )
        exponents[run] = torch.cat(along, dim=1).mean(1)[0]
    return exponents


def singular_values(
    gradients: Gradients, batch: RunBatch, lags: Sequence[int], data: SequenceBatch
) -> Float[Tensor, "lag index run"]:
    """Return log10 of those of ∂h_T/∂h_{T−k} of the top layer; NaN: a state or W is not finite.

    Of a cell with a memory c they are of h and c side by side.
    """
    network, W = batch.network, batch.top_weight
    n = network.hidden_size * (1 + network.kind.has_memory)
    found = W.new_full((len(lags), n, len(W)), math.nan, dtype=torch.float64)
    if not lags:
        return found
    forward = gradients.forward
    if not network.kind.is_plain:
        trace = forward.first_sequences()
        weights = layer_weights(batch.weights, network.num_layers - 1)
        for run in _finite(trace.states, W):
            found[..., run] = log10_singular_values_of_cell(
                network.make_cell(),
                trace.between(0, int(data.every_end[run, 0])).of_runs([run]),
                weights.each(operator.itemgetter(slice(run, run + 1))),
                lags,
                has_memory=network.kind.has_memory,
            )
        return found
    states, slopes = forward.top_states(), forward.top_slopes()
    for run in _finite(states, W):
        T = int(data.every_end[run, 0])
        found[..., run] = log10_singular_values(
            W[run],
            states[:T, run, 0],
            network.activation,
            lags,
            None if slopes is None else slopes[:T, run, 0],
        )
    return found


def _finite(
    states: Float[Tensor, "time run batch hidden"], W: Float[Tensor, "run ..."]
) -> list[int]:
    """Return the places of the runs whose states and weights are all finite."""
    fine = states.isfinite().all(-1).all(-1).all(0) & W.isfinite().flatten(1).all(-1)
    return list(fine.nonzero().flatten().tolist())
