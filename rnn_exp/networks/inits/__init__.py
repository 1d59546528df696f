"""Inits: what the network's weights are before training.

A new init is a class in a module here and a name in the list below, whose order is that in which
messages name them.
"""

from rnn_exp.networks.inits.init import INITS, Init, own_parameters
from rnn_exp.networks.inits.published import Chrono, ForgetBias, Pascanu, Unit
from rnn_exp.networks.inits.scales import (
    Critical,
    Gaussian,
    Identity,
    Orthogonal,
    SpectralRadius,
    TorchDefault,
    Uniform,
)

__all__ = [
    "INITS",
    "Chrono",
    "Critical",
    "ForgetBias",
    "Gaussian",
    "Identity",
    "Init",
    "Orthogonal",
    "Pascanu",
    "SpectralRadius",
    "TorchDefault",
    "Uniform",
    "Unit",
    "own_parameters",
]

KINDS: tuple[type[Init], ...] = (
    Gaussian,
    Uniform,
    TorchDefault,
    Orthogonal,
    Identity,
    SpectralRadius,
    Critical,
    Pascanu,
    Unit,
    ForgetBias,
    Chrono,
)
for kind in KINDS:
    INITS.register(kind)
