"""H9 and H10: adding two numbers, and copying symbols, over tens of time steps."""

import dataclasses

from rnn_exp.inits import Identity, Init, Orthogonal, TorchDefault
from rnn_exp.network import Network
from rnn_exp.recording import Recording
from rnn_exp.results.claims import Claim
from rnn_exp.results.goals import Above, Below, Near
from rnn_exp.results.trained import LateLoss
from rnn_exp.run import Run
from rnn_exp.tasks import Adding, Copy
from rnn_exp.training import Training

__all__ = ["CLAIMS"]

_ADAM = Training(optimizer="adam", learning_rate=1e-3, clip_norm=1.0)
_ADDING = dataclasses.replace(_ADAM, updates=2000, batch_size=50)
# A W that is kept orthogonal is below the baseline by then; the others are given longer.
_COPY, _PATIENT = (dataclasses.replace(_ADAM, updates=n, batch_size=32) for n in (1200, 4000))
_EVERY = Recording(every=10)


def _adding(network: Network, init: Init) -> LateLoss:
    return LateLoss(Run(Adding(100), network, init, _ADDING, _EVERY))


def _copy(init: Init, training: Training, parametrization: str = "free") -> LateLoss:
    network = Network(hidden_size=128, parametrization=parametrization)
    return LateLoss(Run(Copy(30, symbols=5), network, init, training, _EVERY))


_TANH = _adding(Network(hidden_size=128), TorchDefault())
_GRU = _adding(Network(hidden_size=128, cell="gru"), TorchDefault())
_IRNN = _adding(Network(hidden_size=128, activation="relu"), Identity())

_SUM = "adding, T=100 (chance 1/6)"
_SYMBOLS = "copy, 5 symbols of 8, T=30 (baseline 5 ln 8 / 40)"
_COPYING = "Arjovsky, Shah & Bengio 2016, §4.1"
_KEPT = "Vorontsov et al. 2017; Helfrich, Willmott & Ye 2018; as measured"
CLAIMS = (
    Claim("H9", f"{_SUM}: tanh stays near chance", "Arjovsky, Shah & Bengio 2016, §4.2; as "
          "measured", Above(0.15), _TANH),
    Claim("H9", f"{_SUM}: a GRU learns it", "Cho et al. 2014; as measured", Below(0.01), _GRU),
    Claim("H9", f"{_SUM}: an IRNN learns it", "Le, Jaitly & Hinton 2015, §4.1; as measured",
          Below(0.03), _IRNN),
    Claim("H10", f"{_SYMBOLS}: default tanh stays on it", _COPYING, Near(0.2599, 0.005),
          _copy(TorchDefault(), _PATIENT)),
    Claim("H10", f"{_SYMBOLS}: W kept orthogonal gets below it", _KEPT, Below(0.19),
          _copy(Orthogonal(), _COPY, "orthogonal")),
    Claim("H10", f"{_SYMBOLS}: W orthogonal at the start alone gets below it", _KEPT, Below(0.19),
          _copy(Orthogonal(), _PATIENT)),
)  # fmt: skip
