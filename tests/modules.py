"""Networks as modules of torch, and back."""

from torch import Tensor, nn

from rnn_exp.networks.cells import CELLS
from rnn_exp.networks.network import Network, shapes
from rnn_exp.networks.torch_modules import empty_module, torch_weights

Module = nn.RNN | nn.GRU | nn.LSTM


def to_torch(parameters: dict[str, Tensor], network: Network) -> Module:
    """Return a real torch.nn.RNN, GRU or LSTM that computes this network's states (of one run).

    Its output is h, but where φ(u) = o + s ψ(k u) is no activation of torch's. There its output is
    z, to be started at z₀ = (h₀ − o) / s, and h = o + s z, exactly: for the sigmoid z₀ = 2 h₀ − 1
    (all −1 for h₀ = 0) and h = (1 + z)/2.

    Args:
        parameters: of one run, by torch's names.
        network: what the network is.

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

    Args:
        module: torch's module.

    Raises:
        TypeError: for anything but a plain, one-directional module of these.
    """
    cells = {
        getattr(nn, str(one.torch_module)): name
        for name, one in CELLS.items()
        if one.torch_module is not None
    }
    cell = cells.get(type(module))
    if cell is None or module.bidirectional or module.dropout or module.proj_size:
        raise TypeError(
            "expected a one-directional torch.nn.RNN, GRU or LSTM without dropout or "
            f"projection, got {module}"
        )
    own = {name: value.detach().clone() for name, value in module.named_parameters()}
    network = Network(
        cell=cell,
        activation=CELLS[cell].only_activation or str(module.nonlinearity),
        hidden_size=module.hidden_size,
        num_layers=module.num_layers,
        dtype=str(own["weight_hh_l0"].dtype).removeprefix("torch."),
        bias=module.bias,
    )
    wanted = shapes(network, module.input_size, 1)
    return network, {
        name: own.get(name, own["weight_hh_l0"].new_zeros(shape))
        for name, shape in wanted.items()
        if "readout" not in name
    }
