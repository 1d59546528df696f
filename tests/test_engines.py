"""The scan engine and the genuine torch.nn.RNN give the same tables."""

import numpy as np
import pytest
import torch

from rnn_exp.engines import scan_engine
from rnn_exp.experiment import execute
from rnn_exp.inits import Gaussian
from rnn_exp.network import Network, Parameters, shapes
from rnn_exp.readout import Asked
from rnn_exp.run import Run
from rnn_exp.settings import SettingError
from rnn_exp.tasks import Adding, TemporalOrder
from rnn_exp.training import Training
from tests import reference


@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_both_engines_give_the_same_tables_over_fifty_updates(activation, num_layers):
    training = Training(updates=50, batch_size=5, optimizer="adam", clip_norm=1.0)
    outcomes = [
        execute([Run(TemporalOrder(15), Network(activation, 10, num_layers, engine=engine,
                                                dtype="float64"), Gaussian(0.8), training)])[0]
        for engine in ("scan", "torch")
    ]  # fmt: skip
    scan, genuine = outcomes
    for name in ("updates", "gradients"):
        for column, values in getattr(scan, name).items():
            other = getattr(genuine, name)[column]
            if values.dtype.kind == "f":
                np.testing.assert_allclose(other, values, rtol=1e-10, atol=1e-12, err_msg=column)
            else:
                assert (values == other).all(), column
    for name, weights in scan.weights.items():
        torch.testing.assert_close(genuine.weights[name], weights, rtol=1e-10, atol=1e-12)


def test_the_torch_engine_runs_torchs_own_module(monkeypatch):
    calls = []
    forward = torch.nn.RNN.forward
    monkeypatch.setattr(
        torch.nn.RNN,
        "forward",
        lambda self, *a, **k: (calls.append(self), forward(self, *a, **k))[1],
    )
    network = Network("sigmoid", hidden_size=4, engine="torch")
    execute([Run(Adding(5), network, training=Training(updates=3))])
    assert len(calls) == 3


def test_identity_with_the_torch_engine_is_refused():
    with pytest.raises(SettingError, match=r"activation=identity .* use engine=scan"):
        Network("identity", engine="torch")


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu", "identity"])
@pytest.mark.parametrize("num_layers", [1, 3])
def test_every_gradient_equals_autograd_through_the_unrolled_network(activation, num_layers):
    network, task = Network(activation, 5, num_layers, dtype="float64"), TemporalOrder(12)
    sizes = shapes(network, task.input_size, task.output_size)
    drawn = [Gaussian(0.9).draw(sizes, seed) for seed in range(2)]
    parameters = Parameters.stack(drawn, torch.float64)
    batches = [task.draw(4, torch.Generator().manual_seed(seed)) for seed in range(2)]
    x = torch.stack([batch.inputs for batch in batches], dim=1).double()
    y = torch.stack([batch.targets for batch in batches])

    found = scan_engine(parameters.views(), x, Asked(lambda out: task.loss(out, y)), network)

    for run in range(2):
        leaves = {k: v.double().requires_grad_() for k, v in parameters.of_run(run).items()}
        layers = reference.layers_of(leaves, num_layers)
        h = reference.states(layers, x[:, run], activation)
        out = h[-1][-1] @ leaves["readout.weight"].T + leaves["readout.bias"]
        loss = torch.nn.functional.cross_entropy(out, y[run, 0])
        flat = [state for own in h for state in own]
        (*total,) = torch.autograd.grad(loss, flat, retain_graph=True, allow_unused=True)
        by_parameter = torch.autograd.grad(loss, list(leaves.values()))
        assert float(found.loss[run]) == pytest.approx(float(loss.detach()), rel=1e-12)
        for name, expected in zip(leaves, by_parameter, strict=True):
            torch.testing.assert_close(
                found.parameters[name][run], expected, rtol=1e-11, atol=1e-13
            )
        for number in range(num_layers):
            expected = torch.stack(total[12 * number : 12 * (number + 1)])
            mine = found.total[number][:, run]
            torch.testing.assert_close(mine, expected, rtol=1e-12, atol=1e-14)
