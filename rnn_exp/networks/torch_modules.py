"""torch's own nn.RNN, nn.GRU and nn.LSTM: this package's networks as modules, exactly."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from rnn_exp.fields import SettingError
from rnn_exp.networks.cells import ACTIVATIONS, CELLS
from rnn_exp.networks.cells.activations import TorchForm
from rnn_exp.networks.network import Network, Refusal
from rnn_exp.networks.parameters import layer_weights
from rnn_exp.shapes import Float

Module = nn.RNN | nn.GRU | nn.LSTM

__all__ = [
    "empty_module",
    "states_of",
    "torch_refusals",
    "torch_weights",
]


def torch_refusals(network: Network) -> Iterator[Refusal]:
    """Yield the settings for which torch has no module.

    Args:
        network: what the network is.

    Returns:
        The key, its value, and what is allowed.
    """
    kind = network.kind
    if kind.torch_module is None:
        cells = ", ".join(CELLS.where(lambda cell: cell.torch_module is not None))
        yield "cell", network.cell, f"{cells} with engine=torch; use engine=scan"
    elif kind.only_activation is None and network.phi.torch_form is None:
        able = ", ".join(ACTIVATIONS.where(lambda phi: phi.torch_form is not None))
        reason = f"torch.nn.RNN has no {network.activation} recurrence"
        yield (
            "activation",
            network.activation,
            f"{able} with engine=torch ({reason}); use engine=scan",
        )


def torch_weights(parameters: dict[str, Tensor], network: Network) -> dict[str, Tensor]:
    r"""Return the weights with which torch's own module computes this network.

    GRU, LSTM, tanh and relu: the same, without biases where the network has none. With φ(u) =
    o + s ψ(k u) (`TorchForm`) and h = o + s z, the network (W, V, b) of φ *is* a network of ψ in z
    with k s W, k V, k b + k o W·1 and z₀ = (h₀ − o) / s. For the sigmoid, σ(u) = (1 + tanh(u/2))/2,
    that is W/4, V/2, b/2 + W·1/4. A layer above another reads h as well, so its V too becomes
    k s V and adds k o V·1 to the bias.

    Args:
        parameters: of one run, by torch's names.
        network: what the network is.

    Returns:
        Named weights without those of the read-out.
    """
    form = _form(network)
    if form.is_plain:
        return {
            name: value
            for name, value in parameters.items()
            if "readout" not in name and network.has(name)
        }
    k, ks, ko = form.stretch, form.stretch * form.scale, form.stretch * form.offset
    result = {}
    for number in range(network.num_layers):
        V, W, b_ih, b_hh = layer_weights(parameters, number)
        result[f"weight_ih_l{number}"] = V * ks if number else V * k
        result[f"weight_hh_l{number}"] = W * ks
        result[f"bias_ih_l{number}"] = b_ih * k + (V.sum(-1) * ko if number else 0)
        result[f"bias_hh_l{number}"] = b_hh * k + W.sum(-1) * ko
    return result


def empty_module(network: Network, input_size: int, device: torch.device | str) -> Module:
    """Return torch's module of the right shape and kind, whose weights are yet to be given.

    torch draws the weights of a new module from its global generator; here nothing is drawn.

    Args:
        network: what the network is.
        input_size: numbers it reads a time step.
        device: where its weights will be.

    Raises:
        SettingError: for a cell or an activation that torch has no module for.
    """
    for key, value, reason in torch_refusals(network):
        raise SettingError(key, value, reason)
    module = getattr(nn, str(network.kind.torch_module))
    more = {} if network.kind.only_activation else {"nonlinearity": _form(network).nonlinearity}
    made: Module = module(
        input_size,
        network.hidden_size,
        network.num_layers,
        # Where torch has another activation, the same network has biases there.
        bias=network.bias or not _form(network).is_plain,
        dtype=network.torch_dtype,
        device="meta",
        **more,
    )
    return made.to_empty(device=device)


def states_of(
    module: Module,
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time batch input"],
    network: Network,
) -> Float[Tensor, "time batch hidden"]:
    """Return h of the top layer with one run's parameters, from the network's initial state.

    Args:
        module: as `empty_module` makes it.
        parameters: of one run, by torch's names.
        x: the inputs.
        network: what the network is.
    """
    form = _form(network)
    shape = (network.num_layers, x.shape[1], network.hidden_size)
    start = x.new_full(shape, (network.initial_state - form.offset) / form.scale)
    given = (start, torch.zeros_like(start)) if network.kind.has_memory else start
    weights = torch_weights(parameters, network)
    out, _ = torch.func.functional_call(module, weights, (x, given))
    return out if form.is_plain else form.offset + form.scale * out


def _form(network: Network) -> TorchForm:
    """Return how torch computes φ; gated cells have their own activations, which torch knows."""
    form = None if network.kind.only_activation else network.phi.torch_form
    return form or TorchForm("tanh")
