"""When theory may speak of a network before it trains: its premises, checked one by one.

Every limit here was measured; what was measured stands beside it. That only the last step has a
loss, and that backpropagation is not truncated, are premises as well, which the caller knows.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from torch import Tensor

from rnn_exp.networks.cells import Jacobian
from rnn_exp.networks.inits import Init
from rnn_exp.networks.network import Network
from rnn_exp.theory.two_time import active_units, size_of, spread, variation

__all__ = [
    "FEWEST_ACTIVE",
    "FEWEST_UNITS",
    "LARGEST_SHARE",
    "LARGEST_SPREAD",
    "SHARE_OF_UNITS",
    "STEADY",
    "STEPS_OF_ACTIVE",
    "failures",
    "gains_of",
    "lags",
    "unsteady_gates",
]

FEWEST_UNITS: Final = 16
"""With fewer units the mean over random weights says little of one network.

Predicted less measured change over 20 steps of plain networks with one N(0, 1) input (tanh g = .9,
1.5, 2; relu 1, 1.41; sigmoid 4, 8; 20 seeds each), mean and scatter over seeds in decades, worst of
the seven: n = 1: 17 ± 18, 2: 11 ± 12, 4: 8 ± 10, 8: 1.5 ± 2.2, 16: 1.3 ± 2.8 (but for sigmoid 8:
.6 ± 1.5), 32: .4 ± 1.4, 64: .5 ± .5. At n = 16 the error of tanh is .4 ± .8 at most, at 8 .9 ± 1.3.
"""

FEWEST_ACTIVE: Final = 8
STEPS_OF_ACTIVE: Final = 4
"""Where most units are saturated a few carry the gradient, and chance takes more from ln ‖δ‖ than
from ln ⟨‖δ‖²⟩: about .2 decades for every step, over the number of active units (`active_units`).

Measured less predicted over 59 steps, 12 seeds, in decades. n = 64: tanh 2 (30 active units)
−.5 ± .6, tanh 4 (16) −.8 ± .4, tanh 8 (8) −1.7 ± .5, tanh 16 (5) −4.6 ± .6, sigmoid 32 (4.5)
−3.3 ± 2.7; n = 128: tanh 2 (68) 0 ± .2, tanh 16 (10) −1.9 ± .6; n = 32: tanh 16 (3) −9.5 ± 1.1.
With 8 and more, and no more than four steps for each of them, theory is off by less than a decade.
"""

LARGEST_SPREAD: Final = 0.1
LARGEST_SHARE: Final = 0.5
"""How much the gates may differ between units and sequences: as such, and of what W adds a step.

Measured with n = 128 over 40 lags, 5 seeds, predicted less measured in decades. GRU and LSTM with
gains of .58, 1 and 2 under inputs of growing size: standard deviations up to .08 of what is kept:
.15 ± .34 at most; .12–.15: .37 ± .29; .18–.26: .90 ± .36. Where units differ for good and W adds
little, the slowest of them outlive the mean: chrono for T = 40 (.08, more than W adds) .5 ± .1 of
.7 decades, for T = 400 (.03, ten times what W adds) .1 of .1. torch's default GRU and LSTM have .02
there (.05 at n = 16), a sixth of what W adds: .1 ± .2 of 8.1.
"""

_NOTHING = 1e-6  # a cell keeps the same of every unit, but for rounding

STEADY: Final = 0.2
SHARE_OF_UNITS: Final = 4
"""Where the Jacobians hardly vary in time, theory speaks of lags up to n/4 alone.

With a Jacobian that stays the same the slope at lags of about n is that of its largest eigenvalue.
Predicted less measured with n = 64, 10 seeds, in decades, plain cells: where `variation` is below
.2 (linear ones, tanh .9 to 1.5 under weak inputs, relu 1.4, sigmoid) −.2 to −1.7 on average at lag
n and −.5 to −4 at 2n; from .2 on (tanh under strong inputs, relu 1, sigmoid 8) .3 and .5 at most.
At lag n/4 all of them are within .14 of the mean over seeds, which scatter by .1 to .5; leaky cells
too, but for sigmoid with α = .5, which is .5 ± .3 off: its states settle at a stable point.
"""


def gains_of(network: Network, init: Init, W: Tensor) -> list[float] | None:
    """Return the gain g of each block of W_hh; None: W is not random.

    Args:
        network: what the network is.
        init: how its weights were drawn.
        W: W_hh of the layer, (gates · hidden, hidden).
    """
    if not network.kind.has_matrix:
        return None
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
    if gains is None and network.kind.has_matrix:
        yield f"W is not random (init={init.name})"
    if network.hidden_size < FEWEST_UNITS:
        units = "1 unit" if network.hidden_size == 1 else f"{network.hidden_size} units"
        yield f"{units}: theory needs at least {FEWEST_UNITS}"
    if jacobian is None:
        yield f"the cell {network.cell} has no theory"
    elif gains is not None:
        yield from unsteady_gates(jacobian, gains)
        if network.hidden_size >= FEWEST_UNITS:
            yield from _few_active(jacobian, gains)


def _few_active(jacobian: Jacobian, gains: Sequence[float]) -> Iterator[str]:
    """Yield that too few units carry the gradient, where the cell keeps nothing of it."""
    if jacobian.keep.any():
        return
    active = active_units(jacobian, gains)
    if not active:
        yield "nothing goes back through W"
    elif active < FEWEST_ACTIVE:
        yield (
            f"most units are saturated ({active:.1f} carry the gradient; at least "
            f"{FEWEST_ACTIVE} are needed)"
        )


def unsteady_gates(jacobian: Jacobian, gains: Sequence[float]) -> Iterator[str]:
    """Yield that what a cell keeps of the gradient differs between units and sequences.

    Args:
        jacobian: what steps back do.
        gains: g of each block of W_hh.
    """
    found = spread(jacobian)
    if found < _NOTHING:
        return
    added = math.sqrt(size_of(jacobian, gains))
    most = min(LARGEST_SPREAD, LARGEST_SHARE * added)
    if not found <= most:
        yield (
            f"the gates vary between units and inputs (standard deviation {found:.2g}; at most "
            f"{most:.2g})"
        )


def lags(network: Network, jacobian: Jacobian, gains: Sequence[float]) -> int:
    """Return up to which lag theory speaks of a network.

    Args:
        network: what the network is.
        jacobian: what steps back do on a few sequences.
        gains: g of each block of W_hh.
    """
    there = len(jacobian.keep) - 1
    if not jacobian.keep.any():
        there = min(there, int(STEPS_OF_ACTIVE * active_units(jacobian, gains)))
    if variation(jacobian, gains) > STEADY:
        return there
    return min(there, network.hidden_size // SHARE_OF_UNITS)
