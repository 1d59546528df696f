r"""How many directions of a gradient survive: the singular values of the Jacobian over many steps.

Along states h_1…h_T of the plain recurrence the Jacobian over the last k steps is a product,

    ∂h_T / ∂h_{T−k} = J_T J_{T−1} ⋯ J_{T−k+1},    J_t = ∂h_t/∂h_{t−1} = diag(φ'(h_t)) W.

Of any other cell it is ∂s_T / ∂s_{T−k} of all that goes from step to step: s is h, and where there
is a memory c, h and c side by side. A row of the product by J_t is the cell's own exact step back
(`Cell.step_back`) of that row, so all rows go back together, as a batch.

Its largest singular value is the most that a gradient can keep over k steps, and how fast the
others fall beside it says how many directions are left of all of them. The Lyapunov exponents
(`lyapunov`) are what their logarithms over k tend to.
"""

from collections.abc import Sequence
from typing import Final

import torch

from rnn_exp.networks.cells import Cell, LayerWeights, Trace
from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.shapes import Float

__all__ = ["RESOLUTION", "log10_singular_values", "log10_singular_values_of_cell"]

RESOLUTION: Final = 1e-10
"""How small beside the largest a singular value can be and still be known.

The product is made in float64, where each factor adds a rounding error of about √n 1e-16.
"""


@torch.inference_mode()
def log10_singular_values(
    weight_hh: Float[torch.Tensor, "hidden hidden"],
    states: Float[torch.Tensor, "time hidden"],
    activation: str,
    lags: Sequence[int],
    slopes: Float[torch.Tensor, "time hidden"] | None = None,
) -> Float[torch.Tensor, "lag hidden"]:
    r"""Return log10 of the singular values of ∂h_T/∂h_{T−k} for some k, the largest first.

    The product is divided by its norm after every factor. Where φ' is 0 the rank falls: as many
    values as units had φ' = 0 at one of the steps are 0, −∞ as a logarithm.

    Args:
        weight_hh: W.
        states: h_1…h_T of one sequence.
        activation: the name of φ.
        lags: the k, each of 1…T, in ascending order.
        slopes: φ' at every step; None: the states tell them.

    Returns:
        A row a lag, in float64; NaN: less than `RESOLUTION` of the largest, and not known.

    Raises:
        ValueError: for lags that are not there, or not in order.

    Example:
        >>> W = torch.diag(torch.tensor([0.1, 10.0]))
        >>> found = log10_singular_values(W, torch.zeros(5, 2), "identity", [1, 4])
        >>> found.round(decimals=6).tolist()
        [[1.0, -1.0], [4.0, -4.0]]
    """
    _check_lags(lags, len(states))
    W = weight_hh.double()
    own = ACTIVATIONS[activation].from_output(states.double()) if slopes is None else slopes
    phi_slopes = own.double()
    T, n = states.shape
    found = W.new_empty(len(lags), n)
    product, log10_scale = torch.eye(n, dtype=W.dtype, device=W.device), W.new_zeros(())
    row = 0
    for lag in range(1, lags[-1] + 1 if lags else 1):
        product = product @ (phi_slopes[T - lag].unsqueeze(-1) * W)
        norm = torch.linalg.matrix_norm(product)
        size = torch.where(norm > 0, norm, 1.0)
        product, log10_scale = product / size, log10_scale + size.log10()
        if lag == lags[row]:
            rank = int(phi_slopes[T - lag :].ne(0).sum(-1).min())
            found[row] = _known(torch.linalg.svdvals(product), rank).log10() + log10_scale
            row += 1
    return found


@torch.inference_mode()
def log10_singular_values_of_cell(
    cell: Cell, trace: Trace, weights: LayerWeights, lags: Sequence[int], *, has_memory: bool
) -> Float[torch.Tensor, "lag state"]:
    r"""Return log10 of the singular values of ∂s_T/∂s_{T−k} for some k, the largest first.

    Args:
        cell: what computes a layer.
        trace: of time steps 1…T of one run and one sequence.
        weights: the layer's parameters, of that run.
        lags: the k, each of 1…T, in ascending order.
        has_memory: whether s is h and c side by side; else it is h.

    Returns:
        A row a lag, in float64; NaN: less than `RESOLUTION` of the largest, or not finite.

    Raises:
        ValueError: for lags that are not there, or not in order.
    """
    T, _, _, H = trace.states.shape
    _check_lags(lags, T)
    n, trace, weights = H * (1 + has_memory), trace.double(), weights.each(torch.Tensor.double)
    product = torch.eye(n, dtype=torch.float64, device=trace.states.device)
    found, log10_scale = product.new_full((len(lags), n), torch.nan), product.new_zeros(())
    for lag in range(1, lags[-1] + 1 if lags else 1):
        one = trace.between(T - lag, T - lag + 1)
        rows = one.each(lambda part: part.expand(-1, -1, n, *part.shape[3:]).contiguous())
        wide = product.view(1, 1, n, n)
        by_c = wide[..., H:] if has_memory else None
        back = cell.step_back(wide[..., :H], by_c, rows, weights, False)
        parts = [back.total] if back.carried is None else [back.total, back.carried]
        product = torch.cat(parts, dim=-1)[0, 0]
        norm = torch.linalg.matrix_norm(product)
        if not bool(norm.isfinite()):
            break
        size = torch.where(norm > 0, norm, 1.0)
        product, log10_scale = product / size, log10_scale + size.log10()
        if lag in lags:
            values = torch.linalg.svdvals(product)
            found[lags.index(lag)] = _known(values, n).log10() + log10_scale
    return found


def _check_lags(lags: Sequence[int], T: int) -> None:
    """Refuse lags that are not there, or not in ascending order."""
    if any(not 1 <= lag <= T for lag in lags) or list(lags) != sorted(set(lags)):
        raise ValueError(f"{lags=} of {T} time steps: each at least 1, at most {T}, in order")


def _known(values: Float[torch.Tensor, " hidden"], rank: int) -> Float[torch.Tensor, " hidden"]:
    """Return 0 for what is beyond the rank, and NaN for what is lost beside the largest."""
    lost = (values < RESOLUTION * values[0]).logical_and(values[0] > 0)
    beyond = torch.arange(len(values), device=values.device) >= rank
    return values.masked_fill(lost, torch.nan).masked_fill(beyond, 0.0)
