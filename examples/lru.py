r"""The linear recurrent unit: complex numbers that decay and turn, each by itself.

    s_t = λ ⊙ s_{t-1} + γ ⊙ (B x_t),   λ = exp(−exp(ν) + i θ),   γ = √(1 − |λ|²)

(Orvieto et al. 2023, "Resurrecting Recurrent Neural Networks for Long Sequences", section 3; their
γ is trained from there on, here it follows λ.) s_t is complex: h_t holds its real parts and behind
them its imaginary ones, so ``network.hidden_size`` is twice as many units as s_t has, and a linear
read-out of h_t is Re(C s_t). λ and γ are made of ``eigenvalues``, whose rows are ν and θ, once a
pass.

|λ| is drawn between ``least`` and ``most``, uniformly in the ring, θ up to ``turn``. The gradient's
norm falls by |λ| a step, exactly: ∂s_t/∂s_{t-1} is diagonal and does not depend on the input.
"""

import math

import torch

import rnn_exp as rx
from rnn_exp.fields import SettingError
from rnn_exp.networks import step_cell


def once(weights):
    """Return λ, γ B and the bias, of one run."""
    nu, theta = weights["eigenvalues"].unbind(1)
    size = torch.exp(-torch.exp(nu))
    gamma = torch.sqrt(1 - size * size).repeat(1, 2)
    return {
        "real": size * torch.cos(theta),
        "imaginary": size * torch.sin(theta),
        "B": gamma.unsqueeze(-1) * weights["weight_ih"],
    }


def step(x, state, weights):
    """Return the real and the imaginary parts of s_t, side by side."""
    (h,) = state
    real, imaginary = h.chunk(2, dim=-1)
    a, b = weights["real"].unsqueeze(1), weights["imaginary"].unsqueeze(1)
    turned = torch.cat([a * real - b * imaginary, b * real + a * imaginary], dim=-1)
    return (turned + x @ weights["B"].mT,)


def lru(name="lru", least=0.4, most=0.99, turn=math.pi / 10):
    """Return the kind of cell.

    Args:
        name: the word of ``network.cell``.
        least: the smallest |λ| before training.
        most: the largest.
        turn: the largest θ before training.
    """

    def shapes(hidden, inputs):
        if hidden % 2:
            raise SettingError("hidden_size", hidden, f"an even number with cell={name}")
        return {"weight_ih": (hidden, inputs), "eigenvalues": (2, hidden // 2)}

    def draw(shapes, generator):
        u, v = torch.rand(shapes["eigenvalues"], generator=generator, dtype=torch.float64)
        size = torch.sqrt(u * (most**2 - least**2) + least**2)
        B = torch.randn(shapes["weight_ih"], generator=generator, dtype=torch.float64)
        return {
            "eigenvalues": torch.stack([torch.log(-torch.log(size)), turn * v]),
            "weight_ih": B / math.sqrt(2 * shapes["weight_ih"][-1]),
        }

    return step_cell(name, step, shapes=shapes, recurrent="eigenvalues", once=once, draw=draw)


rx.register(lru())
