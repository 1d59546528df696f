r"""The coupled oscillatory RNN: units that swing, driven by the input and by each other.

    z_t = z_{t-1} + Δt (tanh(W y_{t-1} + 𝒲 z_{t-1} + V x_t + b) − γ y_{t-1} − ε z_{t-1})
    y_t = y_{t-1} + Δt z_t

(Rusch & Mishra 2021, "Coupled Oscillatory Recurrent Neural Network", section 2: their system of
equations in steps of Δt, with everything that acts on z taken at the step before.) The state has
two parts: h is the position y, which is read out, and the second part, whose gradient is in the
columns of the memory, the velocity z. ``weight_hh`` is W, and ``weight_velocity`` is 𝒲.
"""

import dataclasses
import math

import torch

import rnn_exp as rx
from rnn_exp.fields import check, number
from rnn_exp.networks import step_cell


@dataclasses.dataclass(frozen=True)
class CoRNN:
    """The coupled oscillatory RNN; the numbers are those of the paper for pixelwise MNIST.

    Args:
        dt: Δt.
        gamma: γ, the stiffness.
        epsilon: ε, the damping.
    """

    dt: float = number(0.042, above=0)
    gamma: float = number(2.7)
    epsilon: float = number(4.7)

    def __post_init__(self):
        """Refuse settings that cannot be."""
        check(self)


def shapes(hidden, inputs):
    """Return the shape of every parameter."""
    return {
        "weight_ih": (hidden, inputs),
        "weight_hh": (hidden, hidden),
        "weight_velocity": (hidden, hidden),
        "bias_ih": (hidden,),
    }


def draw(shapes, generator):
    """Draw 𝒲 as torch draws W; the run's init draws the rest."""
    shape = shapes["weight_velocity"]
    bound = 1 / math.sqrt(shape[-1])
    return {"weight_velocity": torch.empty(shape).uniform_(-bound, bound, generator=generator)}


def step(x, state, weights, own):
    """Return y_t and z_t."""
    y, z = state
    u = x @ weights["weight_ih"].mT + weights["bias_ih"].unsqueeze(1)
    u = u + y @ weights["weight_hh"].mT + z @ weights["weight_velocity"].mT
    z = z + own.dt * (torch.tanh(u) - own.gamma * y - own.epsilon * z)
    return y + own.dt * z, z


rx.register(step_cell("cornn", step, parts=2, shapes=shapes, draw=draw, options=CoRNN))
