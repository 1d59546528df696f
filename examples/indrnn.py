r"""The independently recurrent network: every unit has a memory of itself alone.

    h_t = φ(u ⊙ h_{t-1} + V x_t + b)

(Li, Li, Cook, Zhu & Gao 2018, "Independently Recurrent Neural Network", section 3; φ is
``network.activation``, relu in the paper.) ``u`` is a vector: the gradient of a unit changes by
u φ' a step, and no other unit has a part in it. Before training u is uniform between ``least`` and
``most``; with relu and u = 1 a unit adds up its inputs.
"""

import torch

import rnn_exp as rx
from rnn_exp.networks import step_cell


def step(x, state, weights, phi):
    """Return h_t."""
    (h,) = state
    drive = x @ weights["weight_ih"].mT + weights["bias_ih"].unsqueeze(1)
    return (phi(drive + weights["u"].unsqueeze(1) * h),)


def indrnn(name="indrnn", least=0.0, most=1.0):
    """Return the kind of cell.

    Args:
        name: the word of ``network.cell``.
        least: the smallest u before training.
        most: the largest.
    """

    def shapes(hidden, inputs):
        return {"weight_ih": (hidden, inputs), "u": (hidden,), "bias_ih": (hidden,)}

    def draw(shapes, generator):
        u = torch.empty(shapes["u"]).uniform_(least, most, generator=generator)
        return {"u": u, "bias_ih": torch.zeros(shapes["bias_ih"])}

    return step_cell(name, step, shapes=shapes, recurrent="u", draw=draw)


rx.register(indrnn())
