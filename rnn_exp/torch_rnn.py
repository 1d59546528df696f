"""The genuine ``torch.nn.RNN``: this package's networks as torch's modules, and back, exactly."""

import torch
from torch import Tensor, nn

from rnn_exp.network import Network, layer, shapes
from rnn_exp.settings import SettingError
from rnn_exp.shapes import Float

__all__ = ["empty_module", "from_torch", "states_of", "to_torch", "torch_weights"]


def torch_weights(parameters: dict[str, Tensor], network: Network) -> dict[str, Tensor]:
    r"""Return the weights with which torch's tanh or relu ``nn.RNN`` computes this network.

    tanh and relu: the same. sigmoid: with h = (1 + s)/2, the sigmoid network (W, V, b) *is* a tanh
    network in s with W/4, V/2, b/2 + W·1/4 and s₀ = 2 h₀ − 1, because σ(u) = (1 + tanh(u/2))/2.
    A layer above another reads h as well, so its V too becomes V/4 and adds V·1/4 to the bias.
    """
    if network.activation != "sigmoid":
        return {name: value for name, value in parameters.items() if "readout" not in name}
    result = {}
    for number in range(network.num_layers):
        V, W, b_ih, b_hh = layer(parameters, number)
        result[f"weight_ih_l{number}"] = V / 4 if number else V / 2
        result[f"weight_hh_l{number}"] = W / 4
        result[f"bias_ih_l{number}"] = b_ih / 2 + (V.sum(-1) / 4 if number else 0)
        result[f"bias_hh_l{number}"] = b_hh / 2 + W.sum(-1) / 4
    return result


def empty_module(network: Network, input_size: int, device: torch.device | str) -> nn.RNN:
    """Return a torch.nn.RNN of the right shape and kind whose weights are yet to be given.

    torch draws the weights of a new module from its global generator; here nothing is drawn.

    Raises:
        SettingError: for the identity, which torch.nn.RNN cannot compute.
    """
    if network.activation == "identity":
        raise SettingError("activation", "identity", "tanh, sigmoid, relu (torch.nn.RNN)")
    kind = "relu" if network.activation == "relu" else "tanh"
    module = nn.RNN(
        input_size, network.hidden_size, network.num_layers,
        nonlinearity=kind, dtype=network.torch_dtype, device="meta",
    )  # fmt: skip
    return module.to_empty(device=device)


def states_of(
    module: nn.RNN,
    parameters: dict[str, Tensor],
    x: Float[Tensor, "time batch input"],
    network: Network,
) -> Float[Tensor, "time batch hidden"]:
    """Run the module with one run's parameters and return h of its top layer, from h₀ = 0."""
    shape = (network.num_layers, x.shape[1], network.hidden_size)
    start = x.new_full(shape, -1.0 if network.activation == "sigmoid" else 0.0)
    weights = torch_weights(parameters, network)
    out, _ = torch.func.functional_call(module, weights, (x, start))
    return (1 + out) / 2 if network.activation == "sigmoid" else out


def to_torch(parameters: dict[str, Tensor], network: Network) -> nn.RNN:
    """Return a real ``torch.nn.RNN`` that computes this network's states (of one run).

    For tanh and relu its output is h. For the sigmoid its output is s, to be started at
    s₀ = 2 h₀ − 1 (all −1 for h₀ = 0), and h = (1 + s)/2, exactly.

    Raises:
        SettingError: for the identity, which torch.nn.RNN cannot compute.
    """
    V = parameters["weight_ih_l0"]
    module = empty_module(network, V.shape[-1], V.device)
    module.load_state_dict(torch_weights(parameters, network))
    return module


def from_torch(module: nn.RNN) -> tuple[Network, dict[str, Tensor]]:
    """Return the description and the named parameters of a ``torch.nn.RNN``.

    A module without biases gives biases of zero.

    Raises:
        TypeError: for anything but a plain, one-directional nn.RNN.
    """
    if type(module) is not nn.RNN or module.bidirectional or module.dropout:
        raise TypeError(f"expected a one-directional torch.nn.RNN without dropout, got {module}")
    own = {name: value.detach().clone() for name, value in module.named_parameters()}
    network = Network(
        activation=module.nonlinearity, hidden_size=module.hidden_size,
        num_layers=module.num_layers, dtype=str(own["weight_hh_l0"].dtype).removeprefix("torch."),
    )  # fmt: skip
    names = [name for name in shapes(network, module.input_size, 1) if "readout" not in name]
    return network, {name: own.get(name, own["weight_hh_l0"].new_zeros(module.hidden_size))
                     for name in names}  # fmt: skip
