"""Inits: what the network's weights are before training.

Each is a frozen description; ``draw`` turns it into named parameters (torch's names and shapes).
W_hh is drawn in float64 and rounded to the network's precision; what follows torch's default is
drawn in float32, as torch draws it. In a gated cell every gate has a W_hh of its own.
"""

from rnn_exp.networks.inits.init import Init
from rnn_exp.networks.inits.published import Chrono, ForgetBias, Pascanu, Unit
from rnn_exp.networks.inits.scales import (
    Critical,
    Gaussian,
    Identity,
    Orthogonal,
    SpectralRadius,
    TorchDefault,
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
    "Unit",
]

INITS: dict[str, type[Init]] = {
    kind.name: kind
    for kind in (
        Gaussian,
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
}
