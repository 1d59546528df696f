"""torch's own nn.RNN, nn.GRU and nn.LSTM: this package's networks as modules, and back, exactly."""

import torch
from torch import Tensor, nn

from rnn_exp.fields import SettingError
from rnn_exp.networks.network import Network, layer_of, shapes
from rnn_exp.shapes import Float

__all__ = ["empty_module", "from_torch", "states_of", "to_torch", "torch_weights"]

Module = nn.RNN | nn.GRU | nn.LSTM
_GATED: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}


def torch_weights(parameters: dict[str, Tensor], network: Network) -> dict[str, Tensor]:
    r"""Return the weights with which torch's own module computes this network.

    GRU, LSTM, tanh and relu: the same. sigmoid: with h = (1 + s)/2, the sigmoid network (W, V, b)
    *is* a tanh network in s with W/4, V/2, b/2 + W·1/4 and s₀ = 2 h₀ − 1, because
    σ(u) = (1 + tanh(u/2))/2.
    A layer above another reads h as well, so its V too becomes V/4 and adds V·1/4 to the bias.
    """
    if network.activation != "sigmoid":
        return {name: value for name, value in parameters.items() if "readout" not in name}
    result = {}
    for number in range(network.num_layers):
        V, W, b_ih, b_hh = layer_of(parameters, number)
        result[f"weight_ih_l{number}"] = V / 4 if number else V / 2
        result[f"weight_hh_l{number}"] = W / 4
        result[f"bias_ih_l{number}"] = b_ih / 2 + (V.sum(-1) / 4 if number else 0)
        result[f"bias_hh_l{number}"] = b_hh / 2 + W.sum(-1) / 4
    return result


def empty_module(network: Network, input_size: int, device: torch.device | str) -> Module:
    """Return torch's module of the right shape and kind, whose weights are yet to be given.

    torch draws the weights of a new module from its global generator; here nothing is drawn.

    Raises:
        SettingError: for a cell or an activation that torch has no module for.
    """
    sizes = input_size, network.hidden_size, network.num_layers
    more = {"dtype": network.torch_dtype, "device": "meta"}
    if network.cell in _GATED:
        return _GATED[network.cell](*sizes, **more).to_empty(device=device)
    if network.cell != "rnn":
        raise SettingError("cell", network.cell, "rnn, gru, lstm (torch has no other)")
    if network.activation == "identity":
        raise SettingError("activation", "identity", "tanh, sigmoid, relu (torch.nn.RNN)")
    kind = "relu" if network.activation == "relu" else "tanh"
    return nn.RNN(*sizes, nonlinearity=kind, **more).to_empty(device=device)


def states_of(
    module: Module,
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time batch input"],
    network: Network,
) -> Float[Tensor, "time batch hidden"]:
    """Return h of the top layer with one run's parameters, from the network's initial state."""
    shape = (network.num_layers, x.shape[1], network.hidden_size)
    sigmoid, first = network.activation == "sigmoid", network.initial_state
    start = x.new_full(shape, 2 * first - 1 if sigmoid else first)
    given = (start, torch.zeros_like(start)) if network.cell == "lstm" else start
    weights = torch_weights(parameters, network)
    out, _ = torch.func.functional_call(module, weights, (x, given))
    return (1 + out) / 2 if sigmoid else out


def to_torch(parameters: dict[str, Tensor], network: Network) -> Module:
    """Return a real torch.nn.RNN, GRU or LSTM that computes this network's states (of one run).

    Its output is h, but for the sigmoid. For the sigmoid its output is s, to be started at
    s₀ = 2 h₀ − 1 (all −1 for h₀ = 0), and h = (1 + s)/2, exactly.

    Raises:
        SettingError: for a cell or an activation that torch has no module for.
    """
    V = parameters["weight_ih_l0"]
    module = empty_module(network, V.shape[-1], V.device)
    module.load_state_dict(torch_weights(parameters, network))
    return module


def from_torch(module: Module) -> tuple[Network, dict[str, Tensor]]:
    """Return the description and the named parameters of a torch.nn.RNN, GRU or LSTM.

    A module without biases gives biases of zero.

    Raises:
        TypeError: for anything but a plain, one-directional module of these.
    """
    kinds: dict[type, str] = {nn.RNN: "rnn"} | {kind: name for name, kind in _GATED.items()}
    cell = kinds.get(type(module))
    if cell is None or module.bidirectional or module.dropout or module.proj_size:
        raise TypeError(
            "expected a one-directional torch.nn.RNN, GRU or LSTM without dropout or "
            f"projection, got {module}"
        )
    own = {name: value.detach().clone() for name, value in module.named_parameters()}
    network = Network(
        cell=cell,
        activation=module.nonlinearity if isinstance(module, nn.RNN) else "tanh",
        hidden_size=module.hidden_size,
        num_layers=module.num_layers,
        dtype=str(own["weight_hh_l0"].dtype).removeprefix("torch."),
    )
    wanted = {
        name: shape
        for name, shape in shapes(network, module.input_size, 1).items()
        if "readout" not in name
    }
    return network, {
        name: own.get(name, own["weight_hh_l0"].new_zeros(shape)) for name, shape in wanted.items()
    }
