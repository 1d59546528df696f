"""H11: a linear network with an orthogonal W keeps the norm of the gradient."""

from rnn_exp.inits import Orthogonal
from rnn_exp.network import Network
from rnn_exp.results.claims import cheap
from rnn_exp.results.goals import Below
from rnn_exp.results.trained import Trained
from rnn_exp.run import Run
from rnn_exp.tasks import Adding
from rnn_exp.training import Training

__all__ = ["CLAIMS", "NormRatio"]


class NormRatio(Trained):
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


_LINEAR = Run(
    task=Adding(1000),
    network=Network(activation="identity", dtype="float64"),
    init=Orthogonal(),
    training=Training(updates=1),
)
CLAIMS = (
    cheap("H11", "linear, orthogonal: ‖∂L/∂h_t‖ is kept over 1000 steps",
          "Saxe, McClelland & Ganguli 2014, §3", Below(1e-10), NormRatio(_LINEAR)),
)  # fmt: skip
