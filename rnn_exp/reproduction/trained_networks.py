"""Networks that are trained: how, and adding, copying, and a linear network.

Adding and copying with Adam, n = 128. Of the linear network only the gradients before training
count. What is trained on temporal order is in `temporal_order`.
"""

import dataclasses
import math
from collections.abc import Mapping

import numpy as np

from rnn_exp.networks.inits import Identity, Init, Orthogonal, TorchDefault
from rnn_exp.networks.network import Network
from rnn_exp.reproduction.claims import Claim, DataclassMeasure, same_when_quick
from rnn_exp.reproduction.goals import Above, Below, Near
from rnn_exp.tasks import Adding, Copy
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.outcome import Outcome
from rnn_exp.training.planning import seconds
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training

__all__ = [
    "CLAIMS",
    "LateError",
    "LateLoss",
    "NormRatio",
    "SolvedAt",
    "SolvedWithout",
    "TrainedRuns",
]


@dataclasses.dataclass(frozen=True)
class TrainedRuns(DataclassMeasure):
    """A base for measures of one run with seeds 0, 1, …, trained side by side."""

    run: Run
    seeds: int = 3

    @property
    def settings(self) -> Mapping[str, object]:
        """Every setting of the command line that is not its default, and the seeds."""
        words = (word.strip("'").split("=", 1) for word in self.run.command.split(" ")[1:])
        seeds = ",".join(map(str, range(self.seeds)))
        return {key: value for key, value in words if key != "seed"} | {"seed": seeds}

    @property
    def expected_seconds(self) -> float:
        """The guess by which sweeps are planned."""
        return self.seeds * seconds(self.run)

    def outcomes(self) -> list[Outcome]:
        """Train every seed."""
        return train_runs([dataclasses.replace(self.run, seed=seed) for seed in range(self.seeds)])


class SolvedAt(TrainedRuns):
    """Update at which under 1 % of 10,000 fresh sequences were wrong."""

    def __call__(self) -> list[float]:
        """Return the update of every seed, infinite where it never was."""
        return [
            float(outcome.updates["update"][-1]) if outcome.status == "solved" else math.inf
            for outcome in self.outcomes()
        ]


@dataclasses.dataclass(frozen=True)
class SolvedWithout(SolvedAt):
    """Update at which under 1 % of 10,000 fresh sequences were wrong, with a remedy and without.

    Args:
        run: with the remedy.
        seeds: how many seeds have each.
        without: the training that is otherwise the same.
    """

    without: Training = dataclasses.field(default_factory=Training)

    @property
    def settings(self) -> Mapping[str, object]:
        """Those of the runs with the remedy, and what is another without it."""
        settings, other = super().settings, SolvedAt(self._other, self.seeds).settings
        changed = (key for key in settings if other.get(key) != settings[key])
        return {**settings, "without": ",".join(changed)}

    @property
    def expected_seconds(self) -> float:
        """The guess for both."""
        return super().expected_seconds + SolvedAt(self._other, self.seeds).expected_seconds

    def __call__(self) -> list[float]:
        """Return the update of every seed with the remedy, then without; infinite: never."""
        return [*super().__call__(), *SolvedAt(self._other, self.seeds)()]

    @property
    def _other(self) -> Run:
        return dataclasses.replace(self.run, training=self.without)


class LateLoss(TrainedRuns):
    """Median loss of the fresh batches of the last tenth of all updates."""

    def __call__(self) -> list[float]:
        """Return the median of every seed, NaN where it diverged."""
        return [float(np.median(_late(outcome, "loss"))) for outcome in self.outcomes()]


class LateError(TrainedRuns):
    """Mean share of wrong sequences of the fresh batches of the last tenth of all updates."""

    def __call__(self) -> list[float]:
        """Return the share of every seed, NaN where it diverged."""
        return [float(np.mean(_late(outcome, "error"))) for outcome in self.outcomes()]


def _late(outcome: Outcome, column: str) -> np.ndarray:
    """Return a column at the recorded updates of the last tenth; NaN of a run that diverged."""
    if outcome.status == "diverged":
        return np.array([math.nan])
    late = outcome.updates["update"] >= 0.9 * outcome.run.training.updates
    return outcome.updates[column][late]


class NormRatio(TrainedRuns):
    """|‖∂L/∂h_1‖ / ‖∂L/∂h_T‖ − 1| before training."""

    def __call__(self) -> list[float]:
        """Return the deviation of every seed from a ratio of 1."""
        values = []
        for outcome in self.outcomes():
            log10_norm = outcome.gradients["log10_total"]
            lag = outcome.gradients["lag"]
            first, last = log10_norm[lag.argmax()], log10_norm[lag.argmin()]
            values.append(abs(float(10 ** (first - last)) - 1))
        return values


# Adding and copying: networks that keep what a default one loses.

_ADAM = Training(optimizer="adam", learning_rate=1e-3, clip_norm=1.0)
_EVERY = Recording(every=10)


def _adding(network: Network, init: Init) -> LateLoss:
    training = dataclasses.replace(_ADAM, updates=2000, batch_size=50)
    return LateLoss(Run(Adding(100), network, init, training, _EVERY))


def _copy(init: Init, updates: int, parametrization: str = "free", seeds: int = 3) -> LateLoss:
    training = dataclasses.replace(_ADAM, updates=updates, batch_size=32)
    network = Network(hidden_size=128, parametrization=parametrization)
    return LateLoss(Run(Copy(30, symbols=5), network, init, training, _EVERY), seeds)


_ADDING = tuple(
    Claim(
        "adding",
        f"adding, T=100 (chance 1/6): {says}",
        f"{source}; the limit as measured",
        goal,
        measure,
    )
    for says, source, goal, measure in (
        (
            "tanh stays near chance",
            "Arjovsky, Shah & Bengio 2016, §4.2",
            Above(0.15),
            _adding(Network(hidden_size=128), TorchDefault()),
        ),
        (
            "a GRU learns it",
            "the cell: Cho et al. 2014",
            Below(0.01),
            _adding(Network(hidden_size=128, cell="gru"), TorchDefault()),
        ),
        (
            "an IRNN learns it",
            "Le, Jaitly & Hinton 2015, §4.1",
            Below(0.03),
            _adding(Network(hidden_size=128, activation="relu"), Identity()),
        ),
    )
)

_KEPT = "Vorontsov et al. 2017; Helfrich, Willmott & Ye 2018; the limit as measured"
# A W that is kept orthogonal is below the baseline early; the others are given longer.
_COPY = tuple(
    Claim(
        "copy", f"copy, 5 symbols of 8, T=30 (baseline 5 ln 8 / 40): {says}", source, goal, measure
    )
    for says, source, goal, measure in (
        (
            "default tanh stays on it",
            "Arjovsky, Shah & Bengio 2016, §4.1",
            Near(0.2599, 0.005),
            _copy(TorchDefault(), 4000),
        ),
        (
            "W kept orthogonal gets below it",
            _KEPT,
            Below(0.19),
            _copy(Orthogonal(), 1200, "orthogonal"),
        ),
        (
            "W orthogonal at the start alone gets below it",
            _KEPT,
            Below(0.19),
            _copy(Orthogonal(), 4000, seeds=8),
        ),
    )
)


# A linear network whose W is orthogonal: every gradient norm is the same.

_LINEAR = Run(
    task=Adding(1000),
    network=Network(activation="identity", hidden_size=64, dtype="float64"),
    init=Orthogonal(),
    training=Training(updates=1),
)
_LINEAR_ORTHOGONAL = same_when_quick(
    "linear_orthogonal",
    "linear, orthogonal: ‖∂L/∂h_t‖ is kept over 1000 steps",
    "exact for every orthogonal W (Saxe, McClelland & Ganguli 2014)",
    Below(1e-10),
    NormRatio(_LINEAR),
)

CLAIMS = (
    *_ADDING,
    *_COPY,
    _LINEAR_ORTHOGONAL,
)
