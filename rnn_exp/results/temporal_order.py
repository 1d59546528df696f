"""H6–H8: temporal order as Pascanu, Mikolov & Bengio (2013) trained it: n = 50, SGD, batch 20."""

import dataclasses

from rnn_exp.inits import Pascanu
from rnn_exp.network import Network
from rnn_exp.recording import Recording
from rnn_exp.results.claims import Claim, cheap
from rnn_exp.results.goals import Near, Solved
from rnn_exp.results.trained import LateError, LateLoss, SolvedAt
from rnn_exp.run import Run
from rnn_exp.tasks import TemporalOrder
from rnn_exp.training import Training

__all__ = ["CLAIMS"]

_PAPER = "Pascanu, Mikolov & Bengio 2013"
_CLIPPED = Training(updates=6000, batch_size=20, learning_rate=0.01, clip_norm=1.0)
_REMEDIES = {
    "SGD": dataclasses.replace(_CLIPPED, clip_norm=None),
    "clipping": _CLIPPED,
    "clipping + Ω": dataclasses.replace(_CLIPPED, omega=2.0, omega_form="squared"),
}
_LENGTHS = (10, 20, 30)
# How many of three seeds solve it, in the order of the lengths; only Ω's is asked for exactly.
_SOLVE = {"SGD": (3, 1, 0), "clipping": (3, 1, 0), "clipping + Ω": (3, 3, 3)}
_SLACK = {"SGD": 1, "clipping": 1, "clipping + Ω": 0}


def _run(variant: str, length: int, training: Training) -> Run:
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
    _run("sigmoid", 20, _CLIPPED),
    network=Network(activation="sigmoid", hidden_size=50),
    recording=Recording(every=5),
)
_STUCK_QUICK = dataclasses.replace(_STUCK, training=dataclasses.replace(_CLIPPED, updates=1000))
_SOLVING = dataclasses.replace(_CLIPPED, stop_when_solved=True)
_EASY = SolvedAt(_run("basic_tanh", 20, dataclasses.replace(_SOLVING, updates=2000)))
_EASY_IN_TIME = SolvedAt(_run("basic_tanh", 20, _SOLVING))
_ADVERSARIAL = "sigmoid init, L=20: 6000 updates teach nothing"


def _lengths(remedy: str) -> list[Claim]:
    training = dataclasses.replace(_REMEDIES[remedy], stop_when_solved=True)
    result = []
    for length, count in zip(_LENGTHS, _SOLVE[remedy], strict=True):
        full = SolvedAt(_run("smart_tanh", length, training))
        in_quick = full if training.omega or length == _LENGTHS[0] else None
        goal = Solved(count, full.seeds, _SLACK[remedy])
        result.append(Claim("H8", f"{remedy}, L={length}: seeds that solve it", f"{_PAPER}, fig. 7",
                            goal, full, in_quick))  # fmt: skip
    return result


CLAIMS = (
    Claim("H6", f"{_ADVERSARIAL}, the error", f"{_PAPER}, §4.1, fig. 7", Near(0.75, 0.02),
          LateError(_STUCK), LateError(_STUCK_QUICK)),
    Claim("H6", f"{_ADVERSARIAL}, the loss", f"{_PAPER}, §4.1; ln 4", Near(1.386, 0.01),
          LateLoss(_STUCK), LateLoss(_STUCK_QUICK)),
    cheap("H7", "basic tanh init, L=20: solved within 2000 updates", f"{_PAPER}, §4.1, fig. 7",
          Solved(3, 3), _EASY),
    cheap("H7", "basic tanh init, L=20: solved within the 6000 updates of H6", f"{_PAPER}, §4.1, "
          "fig. 7", Solved(3, 3), _EASY_IN_TIME),
    *(claim for remedy in _REMEDIES for claim in _lengths(remedy)),
    Claim("–", "length generalisation: trained at 50–200, tested to 5000 steps",
          f"{_PAPER}, §4.1.2 (336,000 updates in the authors' own log)", None, None),
)  # fmt: skip
