r"""Contributions: what each time step adds to the gradient of W_hh.

∂L/∂W_hh = Σ_t C_t,    C_t = Σ_b δ_{t,b} h_{t-1,b}ᵀ,

where δ_t = ∂L/∂(W_hh h_{t-1}). When the gradient vanishes, the C_t of early steps are lost in the
sum, although the sum itself may be of any size (Pascanu, Mikolov & Bengio 2013, eqs. 3–4).
"""

import torch
from torch import Tensor

from rnn_exp.cells import Trace
from rnn_exp.norms import log10_norm
from rnn_exp.shapes import Float

__all__ = ["contributions", "log10_contributions"]

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
