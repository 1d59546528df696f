"""What theory says of one network before its first update, under the drive of its own inputs.

Of the plain cell it is the mean field of every time step (`transient`), of cells that keep part of
the gradient the recursion at two times (`two_time`); where a premise fails (`premises`) it is
nothing, with the reason.
"""

import dataclasses
import math

import numpy as np
from torch import Tensor

from rnn_exp.networks.inits import Init
from rnn_exp.networks.network import Network
from rnn_exp.shapes import Float
from rnn_exp.tasks import Task
from rnn_exp.theory.drive import (
    drives_of,
    inputs_of_layer,
    jacobian_of_layer,
    layer_drive,
    layer_drives,
    mean_drive,
)
from rnn_exp.theory.premises import failures, gains_of, lags
from rnn_exp.theory.stationary import mean_field
from rnn_exp.theory.transient import log_steps, transient
from rnn_exp.theory.two_time import coupling, kept, log_sizes, rate_of

__all__ = ["Prediction", "layer_drive", "layer_drives", "predict"]

_ASYMPTOTE = 100  # the rate is that of the later half of so many of the last steps


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What is predicted of the gradient by what the top layer carries: h, or c of an LSTM.

    Args:
        drive: s², the mean square of what inputs and biases give a unit of the top layer.
        rate: the asymptotic factor a step back in time; None: no theory holds.
        form: which theory it is, ``mean field`` or ``two-time``; None: none holds.
        because: every premise that fails, in one clause; None: none does.
        log10_steps: log10 of the factors of the steps back from the last, as far as theory speaks.
    """

    drive: float
    rate: float | None
    form: str | None = None
    because: str | None = None
    log10_steps: tuple[float, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether a theory holds for this network."""
        return self.form is not None

    @property
    def lags(self) -> int:
        """The largest lag of which theory speaks."""
        return len(self.log10_steps)

    def profile(self, length: int) -> Float[np.ndarray, " lag"]:
        """Return log10 of the gradient's norm at the lags 0, 1, …, relative to lag 0.

        Args:
            length: how many lags are wanted, that of lag 0 among them.

        Returns:
            As many numbers, or fewer: none beyond `lags`, and none at all where no theory holds.

        Example:
            >>> Prediction(0.0, 0.1, "mean field", None, (-1.0, -1.0)).profile(9).tolist()
            [0.0, -1.0, -2.0]
        """
        if not self.holds:
            return np.zeros(0)
        return np.concatenate([[0.0], np.cumsum(self.log10_steps)])[: max(0, length)]


def predict(
    network: Network, init: Init, task: Task, seed: int, weights: dict[str, Tensor]
) -> Prediction:
    """Ask theory about the top layer, with what fresh sequences of the run's own make of it.

    Args:
        network: what the network is.
        init: how its weights were drawn.
        task: the task of which sequences are drawn.
        seed: the run's seed; the sequences are no part of its training.
        weights: the run's parameters before its first update, by torch's names.
    """
    top, W = network.num_layers - 1, weights[network.top_weight]
    x = inputs_of_layer(network, task, seed, weights, top)
    drive = mean_drive(x, weights, top)
    gains, (jacobian, finite) = (
        gains_of(network, init, W),
        jacobian_of_layer(network, x, weights, top),
    )
    failed = list(failures(network, init, gains, jacobian))
    if not math.isfinite(drive) and network.kind.own_shapes is None:
        failed.append("the drive of its inputs is not finite")
    elif not finite:
        failed.append("its states overflow")
    if len(x) < 2 and not network.kind.is_plain:
        failed.append("its sequences have a single time step")
    if failed or jacobian is None or gains is None:
        return Prediction(drive, None, because="; ".join(failed))
    speaks_to = lags(network, jacobian, gains)
    if network.kind.is_plain:
        form, rate = "mean field", mean_field(network.activation, gains[0], drive).rate
        drives, start = drives_of(x, weights, top).tolist(), network.initial_state
        steps = log_steps(transient(network.activation, gains[0], drives, start).chi)
    else:
        looked_at = jacobian.last(max(speaks_to, _ASYMPTOTE) + 1)
        keep, pairs = kept(looked_at), coupling(looked_at, gains)
        form, rate = "two-time", rate_of(keep, pairs)
        steps = _differences(log_sizes(keep[:speaks_to], pairs[:speaks_to, :speaks_to]))
    if not math.isfinite(rate) or np.isnan(steps).any():
        return Prediction(drive, None, because="its states are too large to be resolved")
    log10_steps = steps[:speaks_to] / math.log(10)
    return Prediction(drive, rate, form, log10_steps=tuple(log10_steps.tolist()))


def _differences(sizes: Float[np.ndarray, " lag_and_one"]) -> Float[np.ndarray, " lag"]:
    """Return the steps between logarithms; what is 0 stays so."""
    gone = np.isneginf(sizes)
    return np.where(gone[1:], -math.inf, np.diff(np.where(gone, 0.0, sizes)))
