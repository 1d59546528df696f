"""Parameters of many runs in one tensor."""

import pytest
import torch

from rnn_exp.fields import SettingError, as_typed
from rnn_exp.networks.inits import TorchDefault
from rnn_exp.networks.network import Network, shapes
from rnn_exp.networks.parameters import Parameters


def stacked(num_layers=2, runs=3):
    network = Network(hidden_size=5, num_layers=num_layers)
    drawn = [TorchDefault().draw(shapes(network, 3, 2), seed) for seed in range(runs)]
    return drawn, Parameters.stack(drawn, torch.float32)


def test_names_and_shapes_are_those_of_torch():
    module = torch.nn.RNN(3, 5, 2, device="meta")
    found = shapes(Network(hidden_size=5, num_layers=2), 3, 4)
    expected = {name: tuple(value.shape) for name, value in module.named_parameters()}
    assert found == expected | {"readout.weight": (4, 5), "readout.bias": (4,)}
    assert list(found)[:8] == list(expected)


def test_views_are_the_runs_parameters_in_one_memory():
    drawn, parameters = stacked()
    for name, view in parameters.views().items():
        assert view.untyped_storage().data_ptr() == parameters.flat.untyped_storage().data_ptr()
        for run, own in enumerate(drawn):
            assert torch.equal(view[run], own[name])
            assert torch.equal(parameters.of_run(run)[name], own[name])


def test_packing_the_views_gives_the_tensor_back():
    _, parameters = stacked()
    assert torch.equal(parameters.pack(parameters.views()), parameters.flat)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("activation", "celu"),
        ("hidden_size", 0),
        ("num_layers", True),
        ("cell", "ltsm"),
        ("engine", "jax"),
        ("dtype", "float16"),
    ],
)
def test_what_a_network_cannot_be_is_refused(key, value):
    with pytest.raises(
        SettingError, match=f"^{key}={as_typed(value)} is not possible: allowed is "
    ):
        Network(**{key: value})
