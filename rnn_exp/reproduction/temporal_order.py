"""Temporal order as Pascanu, Mikolov & Bengio (2013) trained it: n = 50, SGD, batch 20.

What SGD, clipping and the regulariser Ω make of it: whether it is solved, and at which lengths.
Eight seeds each; where a remedy is said to help, a test says so and not the eye.
"""

import dataclasses

from rnn_exp.networks.inits import Pascanu
from rnn_exp.networks.network import Network
from rnn_exp.reproduction.claims import Claim, same_when_quick
from rnn_exp.reproduction.goals import AtLeast, AtMost, Near, SolvedMore
from rnn_exp.reproduction.trained_networks import LateError, LateLoss, SolvedAt, SolvedWithout
from rnn_exp.tasks import TemporalOrder
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training

__all__ = ["CLAIMS"]

_PAPER = "Pascanu, Mikolov & Bengio 2013"
_SEEDS = 8
_CLIPPED = Training(updates=6000, batch_size=20, learning_rate=0.01, clip_norm=1.0)
_UNTIL_SOLVED = dataclasses.replace(_CLIPPED, stop_when_solved=True)


def _temporal_order(variant: str, length: int, training: Training) -> Run:
    """Return a run that is looked at often enough to see when it has solved its task."""
    return Run(
        task=TemporalOrder(length),
        network=Network(hidden_size=50),
        init=Pascanu(variant),
        training=training,
        recording=Recording(every=50),
    )


# Its loss and error are averages over recorded batches of 20: it takes many.
_STUCK = dataclasses.replace(
    _temporal_order("sigmoid", 20, _CLIPPED),
    network=Network(activation="sigmoid", hidden_size=50),
    recording=Recording(every=5),
)
_STUCK_QUICK = dataclasses.replace(_STUCK, training=dataclasses.replace(_CLIPPED, updates=1000))
_SIGMOID_INIT = (
    Claim(
        "sigmoid_init",
        "sigmoid init, L=20: 6000 updates teach nothing, the error",
        f"{_PAPER}, §4.1.1, fig. 7",
        Near(0.75, 0.02),
        LateError(_STUCK),
        LateError(_STUCK_QUICK),
    ),
    Claim(
        "sigmoid_init",
        "sigmoid init, L=20: 6000 updates teach nothing, the loss",
        f"{_PAPER}, §4.1.1; ln 4",
        Near(1.386, 0.01),
        LateLoss(_STUCK),
        LateLoss(_STUCK_QUICK),
    ),
)

_SHORT = _temporal_order("basic_tanh", 20, _UNTIL_SOLVED)
_SHORT_TEMPORAL_ORDER = tuple(
    same_when_quick(
        "short_temporal_order",
        f"basic tanh init, L=20: solved within {words}",
        f"{_PAPER}, §4.1.1, fig. 7; the number of updates as measured",
        AtLeast(7, _SEEDS),
        SolvedAt(
            dataclasses.replace(
                _SHORT, training=dataclasses.replace(_UNTIL_SOLVED, updates=updates)
            ),
            _SEEDS,
        ),
    )
    for updates, words in ((2000, "2000 updates"), (6000, "the 6000 updates of sigmoid_init"))
)

_SGD = dataclasses.replace(_UNTIL_SOLVED, clip_norm=None)
_OMEGA = dataclasses.replace(_UNTIL_SOLVED, omega=2.0, omega_form="squared")
# Three seeds of another program: SGD and clipping solve 3, 1 and 0 at L = 10, 20 and 30, with Ω
# all. Where a third of all seeds solve it, more than 5 of 8 do in one of fifty such tables.
_COUNTED = (
    ("SGD", _SGD, 10, AtLeast(7, _SEEDS)),
    ("SGD", _SGD, 20, AtMost(5, _SEEDS)),
    ("SGD", _SGD, 30, AtMost(2, _SEEDS)),
    ("clipping", _UNTIL_SOLVED, 10, AtLeast(7, _SEEDS)),
    ("clipping + Ω", _OMEGA, 10, AtLeast(7, _SEEDS)),
)
_IN_QUICK = 10


def _counted(remedy: str, training: Training, length: int, goal: AtLeast) -> Claim:
    """Return a claim on how many seeds solve it; ``--quick`` leaves out all but the shortest."""
    full = SolvedAt(_temporal_order("smart_tanh", length, training), _SEEDS)
    return Claim(
        "omega_length",
        f"{remedy}, L={length}: seeds that solve it",
        f"{_PAPER}, fig. 7; how many as measured",
        goal,
        full,
        full if length == _IN_QUICK else None,
    )


def _compared(length: int) -> Claim:
    """Return the claim that Ω is why it is solved; ``--quick`` leaves out the longest."""
    with_omega = _temporal_order("smart_tanh", length, _OMEGA)
    full = SolvedWithout(with_omega, _SEEDS, without=_UNTIL_SOLVED)
    return Claim(
        "omega_length",
        f"clipping + Ω, L={length}: more seeds solve it than with clipping alone",
        f"{_PAPER}, fig. 7; how many as measured",
        SolvedMore(7, _SEEDS),
        full,
        full if length < 30 else None,
    )


_OMEGA_LENGTH = (
    *(_counted(*counted) for counted in _COUNTED),
    *(_compared(length) for length in (20, 30)),
)
_LENGTH_GENERALISATION = Claim(
    "length_generalisation",
    "length generalisation: trained at 50–200, tested to 5000 steps",
    f"{_PAPER}, §4.1.1 (336,000 updates in the authors' own log)",
    None,
    None,
)

CLAIMS = (
    *_SIGMOID_INIT,
    *_SHORT_TEMPORAL_ORDER,
    *_OMEGA_LENGTH,
    _LENGTH_GENERALISATION,
)
