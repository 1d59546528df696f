r"""Penalties on W_hh: Ω, which asks the gradient to keep its norm, and orthogonality.

Ω (Pascanu, Mikolov & Bengio 2013): with δ_t = ∂L/∂h_t and J_t = ∂h_t/∂h_{t-1},

    ratio    (eq. 9)                    Ω = ⟨ (‖δ_t J_t‖ / ‖δ_t‖ − 1)² ⟩
    squared  (eq. 10, and their code)   Ω = ⟨ (‖δ_t J_t‖² / ‖δ_t‖² − 1)² ⟩

⟨·⟩ is the mean over sequences and time steps t = 2…T with ‖δ_t‖² ≥ 1e-20. Only the *immediate*
derivative by W_hh is taken: δ_t and φ' count as constants. With a linear network and W = cQ, Q
orthogonal, Ω is (c − 1)² or (c² − 1)².

Orthogonality (Vorontsov et al. 2017, eq. 1): ‖WᵀW − 1‖²_F, with gradient 4 W (WᵀW − 1).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from rnn_exp.networks.cells.layout import rows
from rnn_exp.shapes import Float

__all__ = ["OMEGA_FORMS", "Penalty", "omega", "orthogonality"]

OMEGA_FORMS = ("ratio", "squared")
_VALID = 1e-10  # of ‖δ_t‖


class Penalty(NamedTuple):
    """The value of a penalty and its gradient by W_hh."""

    value: Float[Tensor, " run"]
    weight_hh: Float[Tensor, "run hidden hidden"]


@torch.inference_mode()
def omega(
    total: Float[Tensor, "time run batch hidden"],
    deltas: Float[Tensor, "time run batch hidden"],
    weight_hh: Float[Tensor, "run hidden hidden"],
    form: str,
) -> Penalty:
    """Return Ω and its immediate gradient; ``deltas`` are φ'(u_t) ⊙ ``total``, as a row δ_t φ'.

    With a = φ' ⊙ δ_t / ‖δ_t‖, Wᵀ a is what a step back leaves of a gradient of size 1, and the
    gradient of ‖Wᵀ a‖² by W is 2 a (Wᵀ a)ᵀ: the sum over time and batch is one GEMM.
    """
    size = torch.linalg.vector_norm(rows(total[1:]), dim=-1, dtype=torch.float64)
    valid = size >= _VALID
    a = rows(deltas[1:]) / torch.where(valid, size, 1.0).to(weight_hh.dtype).unsqueeze(-1)
    after = torch.bmm(a, weight_hh)
    ratio = after.square().sum(-1)
    if form == "squared":
        missed, slope = ratio - 1, torch.full_like(ratio, 2.0)
    else:
        root = ratio.sqrt()
        missed, slope = root - 1, torch.where(root > 0, 1 / root, 0.0)
    counted = valid.to(ratio.dtype) / valid.sum(-1, keepdim=True).clamp(min=1)
    share = (2 * counted * missed * slope).unsqueeze(-1)
    return Penalty((counted * missed.square()).sum(-1), torch.bmm((share * a).mT, after))


@torch.inference_mode()
def orthogonality(weight_hh: Float[Tensor, "run hidden hidden"]) -> Penalty:
    """Return ‖WᵀW − 1‖² and its gradient.

    Example:
        >>> orthogonality(2 * torch.eye(2).unsqueeze(0)).value.item()
        18.0
    """
    W = weight_hh
    missed = torch.bmm(W.mT, W) - torch.eye(W.shape[-1], dtype=W.dtype, device=W.device)
    return Penalty(missed.square().flatten(1).sum(-1), 4 * torch.bmm(W, missed))
