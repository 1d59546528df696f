r"""Lyapunov exponents: how fast small differences of the state grow, in nats per time step.

Along states h_1…h_T the Jacobians J_t = ∂h_t/∂h_{t-1} = diag(φ'(h_t)) W carry k tangent vectors,

    J_t Q_{t-1} = Q_t R_t  (QR),      λ_i = mean over t of ln |(R_t)_ii|

(Benettin et al. 1980; Engelken, Wolf & Abbott 2023 for networks like these). λ₁ is the rate of
the gradient norm as well: λ₁ = ½ ln χ in wide random networks. All λ_i together are known
exactly, Σ λ_i = mean over t of ln |det J_t|: `sum_rule`. Everything is computed in float64.
"""

import torch
from torch import Tensor

from rnn_exp.networks.cells.activations import ACTIVATIONS
from rnn_exp.randomness import generator
from rnn_exp.shapes import Float

__all__ = ["largest_exponent", "local_exponents", "spectrum", "sum_rule"]


def spectrum(
    weight_hh: Float[Tensor, "run hidden hidden"],
    states: Float[Tensor, "time run *batch hidden"],
    activation: str,
    *,
    k: int | None = None,
    burn_in: int = 0,
    slopes: Float[Tensor, "time run *batch hidden"] | None = None,
) -> Float[Tensor, "run *batch k"]:
    r"""Return the k largest Lyapunov exponents, the largest first.

    Where a relu is off, or a tanh has rounded to ±1, φ' = 0 and J_t is singular: as many exponents
    as there are units with φ' = 0 at once are −∞. Of a singular W the exponents that ought to be
    −∞ are rounding errors, about −36.

    Args:
        weight_hh: W of each run.
        states: h_1…h_T, with or without an axis of sequences.
        activation: the name of φ.
        k: how many exponents; None for as many as there are units.
        burn_in: how many of the first time steps only turn the tangent vectors, which start in
            random directions: without it every exponent is off by a term in 1/T.
        slopes: φ'(u_1)…φ'(u_T), for a φ whose slope does not follow from its output
            (`Activation.needs_input`).

    Returns:
        λ_i in nats per time step, of every sequence of its own.

    Raises:
        ValueError: unless 1 ≤ k ≤ hidden and 0 ≤ burn_in < time; without slopes where they do not
            follow from the states.

    Example:
        >>> W = torch.diag(torch.tensor([0.5, 2.0])).unsqueeze(0)
        >>> spectrum(W, torch.zeros(80, 1, 2), "identity", burn_in=60).exp()
        tensor([[2.0000, 0.5000]], dtype=torch.float64)
    """
    if not 0 <= burn_in < len(states):
        raise ValueError(f"{burn_in=} leaves nothing of {len(states)} time steps")
    local = local_exponents(weight_hh, states, activation, k=k, slopes=slopes)
    exponents = local[burn_in:].mean(dim=0).sort(descending=True).values
    # The rank of a product of Jacobians is at most the smallest rank among them.
    known = ACTIVATIONS[activation].from_output(states) if slopes is None else slopes
    rank = known.ne(0).sum(dim=-1).amin(dim=0)
    beyond_rank = torch.arange(exponents.shape[-1], device=rank.device) >= rank.unsqueeze(-1)
    return exponents.masked_fill(beyond_rank, -torch.inf)


def largest_exponent(
    weight_hh: Float[Tensor, "run hidden hidden"],
    states: Float[Tensor, "time run *batch hidden"],
    activation: str,
    *,
    burn_in: int = 0,
    slopes: Float[Tensor, "time run *batch hidden"] | None = None,
) -> Float[Tensor, " run *batch"]:
    """Return λ₁ alone: one tangent vector, one matrix–vector product a time step.

    Args:
        weight_hh: W of each run.
        states: h_1…h_T, with or without an axis of sequences.
        activation: the name of φ.
        burn_in: how many of the first time steps only turn the tangent vector.
        slopes: as in `spectrum`.

    Returns:
        λ₁ in nats per time step.

    Raises:
        ValueError: unless 0 ≤ burn_in < time; without slopes where they do not follow from the
            states.

    Example:
        >>> states = torch.full((9, 1, 1), 0.5)  # one unit: λ = mean ln |φ' w|
        >>> largest_exponent(torch.full((1, 1, 1), 2.0), states, "tanh").exp().item()
        1.5
    """
    found = spectrum(weight_hh, states, activation, k=1, burn_in=burn_in, slopes=slopes)
    return found[..., 0]


def local_exponents(
    weight_hh: Float[Tensor, "run hidden hidden"],
    states: Float[Tensor, "time run *batch hidden"],
    activation: str,
    *,
    k: int | None = None,
    slopes: Float[Tensor, "time run *batch hidden"] | None = None,
) -> Float[Tensor, "time run *batch k"]:
    """Return ln |(R_t)_ii| of every time step; its mean over time is λ_i.

    Args:
        weight_hh: W of each run.
        states: h_1…h_T, with or without an axis of sequences.
        activation: the name of φ.
        k: how many exponents; None for as many as there are units.
        slopes: as in `spectrum`.

    Returns:
        The growth of each tangent vector at each time step in nats, not sorted.

    Raises:
        ValueError: unless 1 ≤ k ≤ hidden; without slopes where they do not follow from the states.

    Example:
        >>> states = torch.tensor([0.0, 0.6]).view(2, 1, 1)
        >>> local_exponents(torch.ones(1, 1, 1), states, "tanh").exp().flatten()
        tensor([1.0000, 0.6400], dtype=torch.float64)
    """
    n = weight_hh.shape[-1]
    k = n if k is None else k
    if not 1 <= k <= n:
        raise ValueError(f"{k=} exponents of {n} units: at least 1, at most {n}")
    phi, W = ACTIVATIONS[activation], weight_hh.double()
    sequences = (states if slopes is None else slopes).reshape(*states.shape[:2], -1, n)
    exponents = W.new_empty(*sequences.shape[:3], k)
    Q = _first_tangents(n, k).to(W.device).expand(*sequences.shape[1:3], n, k)
    for h, local in zip(sequences, exponents, strict=True):
        own = (phi.from_output(h.double()) if slopes is None else h.double()).unsqueeze(-1)
        Q, R = _qr_by_size(own * torch.einsum("rij,rbjk->rbik", W, Q), own.abs())
        torch.log(R.diagonal(dim1=-2, dim2=-1).abs(), out=local)
    return exponents.view(*states.shape[:-1], k)


def _qr_by_size(
    JQ: Float[Tensor, "run batch n k"], sizes: Float[Tensor, "run batch n 1"]
) -> tuple[Tensor, Tensor]:
    """Return Q and R of J Q, computed with the rows in descending order of their sizes.

    Rows of saturated units are smaller by many orders (φ' = 1e-11). Householder's QR keeps their
    digits only if the large rows come first (Higham 2002, §19.4): without that the sum of 300
    exponents at g = 3 is off by 5e-8 instead of 2e-13.
    """
    order = sizes.argsort(dim=-2, descending=True).expand_as(JQ)
    Q, R = torch.linalg.qr(JQ.gather(-2, order))
    return torch.empty_like(Q).scatter_(-2, order, Q), R


def sum_rule(
    weight_hh: Float[Tensor, "run hidden hidden"],
    states: Float[Tensor, "time run *batch hidden"],
    activation: str,
    *,
    burn_in: int = 0,
    slopes: Float[Tensor, "time run *batch hidden"] | None = None,
) -> Float[Tensor, " run *batch"]:
    r"""Return Σ λ_i over the whole spectrum without any QR: n E[ln |φ'|] + ln |det W|.

    It is the mean over time of ln |det J_t|, exact for every n, activation and length; −∞ as
    soon as one unit has φ' = 0.

    Args:
        weight_hh: W of each run.
        states: h_1…h_T, with or without an axis of sequences.
        activation: the name of φ.
        burn_in: how many of the first time steps to leave out.
        slopes: as in `spectrum`.

    Returns:
        The sum in nats per time step.

    Raises:
        ValueError: without slopes where they do not follow from the states.

    Example:
        >>> W = torch.tensor([[[0.0, 2.0], [1.0, 0.0]]])
        >>> sum_rule(W, torch.zeros(3, 1, 2), "identity").exp().item()
        2.0
    """
    phi, late = ACTIVATIONS[activation], slice(burn_in, None)
    known = phi.from_output(states[late].double()) if slopes is None else slopes[late].double()
    log_slopes = known.abs().log().sum(dim=-1).mean(dim=0)
    log_det_W = torch.linalg.slogdet(weight_hh.double()).logabsdet
    return log_slopes + log_det_W.view(-1, *[1] * (log_slopes.ndim - 1))


def _first_tangents(n: int, k: int) -> Float[Tensor, "hidden k"]:
    """Return k orthonormal vectors in random directions: no axis of W is favoured or missed."""
    own = generator(0, "tangent vectors")
    return torch.linalg.qr(torch.randn(n, k, dtype=torch.float64, generator=own)).Q
