"""Our networks as torch's modules, and back."""

import pytest
import torch

from rnn_exp.fields import SettingError
from rnn_exp.networks.inits import TorchDefault
from rnn_exp.networks.network import Network, shapes
from rnn_exp.randomness import generator
from tests import reference
from tests.modules import from_torch, to_torch

X = torch.randn(30, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def drawn(network, seed=0):
    found = TorchDefault().draw(shapes(network, 3, 2), seed)
    return {name: 2 * value.double() for name, value in found.items() if "readout" not in name}


@pytest.mark.parametrize("num_layers", [1, 2, 3])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_to_torch_computes_the_same_states(activation, num_layers):
    network = Network(activation, hidden_size=8, num_layers=num_layers, dtype="float64")
    parameters = drawn(network)

    out, _ = to_torch(parameters, network)(X)

    layers = reference.layers_of(parameters, num_layers)
    expected = torch.stack(reference.states(layers, X, activation)[-1])
    torch.testing.assert_close(out, expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("num_layers", [1, 2, 3])
def test_a_sigmoid_network_is_a_tanh_module_with_other_weights(num_layers):
    network = Network("sigmoid", hidden_size=8, num_layers=num_layers, dtype="float64")
    parameters = drawn(network)

    s, _ = to_torch(parameters, network)(X, torch.full((num_layers, 5, 8), -1.0).double())

    layers = reference.layers_of(parameters, num_layers)
    expected = torch.stack(reference.states(layers, X, "sigmoid")[-1])
    torch.testing.assert_close((1 + s) / 2, expected, rtol=0, atol=2e-15)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("nonlinearity", ["tanh", "relu"])
def test_there_and_back_is_the_same_module(nonlinearity, bias):
    module = reference.torch_module(3, 6, 2, nonlinearity=nonlinearity, bias=bias)

    network, parameters = from_torch(module)
    back = to_torch(parameters, network)

    assert network == Network(nonlinearity, hidden_size=6, num_layers=2, bias=bias)
    assert torch.equal(back(X.float())[0], module(X.float())[0])
    for name, value in module.named_parameters():
        assert torch.equal(back.get_parameter(name), value)


@pytest.mark.parametrize("more", [{"bidirectional": True}, {"dropout": 0.5, "num_layers": 2}])
def test_what_is_no_plain_rnn_is_refused(more):
    with pytest.raises(TypeError, match=r"expected a one-directional torch\.nn\.RNN"):
        from_torch(reference.torch_module(3, 6, **more))


def test_identity_is_refused_by_name():
    network = Network("identity", hidden_size=4)
    with pytest.raises(SettingError, match="activation=identity is not possible"):
        to_torch(drawn(network), network)


@pytest.mark.parametrize("num_layers", [1, 3])
def test_default_init_is_torchs_own_bit_for_bit(num_layers):
    network = Network(hidden_size=7, num_layers=num_layers)
    ours = TorchDefault().draw(shapes(network, 3, 2), seed=11)

    with torch.random.fork_rng():
        torch.manual_seed(generator(11, "weights").initial_seed())
        module = torch.nn.RNN(3, 7, num_layers)
        torch.manual_seed(generator(11, "readout").initial_seed())
        readout = torch.nn.Linear(7, 2)

    for name, value in module.named_parameters():
        assert torch.equal(ours[name], value)
    assert ours.keys() - dict(module.named_parameters()) == {"readout.weight", "readout.bias"}
    assert ours["readout.weight"].shape == readout.weight.shape
    assert ours["readout.weight"].abs().max() <= 1 / 7**0.5
    # torch.nn.Linear draws by kaiming_uniform, with another order of rounding
    torch.testing.assert_close(ours["readout.weight"], readout.weight.detach())
    torch.testing.assert_close(ours["readout.bias"], readout.bias.detach())
