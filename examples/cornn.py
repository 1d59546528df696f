r"""The coupled oscillatory RNN: units that swing, driven by the input and by each other.

    z_t = z_{t-1} + Δt (tanh(W y_{t-1} + 𝒲 z_{t-1} + V x_t + b) − γ y_{t-1} − ε z_{t-1})
    y_t = y_{t-1} + Δt z_t

(Rusch & Mishra 2021, "Coupled Oscillatory Recurrent Neural Network", section 2: their system of
equations in steps of Δt, with everything that acts on z taken at the step before.) The state has
two parts: h is the position y, which is read out, and the second part, whose gradient is in the
columns of the memory, the velocity z. ``weight_hh`` is W, and ``weight_velocity`` is 𝒲.
"""

import math

import torch

from rnn_exp.networks import CELLS, step_cell


def cornn(name="cornn", dt=0.042, gamma=2.7, epsilon=4.7):
    """Return the kind of cell; the numbers are those of the paper for pixelwise MNIST.

    Args:
        name: the word of ``network.cell``.
        dt: Δt.
        gamma: γ, the stiffness.
        epsilon: ε, the damping.
    """

    def shapes(hidden, inputs):
        return {
            "weight_ih": (hidden, inputs),
            "weight_hh": (hidden, hidden),
            "weight_velocity": (hidden, hidden),
            "bias_ih": (hidden,),
        }

    def draw(shapes, generator):
        shape = shapes["weight_velocity"]
        bound = 1 / math.sqrt(shape[-1])
        return {"weight_velocity": torch.empty(shape).uniform_(-bound, bound, generator=generator)}

    def step(x, state, weights):
        y, z = state
        u = x @ weights["weight_ih"].mT + weights["bias_ih"].unsqueeze(1)
        u = u + y @ weights["weight_hh"].mT + z @ weights["weight_velocity"].mT
        z = z + dt * (torch.tanh(u) - gamma * y - epsilon * z)
        return y + dt * z, z

    return step_cell(name, step, parts=2, shapes=shapes, draw=draw)


CELLS.register(cornn())
