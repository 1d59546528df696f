"""Training: torch's optimisers, clipping per run, and runs that diverge."""

import itertools
import math

import pytest
import torch

from rnn_exp.experiment import execute
from rnn_exp.inits import Gaussian, TorchDefault
from rnn_exp.network import Network, Parameters, shapes
from rnn_exp.randomness import generator
from rnn_exp.recording import Recording
from rnn_exp.run import Run
from rnn_exp.tasks import Adding
from rnn_exp.torch_rnn import from_torch
from rnn_exp.trainees import Trainees
from rnn_exp.training import Training
from rnn_exp.updates import train
from tests import reference


def usual_loop(run):
    """Train as everybody does: a torch module, autograd, torch.optim, clip_grad_norm_."""
    sizes = shapes(run.network, 2, 1)
    drawn = run.init.draw(sizes, run.seed)
    rnn = reference.torch_module(2, run.network.hidden_size, dtype=torch.float64)
    with torch.random.fork_rng():
        readout = torch.nn.Linear(run.network.hidden_size, 1, dtype=torch.float64)
    rnn.load_state_dict({k: v for k, v in drawn.items() if "readout" not in k})
    readout.load_state_dict({k[8:]: v for k, v in drawn.items() if "readout" in k})
    leaves = [*rnn.parameters(), *readout.parameters()]
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}
    optimizer = kind[run.training.optimizer](leaves, lr=run.training.learning_rate)
    data, losses, norms = generator(run.seed, "data"), [], []
    for _ in range(run.training.updates):
        batch = run.task.draw(run.training.batch_size, data)
        optimizer.zero_grad()
        out = readout(rnn(batch.inputs.double())[0][-1]).squeeze(-1)
        loss = torch.nn.functional.mse_loss(out, batch.targets[0].double())
        loss.backward()
        norms.append(float(torch.linalg.vector_norm(torch.cat([p.grad.flatten() for p in leaves]))))
        if run.training.clip_norm is not None:
            scale = min(1.0, run.training.clip_norm / norms[-1])
            for leaf in leaves:
                leaf.grad *= scale
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses, norms, {**dict(rnn.named_parameters()), "readout.weight": readout.weight}


@pytest.mark.parametrize("clip_norm", [None, 0.05])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_training_equals_the_usual_loop(optimizer, clip_norm):
    training = Training(20, batch_size=4, optimizer=optimizer, clip_norm=clip_norm)
    run = Run(Adding(8), Network(hidden_size=6, dtype="float64"), TorchDefault(), training,
              Recording(every=1), seed=3)  # fmt: skip

    [ours] = execute([run])

    losses, norms, weights = usual_loop(run)
    assert ours.updates["loss"].tolist() == pytest.approx(losses, rel=1e-10)
    assert ours.updates["grad_norm"].tolist() == pytest.approx(norms, rel=1e-9)
    clipped = [clip_norm is not None and norm > clip_norm for norm in norms]
    assert ours.updates["clipped"].tolist() == clipped
    assert any(clipped) == (clip_norm is not None)
    for name, value in weights.items():
        torch.testing.assert_close(ours.weights[name], value.detach(), rtol=1e-9, atol=1e-11)


def test_spectral_radius_and_largest_singular_value_are_those_of_the_weights():
    run = Run(Adding(5), Network(hidden_size=6), Gaussian(1.5), Training(updates=1), seed=2)
    [outcome] = execute([run])
    W = run.init.draw(shapes(run.network, 2, 1), 2)["weight_hh_l0"]
    radius, sigma = torch.linalg.eigvals(W).abs().max(), torch.linalg.matrix_norm(W, 2)
    assert outcome.updates["spectral_radius"][0] == pytest.approx(float(radius), rel=1e-5)
    assert outcome.updates["largest_singular_value"][0] == pytest.approx(float(sigma), rel=1e-5)


def test_recurrent_gradient_norm_is_that_of_the_recurrent_weights():
    run = Run(Adding(6), Network(hidden_size=4, dtype="float64"), TorchDefault(), Training(1))
    [outcome] = execute([run])
    drawn = run.init.draw(shapes(run.network, 2, 1), 0)
    layers = reference.layers_of(drawn, 1)
    layers[0][1].requires_grad_()
    batch = run.task.draw(16, generator(0, "data"))
    h = reference.states(layers, batch.inputs.double(), "tanh")[-1][-1]
    out = h @ drawn["readout.weight"].double().T + drawn["readout.bias"].double()
    loss = ((out[:, 0] - batch.targets[0].double()) ** 2).mean()
    (expected,) = torch.autograd.grad(loss, layers[0][1])
    found = outcome.updates["recurrent_grad_norm"][0]
    assert found == pytest.approx(float(expected.norm()), rel=1e-10)


def first_bad_by_hand(run):
    """Return (time, direction) of the first non-finite number of the first update."""
    layers = reference.layers_of(run.init.draw(shapes(run.network, 2, 1), run.seed), 1)
    V, W, b = (tensor.float() for tensor in layers[0])
    batch = run.task.draw(run.training.batch_size, generator(run.seed, "data"))
    h, states = torch.zeros(run.training.batch_size, len(W)), []
    for t, x in enumerate(batch.inputs):
        h = torch.relu(x @ V.T + b + h @ W.T)
        states.append(h)
        if not h.isfinite().all():
            return t + 1, "forward"
    return None


def test_relu_at_gain_forty_ends_as_data_where_the_forward_pass_overflowed():
    run = Run(Adding(100), Network("relu"), Gaussian(40.0))
    [outcome] = execute([run])
    assert outcome.status == "diverged"
    assert outcome.first.verdict == outcome.last.verdict == "diverged"
    assert outcome.divergence.update == 0
    assert (outcome.divergence.time, outcome.divergence.direction) == first_bad_by_hand(run)
    assert len(outcome.updates["update"]) == 1
    assert len(outcome.gradients["time"]) == 100
    assert {"nan", "inf"} & set(outcome.gradients["status"].tolist())


def test_a_gradient_that_overflows_is_found_in_the_backward_pass():
    run = Run(Adding(300), Network(hidden_size=32), Gaussian(8.0), Training(3, clip_norm=1.0))
    [outcome] = execute([run])
    assert outcome.divergence.direction == "backward"
    status = outcome.gradients["status"][outcome.gradients["update"] == outcome.divergence.update]
    first_bad = outcome.divergence.time
    assert status[first_bad - 1] in ("inf", "nan")
    assert (status[first_bad:] == "ok").all()


def test_rows_before_the_divergence_are_kept():
    training = Training(updates=200, optimizer="sgd", learning_rate=1e4)
    run = Run(Adding(10), Network("relu", 8), Gaussian(1.0), training, Recording(every=1))
    [outcome] = execute([run])
    assert outcome.status == "diverged"
    last = outcome.divergence.update
    assert last > 0
    assert outcome.updates["update"].tolist() == list(range(last + 1))
    assert all(math.isfinite(loss) for loss in outcome.updates["loss"][:-1])


def test_a_diverging_run_leaves_without_changing_a_bit_of_the_others():
    training = Training(updates=12, optimizer="adam", clip_norm=1.0)
    network, seeds = Network("relu", 8), range(3)
    good = [Run(Adding(60), network, Gaussian(1.0), training, seed=seed) for seed in seeds]
    bad = [Run(Adding(60), network, Gaussian(9.0), training, seed=seed) for seed in seeds]
    mixed = list(itertools.chain(*zip(bad, good, strict=True)))

    together = dict(zip(mixed, execute(mixed), strict=True))

    assert all(together[run].status == "diverged" for run in bad)
    for run, alone in zip(good, execute(good), strict=True):
        assert together[run].status == alone.status == "finished"
        for name, value in alone.weights.items():
            assert torch.equal(together[run].weights[name], value)
        assert together[run].updates["loss"].tolist() == alone.updates["loss"].tolist()


def test_training_changes_the_parameters_it_was_given():
    network = Network(hidden_size=4)
    parameters = Parameters.stack([TorchDefault().draw(shapes(network, 2, 1), 0)], torch.float32)
    before = parameters.flat.clone()
    trainees = Trainees(parameters, network, Adding(5), Training(2), [0])
    for _ in train(trainees, network, Recording()):
        pass
    assert not torch.equal(parameters.flat, before)


def test_a_torch_module_can_be_trained_here():
    network, own = from_torch(reference.torch_module(2, 5))
    read = {name: value for name, value in TorchDefault().draw(shapes(network, 2, 1), 0).items()
            if "readout" in name}  # fmt: skip
    parameters = Parameters.stack([own | read], torch.float32)
    trainees = Trainees(parameters, network, Adding(6), Training(3), [0])
    updates = list(train(trainees, network, Recording()))
    assert [update.update for update in updates] == [0, 1, 2]
    assert all(update.loss.isfinite().all() for update in updates)


@pytest.mark.parametrize("gain", [40.0, 1e300])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_network_that_overflows_before_any_theory_diverges_all_the_same(num_layers, gain):
    run = Run(Adding(100), Network("relu", 8, num_layers), Gaussian(gain), Training(2))
    [outcome] = execute([run])
    assert outcome.status == "diverged"
    assert (outcome.divergence.update, outcome.divergence.direction) == (0, "forward")
    assert outcome.prediction.rate is None or math.isfinite(outcome.prediction.rate)
