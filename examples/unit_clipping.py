"""Unit-wise adaptive clipping: the gradient of a unit is at most λ times as long as its weights.

    G_i ← G_i min(1, λ max(‖W_i‖, ε) / ‖G_i‖),   then w ← w − η g

of each row i of a matrix W and its gradient G: of what comes in to one unit (of a cell with gates,
to one gate of a unit). (Brock, De, Smith & Simonyan 2021, "High-performance large-scale image
recognition without normalization", eq. 3; ε = 0.001 there, and λ from 0.01 to 0.16.) As in their
program, all biases of a vector count as one unit, and the read-out, their last linear layer, is
not clipped.

    rnn-exp use=[examples/unit_clipping.py] training.optimizer=unit_clipping training.unit_limit=0.1
"""

import dataclasses

import torch

import rnn_exp as rx
from rnn_exp.fields import number
from rnn_exp.training.optimizers import Optimizer


@dataclasses.dataclass(frozen=True)
class UnitClipping:
    """The settings of unit-wise adaptive clipping; they are settings of the training.

    Args:
        unit_limit: λ, the largest ‖G_i‖ / ‖W_i‖.
        unit_floor: ε, what counts as the norm of shorter weights.
    """

    unit_limit: float = number(0.1, above=0)
    unit_floor: float = number(1e-3, above=0)


def step(flat, gradient, memory, rate, own, layout):
    """Make one step of every run, in place; rows are known by the layout of the parameters."""
    weights = layout.views(flat)
    for name, G in layout.views(gradient).items():
        if not name.startswith("readout"):
            size = torch.linalg.vector_norm(G, dim=-1, keepdim=True)
            longest = torch.linalg.vector_norm(weights[name], dim=-1, keepdim=True)
            longest = own.unit_limit * longest.clamp(min=own.unit_floor)
            G *= torch.where(size > longest, longest / size, 1.0)
    flat -= rate * gradient


rx.register(Optimizer("unit_clipping", step, options=UnitClipping))
