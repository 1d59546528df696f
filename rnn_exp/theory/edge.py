"""The weights before training, and the gain at which theory says that the gradient keeps its size.

The gradient of the first state is to be as large as that of the last, under what drives each time
step of the run's own task. Of the plain cell the mean field says how large it is (`transient`), of
a leaky cell or one with gates the recursion at two times (`two_time`), with a forward pass at every
gain that is tried.
"""

import math

from torch import Tensor

from rnn_exp.networks.inits import Init, own_parameters
from rnn_exp.networks.network import Network, shapes
from rnn_exp.shapes import Float
from rnn_exp.tasks import Task
from rnn_exp.theory.drive import drives_of, inputs_of_layer, jacobian_of_layer, mean_drive
from rnn_exp.theory.premises import unsteady_gates
from rnn_exp.theory.stationary import critical_gain
from rnn_exp.theory.transient import balanced, edge_gain
from rnn_exp.theory.two_time import coupling, kept, log_sizes

__all__ = ["initial_weights"]

_TOLERANCE = 1e-4  # of ln g, and of the change: a forward pass at every gain that is tried
_EVALUATIONS = 16


def initial_weights(network: Network, init: Init, task: Task, seed: int) -> dict[str, Tensor]:
    """Return all parameters of a run before its first update.

    With an init that wants it (`Init.critical_scale`) every layer's W_hh is scaled to that multiple
    of the gain at which theory says that the change of the gradient over the sequence is 0, under
    the drive that this layer's inputs and biases make at each time step.

    Args:
        network: what the network is.
        init: how its weights are drawn.
        task: the task whose inputs drive it.
        seed: the run's seed.

    Returns:
        Tensors under torch's names.

    Raises:
        SettingError: if that drive is beyond what the mean field resolves, if states grow without
            end before the gradient keeps its size, and if theory does not hold for the network at
            that gain, or knows of none.
    """
    sizes = shapes(network, task.input_size, task.output_size)
    drawn, scale = init.weights(network, sizes, seed), init.critical_scale
    own = own_parameters(network, sizes, seed)
    drawn |= {name: tensor for name, tensor in own.items() if network.has(name)}
    if scale is None:
        return drawn
    for number in range(network.num_layers):
        x = inputs_of_layer(network, task, seed, drawn, number)
        find = _mean_field_gain if network.kind.is_plain else _two_time_gain
        drawn[f"weight_hh_l{number}"] *= scale * find(network, init, x, drawn, number)
    return drawn


def _mean_field_gain(
    network: Network,
    init: Init,
    x: Float[Tensor, "time 1 batch input"],
    drawn: dict[str, Tensor],
    number: int,
) -> float:
    """Return the gain of a plain layer; of a single time step, which has no change, the χ = 1."""
    try:
        if len(x) < 2:
            return critical_gain(network.activation, mean_drive(x, drawn, number))
        drives = drives_of(x, drawn, number).tolist()
        return edge_gain(network.activation, drives, network.initial_state)
    except ValueError as error:
        # Of a bounded φ a weaker drive helps; of another one the states grow before the gradient.
        refuse = init.drive_error if network.phi.bounded else init.edge_error
        raise refuse(str(error)) from None


def _two_time_gain(
    network: Network,
    init: Init,
    x: Float[Tensor, "time 1 batch input"],
    drawn: dict[str, Tensor],
    number: int,
) -> float:
    """Return the gain of a layer that keeps part of its gradient; a drawn W_hh has g = 1."""
    name, gates = f"weight_hh_l{number}", network.kind.gates

    def change(gain: float) -> float:
        """Return ln‖g_1‖ − ln‖g_T‖ at a gain."""
        own = drawn | {name: drawn[name] * gain}
        jacobian, finite = jacobian_of_layer(network, x, own, number)
        if jacobian is None or not finite:
            return math.nan
        pairs = coupling(jacobian, [gain] * gates)
        return float(log_sizes(kept(jacobian), pairs)[-1])

    gain = None
    if len(x) > 1:
        gain = balanced(change, 1.0, tolerance=_TOLERANCE, evaluations=_EVALUATIONS)
    if gain is None:
        raise init.edge_error("theory finds no gain at which its gradient keeps its size")
    jacobian, _ = jacobian_of_layer(network, x, drawn | {name: drawn[name] * gain}, number)
    failed = [] if jacobian is None else list(unsteady_gates(jacobian, [gain] * gates))
    if failed:
        raise init.edge_error(f"at its critical gain of {gain:.3g} {'; '.join(failed)}")
    return gain
