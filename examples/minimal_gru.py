r"""The minimal GRU: a gate and a candidate that both look at the input alone.

    z_t = σ(V_z x_t + b_z),   h̃_t = V_h x_t + b_h,   h_t = (1 − z_t) ⊙ h_{t-1} + z_t ⊙ h̃_t

(Feng, Tung, Hajimirsadeghi, Bengio & Greff 2024, "Were RNNs all we needed?", minGRU.)

∂h_t/∂h_{t-1} = 1 − z_t, and nothing else: with zero biases and small V the gradient halves every
step; a gate bias of −3 keeps 95 % of it. The rows of V are those of V_z and then of V_h. There is
no W_hh; what is recorded in its place, contributions and changes, are those of V.
"""

import torch

import rnn_exp as rx
from rnn_exp.networks import step_cell


def step(x, state, weights):
    """Return h_t."""
    (h,) = state
    u = x @ weights["weight_ih"].mT
    of_gate, candidate = u.chunk(2, dim=-1)
    z = torch.sigmoid(of_gate + weights["bias_gate"].unsqueeze(1))
    candidate = candidate + weights["bias_ih"].unsqueeze(1)
    return (h + z * (candidate - h),)


def minimal_gru(name="minimal_gru", gate=0.0):
    """Return the kind of cell.

    Args:
        name: the word of ``network.cell``.
        gate: b_z before training.
    """

    def shapes(hidden, inputs):
        return {"weight_ih": (2 * hidden, inputs), "bias_gate": (hidden,), "bias_ih": (hidden,)}

    def draw(shapes, generator):
        del generator  # the run's init draws V
        return {
            "bias_gate": torch.full(shapes["bias_gate"], gate),
            "bias_ih": torch.zeros(shapes["bias_ih"]),
        }

    return step_cell(name, step, gates=2, shapes=shapes, recurrent="weight_ih", draw=draw)


rx.register(minimal_gru())
