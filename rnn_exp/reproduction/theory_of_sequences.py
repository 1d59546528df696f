r"""Plain networks on their own task before training, against the mean field of every time step.

What drives them differs from step to step, or they start far from their stationary state, so that
a stationary rate says the wrong thing of a sequence (`theory.transient`). What is compared is the
change over the sequence, ln ‖g_1‖ − ln ‖g_T‖ in nats, as a run records and predicts it. Below the
smallest float the norms of a run are compared with those of a plain program.
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from rnn_exp.networks.inits import Critical, Gaussian, Init
from rnn_exp.networks.network import Network
from rnn_exp.randomness import generator
from rnn_exp.reproduction.claims import Claim, same_when_quick
from rnn_exp.reproduction.goals import Above, Below, Goal, Near
from rnn_exp.reproduction.trained_networks import TrainedRuns
from rnn_exp.schema import status_of
from rnn_exp.tasks import Adding, Latch, Task, TemporalOrder
from rnn_exp.theory.edge import initial_weights
from rnn_exp.training.outcome import Outcome
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training

__all__ = ["CLAIMS", "BelowTheFloor", "Change", "MiddleRate"]

_LN_10 = math.log(10)
_OURS, _THEORY = "measured", "theory − measured"
_STATIONARY = "distance from the stationary rate"


@dataclasses.dataclass(frozen=True)
class _Compared(TrainedRuns):
    """A base for what is compared with theory before the first update."""

    of: str = _OURS

    @property
    def settings(self) -> Mapping[str, object]:
        """Those of the runs, and what is looked at."""
        return {**super().settings, "of": self.of}


class Change(_Compared):
    """ln ‖g_1‖ − ln ‖g_T‖ before training, in nats."""

    def __call__(self) -> list[float]:
        """Return the value of every seed."""
        return [self._of(outcome) for outcome in self.outcomes()]

    def _of(self, outcome: Outcome) -> float:
        summary, theory = outcome.first.summary, outcome.theory
        measured = summary.log10_change * _LN_10
        if self.of == _OURS:
            return measured
        if theory.rate is None or theory.lags < summary.lags:
            return math.nan
        if self.of == _THEORY:
            return theory.log10_change * _LN_10 - measured
        return abs(measured - summary.lags * math.log(theory.rate))


class MiddleRate(_Compared):
    """Mean increment of ln ‖g‖ per lag over the middle 80 % of the lags, before training."""

    def __call__(self) -> list[float]:
        """Return the value of every seed."""
        return [self._of(outcome) for outcome in self.outcomes()]

    def _of(self, outcome: Outcome) -> float:
        measured, rate = outcome.first.summary.slope, outcome.theory.rate
        if self.of == _OURS:
            return measured
        return math.nan if rate is None else abs(measured - math.log(rate))


class BelowTheFloor(TrainedRuns):
    """Largest error of log10(‖∂L/∂h_t‖ / ‖∂L/∂h_T‖) over the lags that float32 has lost.

    In decades, from what a plain program makes of the same weights and sequences. NaN where
    training has not lost the norm of the first time step.
    """

    def __call__(self) -> list[float]:
        """Return the error of every seed."""
        return [self._difference(outcome) for outcome in self.outcomes()]

    def _difference(self, outcome: Outcome) -> float:
        run, table = outcome.run, outcome.gradients
        lag = table["lag"]
        lost = table[status_of("log10_total")] == "underflow"
        if not lost[lag.argmax()]:
            return math.nan
        relative = log10_norms(run)
        at_last = table["log10_total"][lag.argmin()]
        return float(np.abs(table["log10_total"] - at_last - relative[lag])[lost].max())


def log10_norms(run: Run) -> np.ndarray:
    """Return log10 of ‖∂L/∂h_t‖ / ‖∂L/∂h_T‖ at the lags 0, 1, … of a sigmoid network of one layer.

    It is made in numpy alone, in float64, from the run's weights before its first update and the
    sequences of that update, for a squared error at the last step. The walk back takes the norm
    out after each step, so that nothing under- or overflows.

    Args:
        run: one sequence length, one output.
    """
    drawn = initial_weights(run.network, run.init, run.task, run.seed)
    p = {name: value.float().double().numpy() for name, value in drawn.items()}
    batch = run.task.draw(run.training.batch_size, generator(run.seed, "data"))
    x, target = batch.inputs.double().numpy(), batch.targets.double().numpy()[0]
    V, W, b = p["weight_ih_l0"], p["weight_hh_l0"], p["bias_ih_l0"] + p["bias_hh_l0"]
    h, states = np.full((x.shape[1], len(W)), run.network.initial_state), []
    for x_t in x:
        h = 1 / (1 + np.exp(-(x_t @ V.T + h @ W.T + b)))
        states.append(h)
    error = h @ p["readout.weight"].T + p["readout.bias"] - target.reshape(-1, 1)
    g, log10_norm, found = error @ p["readout.weight"], 0.0, []
    for step, h in enumerate(reversed(states)):
        size = float(np.linalg.norm(g))
        log10_norm += math.log10(size) if step else 0.0
        found.append(log10_norm)
        g = (g / size * h * (1 - h)) @ W
    return np.array(found)


_ONCE = Training(updates=1)


def _before_training(task: Task, init: Init) -> Run:
    return Run(task, Network(hidden_size=512), init, _ONCE)


_TRANSIENT = "derived in rnn_exp.theory.transient (Poole et al. 2016, eq. 3)"


def _claims(
    group: str, said: tuple[tuple[str, Goal, Change | MiddleRate], ...]
) -> tuple[Claim, ...]:
    return tuple(
        same_when_quick(group, says, f"{_TRANSIENT}; as another program has it", goal, measure)
        for says, goal, measure in said
    )


def _temporal_order(length: int, change: float, tolerance: float) -> tuple[Claim, ...]:
    """Return what is said of tanh, g = 2, far from its stationary state.

    Args:
        length: L = T.
        change: what another program has measured.
        tolerance: twice the scatter of a seed.
    """
    run, says = _before_training(TemporalOrder(length), Gaussian(2.0)), f"tanh, g=2, T={length}:"
    return _claims(
        "transient",
        (
            (f"{says} the change over the sequence", Near(change, tolerance), Change(run, 8)),
            (f"{says} theory agrees", Near(0.0, tolerance), Change(run, 8, _THEORY)),
            (f"{says} the stationary rate is off", Above(1.0), Change(run, 8, _STATIONARY)),
        ),
    )


_LATCH = _before_training(Latch(60), Gaussian(1.0, 60.0))
_EDGE = _before_training(Latch(60), Critical(1.0, 60.0))
_LATCH_SAYS = "latch, T=60, g=1, input_scale=60:"


def _floor(gain: float, length: int) -> Claim:
    network = Network("sigmoid", hidden_size=64)
    return same_when_quick(
        "below_the_floor",
        f"sigmoid, g={gain:g}, T={length}: the norms that float32 has lost are right",
        "exact; a plain program beside it",
        Below(1e-3),
        BelowTheFloor(Run(Adding(length), network, Gaussian(gain), _ONCE), 5),
    )


CLAIMS = (
    *_temporal_order(10, 3.89, 0.12),
    *_temporal_order(30, 7.16, 0.2),
    *_claims(
        "latch",
        (
            (f"{_LATCH_SAYS} the rate", Near(-0.175, 0.025), MiddleRate(_LATCH, 8)),
            (
                f"{_LATCH_SAYS} that of the average drive is off",
                Above(0.03),
                MiddleRate(_LATCH, 8, _STATIONARY),
            ),
            (f"{_LATCH_SAYS} theory of each step", Near(0.0, 1.0), Change(_LATCH, 8, _THEORY)),
            (
                f"{_LATCH_SAYS} the stationary rate misses the change",
                Above(2.0),
                Change(_LATCH, 8, _STATIONARY),
            ),
            (
                "latch, T=60, init=critical, input_scale=60: no change over the sequence",
                Near(0.0, 0.5),
                Change(_EDGE, 8),
            ),
        ),
    ),
    _floor(0.5, 100),
    _floor(0.3, 300),
)
