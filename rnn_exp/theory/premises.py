"""When theory may speak of a network before it trains: its premises, checked one by one.

Every limit here was measured; what was measured stands beside it. That only the last step has a
loss, and that backpropagation is not truncated, are premises as well, which the caller knows.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from torch import Tensor

from rnn_exp.networks.cells import Jacobian
from rnn_exp.networks.inits import Init
from rnn_exp.networks.network import Network
from rnn_exp.shapes import Float
from rnn_exp.theory.two_time import spread, variation

__all__ = ["FEWEST_UNITS", "LARGEST_SPREAD", "failures", "gains_of", "lags", "unsteady_gates"]

FEWEST_UNITS: Final = 16
"""With fewer units the mean over random weights says little of one network.

Predicted less measured change over 20 steps of plain networks with one N(0, 1) input (tanh g = .9,
1.5, 2; relu 1, 1.41; sigmoid 4, 8; 20 seeds each), mean and scatter over seeds in decades, worst of
the seven: n = 1: 17 ± 18, 2: 11 ± 12, 4: 8 ± 10, 8: 1.5 ± 2.2, 16: 1.3 ± 2.8 (but for sigmoid 8:
.6 ± 1.5), 32: .4 ± 1.4, 64: .5 ± .5. At n = 16 the error of tanh is .4 ± .8 at most, at 8 .9 ± 1.3.
"""

LARGEST_SPREAD: Final = 0.05
STEADY: Final = 0.05
SHARE_OF_UNITS: Final = 4


def gains_of(network: Network, init: Init, W: Tensor) -> list[float] | None:
    """Return the gain g of each block of W_hh; None: W is not random.

    Args:
        network: what the network is.
        init: how its weights were drawn.
        W: W_hh of the layer, (gates · hidden, hidden).
    """
    gains = [init.mean_field_gain(block) for block in W.chunk(network.kind.gates)]
    known = [gain for gain in gains if gain is not None]
    return known if len(known) == len(gains) else None


def failures(
    network: Network, init: Init, gains: Sequence[float] | None, jacobian: Jacobian | None
) -> Iterator[str]:
    """Yield every premise that fails, as a clause with its numbers.

    Args:
        network: what the network is.
        init: how its weights were drawn.
        gains: g of each block of W_hh; None: W is not random.
        jacobian: what steps back do; None: the cell has no theory.
    """
    if gains is None:
        yield f"W is not random (init={init.name})"
    if network.hidden_size < FEWEST_UNITS:
        units = "1 unit" if network.hidden_size == 1 else f"{network.hidden_size} units"
        yield f"{units}: theory needs at least {FEWEST_UNITS}"
    if jacobian is None:
        yield f"the cell {network.cell} has no theory"
    else:
        yield from unsteady_gates(jacobian)


def unsteady_gates(jacobian: Jacobian) -> Iterator[str]:
    """Yield that what a cell keeps of the gradient differs between units and sequences."""
    found = spread(jacobian)
    if not found <= LARGEST_SPREAD:
        yield (
            f"what the gates keep varies with unit and input (standard deviation {found:.2g}; "
            f"at most {LARGEST_SPREAD:g})"
        )


def lags(network: Network, coupling: Float[np.ndarray, "lag lag"]) -> int:
    """Return up to which lag theory speaks of a network.

    Args:
        network: what the network is.
        coupling: g² B_{k,l} of `two_time`, on a few sequences.
    """
    there = len(coupling)
    if variation(coupling) > STEADY:
        return there
    return min(there, network.hidden_size // SHARE_OF_UNITS)
