r"""The antisymmetric RNN: a step of Euler's method whose Jacobian hardly changes a gradient's size.

    h_t = h_{t-1} + ε tanh((W − Wᵀ − γ 1) h_{t-1} + V x_t + b)

(Chang, Chen, Haber & Chi 2019, "AntisymmetricRNN", section 4: forward Euler with diffusion.) The
eigenvalues of W − Wᵀ are imaginary; γ damps what Euler's method adds. W − Wᵀ − γ 1 is made once a
pass, not at every step.

``weight_hh`` is W: inits draw it, and the spectra that are recorded are those of W itself.
"""

import torch

import rnn_exp as rx
from rnn_exp.networks import step_cell


def antisymmetric(name="antisymmetric", step_size=0.1, damping=0.01):
    """Return the kind of cell.

    Args:
        name: the word of ``network.cell``.
        step_size: ε.
        damping: γ.
    """

    def once(weights):
        W = weights["weight_hh"]
        one = torch.eye(W.shape[-1], dtype=W.dtype, device=W.device)
        bias = weights["bias_ih"] + weights["bias_hh"]
        return {"V": weights["weight_ih"], "A": W - W.mT - damping * one, "b": bias}

    def step(x, state, weights):
        (h,) = state
        u = x @ weights["V"].mT + weights["b"].unsqueeze(1) + h @ weights["A"].mT
        return (h + step_size * torch.tanh(u),)

    return step_cell(name, step, once=once)


rx.register(antisymmetric())
