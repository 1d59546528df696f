"""Training: torch's optimisers, clipping per run, and runs that diverge."""

import itertools
import math

import numpy as np
import pytest
import torch

from rnn_exp.networks.inits import Gaussian, Orthogonal, TorchDefault
from rnn_exp.networks.network import Network, shapes
from rnn_exp.networks.parameters import Parameters
from rnn_exp.randomness import generator
from rnn_exp.tasks import Adding, Memorization
from rnn_exp.tasks.task import with_slope
from rnn_exp.training.batch import RunBatch
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.loop import train
from rnn_exp.training.outcome import in_words
from rnn_exp.training.recorder import Recorder
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from tests import reference
from tests.modules import from_torch


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


@pytest.mark.parametrize("engine", ["scan", "kernel"])
@pytest.mark.parametrize("clip_norm", [None, 0.05])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_training_equals_the_usual_loop(optimizer, clip_norm, engine):
    training = Training(20, batch_size=4, optimizer=optimizer, clip_norm=clip_norm)
    run = Run(
        Adding(8),
        Network(hidden_size=6, engine=engine, dtype="float64"),
        TorchDefault(),
        training,
        Recording(every=1),
        seed=3,
    )

    [ours] = train_runs([run])

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
    [outcome] = train_runs([run])
    W = run.init.draw(shapes(run.network, 2, 1), 2)["weight_hh_l0"]
    radius, sigma = torch.linalg.eigvals(W).abs().max(), torch.linalg.matrix_norm(W, 2)
    assert outcome.updates["spectral_radius"][0] == pytest.approx(float(radius), rel=1e-5)
    assert outcome.updates["largest_singular_value"][0] == pytest.approx(float(sigma), rel=1e-5)


def test_recurrent_gradient_norm_is_that_of_the_recurrent_weights():
    run = Run(Adding(6), Network(hidden_size=4, dtype="float64"), TorchDefault(), Training(1))
    [outcome] = train_runs([run])
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
    [outcome] = train_runs([run])
    assert outcome.status == "diverged"
    assert outcome.first.summary.verdict == outcome.last.summary.verdict == "undetermined"
    assert outcome.divergence.update == 0
    assert (outcome.divergence.time, outcome.divergence.direction) == first_bad_by_hand(run)
    assert len(outcome.updates["update"]) == 1
    assert len(outcome.gradients["time"]) == 100
    assert {"nan", "inf"} & set(outcome.gradients["status"].tolist())


def test_a_gradient_that_overflows_is_found_in_the_backward_pass():
    run = Run(Adding(300), Network(hidden_size=32), Gaussian(8.0), Training(3, clip_norm=1.0))
    [outcome] = train_runs([run])
    assert outcome.divergence.direction == "backward"
    status = outcome.gradients["status"][outcome.gradients["update"] == outcome.divergence.update]
    first_bad = outcome.divergence.time
    assert status[first_bad - 1] in ("inf", "nan")
    assert (status[first_bad:] == "ok").all()


def test_rows_before_the_divergence_are_kept():
    training = Training(updates=200, optimizer="sgd", learning_rate=1e4)
    run = Run(Adding(10), Network("relu", 8), Gaussian(1.0), training, Recording(every=1))
    [outcome] = train_runs([run])
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

    together = dict(zip(mixed, train_runs(mixed), strict=True))

    assert all(together[run].status == "diverged" for run in bad)
    for run, alone in zip(good, train_runs(good), strict=True):
        assert together[run].status == alone.status == "finished"
        for name, value in alone.weights.items():
            assert torch.equal(together[run].weights[name], value)
        assert together[run].updates["loss"].tolist() == alone.updates["loss"].tolist()


def test_training_changes_the_parameters_it_was_given():
    network = Network(hidden_size=4)
    parameters = Parameters.stack([TorchDefault().draw(shapes(network, 2, 1), 0)], torch.float32)
    before = parameters.flat.clone()
    runs = [Run(Adding(5), network, training=Training(2))]
    for _ in train(RunBatch(runs, parameters), Recorder(runs)):
        pass
    assert not torch.equal(parameters.flat, before)


def test_a_torch_module_can_be_trained_here():
    network, own = from_torch(reference.torch_module(2, 5))
    read = {
        name: value
        for name, value in TorchDefault().draw(shapes(network, 2, 1), 0).items()
        if "readout" in name
    }
    parameters = Parameters.stack([own | read], torch.float32)
    runs = [Run(Adding(6), network, training=Training(3))]
    updates = list(train(RunBatch(runs, parameters), Recorder(runs)))
    assert [update.number for update in updates] == [0, 1, 2]
    assert all(update.loss.isfinite().all() for update in updates)


@pytest.mark.parametrize("gain", [40.0, 1e300])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_a_network_that_overflows_before_any_theory_diverges_all_the_same(num_layers, gain):
    run = Run(Adding(100), Network("relu", 8, num_layers), Gaussian(gain), Training(2))
    [outcome] = train_runs([run])
    assert outcome.status == "diverged"
    assert (outcome.divergence.update, outcome.divergence.direction) == (0, "forward")
    rate = outcome.theory.rate
    assert rate is None or math.isfinite(rate)


def summed(several):
    """Return the sums of what there is under each name."""
    several = list(several)
    return {name: sum(one[name] for one in several) for name in several[0]}


def slow_loop(run):
    """Train by gradient descent with every remedy, one obvious step after the other."""
    training, num_layers = run.training, run.network.num_layers
    sizes = shapes(run.network, run.task.input_size, run.task.output_size)
    own = {name: value.double() for name, value in run.init.draw(sizes, run.seed).items()}
    data, told = generator(run.seed, "data"), []
    for _ in range(training.updates):
        batch = run.task.draw(training.batch_size, data)
        x, T = batch.inputs[: batch.length].double(), batch.length
        at_end = T if batch.ends is None else batch.ends
        times = range(1, T + 1) if training.loss_at == "every" else [at_end]
        targets = batch.targets[0].double()

        def loss_of(y, targets=targets):
            return ((y[..., 0] - targets) ** 2).mean()

        loss, slopes, total = reference.gradients(own, x, num_layers, "tanh", loss_of, times)
        windows = training.truncate_every, training.truncate_back
        if training.truncate_every is not None and batch.ends is not None:
            slopes = summed(
                reference.truncated_gradients(
                    own,
                    x[:end, b : b + 1],
                    num_layers,
                    "tanh",
                    lambda t, y, end=end, wanted=targets[b]: (
                        (t == end) * ((y[0, 0] - wanted) ** 2) / training.batch_size
                    ),
                    *windows,
                )
                for b, end in enumerate(batch.ends.tolist())
            )
        elif training.truncate_every is not None:

            def loss_at(t, y, times=times, loss_of=loss_of):
                return loss_of(y) / len(times) if t in times else 0 * y.sum()

            slopes = reference.truncated_gradients(own, x, num_layers, "tanh", loss_at, *windows)
        value = math.nan
        h = reference.states(reference.layers_of(own, num_layers), x, "tanh")
        for number in range(num_layers):
            name = f"weight_hh_l{number}"
            W = own[name].clone().requires_grad_()
            if training.omega:
                deltas = (1 - torch.stack(h[number]) ** 2) * total[number]
                penalty = reference.omega(total[number], deltas, W, training.omega_form)
                value = float(penalty.detach())
                slopes[name] = slopes[name] + training.omega * torch.autograd.grad(penalty, W)[0]
            far = ((W.T @ W - torch.eye(len(W), dtype=torch.float64)) ** 2).sum()
            slopes[name] = slopes[name] + training.orthogonality * torch.autograd.grad(far, W)[0]
        norm = float(torch.cat([slope.flatten() for slope in slopes.values()]).norm())
        largest = max(float(slope.abs().max()) for slope in slopes.values())
        limit, bound = training.clip_norm or math.inf, training.clip_value or math.inf
        told.append((float(loss), norm, norm > limit or largest > bound, value, T))
        for name, slope in slopes.items():
            step = (slope * min(1.0, limit / norm)).clamp(-bound, bound)
            own[name] = own[name] - training.learning_rate * step
    return told, own


OWN = Adding(4, longest=9, lengths="sequence")
REMEDIES = {
    "value": {"clip_value": 0.02},
    "norm and value": {"clip_norm": 0.3, "clip_value": 0.02},
    "every": {"loss_at": "every"},
    "omega": {"omega": 0.3},
    "omega as a ratio": {"omega": 0.3, "omega_form": "ratio", "clip_norm": 0.5},
    "orthogonality": {"orthogonality": 0.02, "clip_norm": 0.5},
    "windows": {"truncate_every": 3, "truncate_back": 4, "loss_at": "every"},
    "all": {
        "loss_at": "every",
        "omega": 0.2,
        "orthogonality": 0.01,
        "clip_norm": 0.3,
        "clip_value": 0.05,
    },
    "lengths": {"task": Adding(20, "pascanu"), "omega": 0.2, "clip_value": 0.05},
    "lengths and windows": {"task": Adding(30, "pascanu"), "truncate_every": 4, "truncate_back": 6},
    "long lengths": {"task": Adding(30, "hochreiter")},
    "own lengths": {"task": OWN, "omega": 0.2, "clip_value": 0.05},
    "own lengths and windows": {"task": OWN, "truncate_every": 2, "truncate_back": 3},
}


@pytest.mark.parametrize(("engine", "num_layers"), [("kernel", 1), ("kernel", 2), ("scan", 2)])
@pytest.mark.parametrize("remedy", REMEDIES.values(), ids=REMEDIES)
def test_training_with_remedies_equals_the_slow_loop(remedy, engine, num_layers):
    more = {"task": Adding(8)} | remedy
    task = more.pop("task")
    training = Training(8, batch_size=4, learning_rate=0.1, **more)
    network = Network(hidden_size=5, num_layers=num_layers, engine=engine, dtype="float64")
    run = Run(task, network, Gaussian(1.1), training, Recording(every=1), seed=3)

    [ours] = train_runs([run])

    told, weights = slow_loop(run)
    losses, norms, clipped, omegas, lengths = zip(*told, strict=True)
    found = ours.updates
    assert found["loss"].tolist() == pytest.approx(losses, rel=1e-9)
    assert found["grad_norm"].tolist() == pytest.approx(norms, rel=1e-8)
    assert found["omega"].tolist() == pytest.approx(omegas, rel=1e-7, nan_ok=True)
    assert found["clipped"].tolist() == list(clipped)
    assert found["length"].tolist() == list(lengths)
    for name, value in weights.items():
        torch.testing.assert_close(ours.weights[name], value, rtol=1e-8, atol=1e-10)


def test_a_gradient_clipped_by_value_has_no_larger_number_and_is_told_so():
    network = Network(hidden_size=6, dtype="float64")
    training = Training(1, learning_rate=1.0, clip_value=0.05)
    run = Run(Adding(9), network, Gaussian(), training)
    [outcome] = train_runs([run])
    drawn = run.init.draw(shapes(network, 2, 1), 0)
    moved = torch.cat(
        [(outcome.weights[name] - value.double()).flatten().abs() for name, value in drawn.items()]
    )
    assert outcome.updates["clipped"].tolist() == [True]
    assert float(moved.max()) == pytest.approx(0.05, rel=1e-9)
    assert (moved < 0.04).any(), "smaller numbers stay as they are"


def test_a_gradient_below_both_limits_keeps_its_bits():
    base = {"task": Adding(9), "network": Network(hidden_size=6)}
    plain, limited = (
        train_runs([Run(**base, training=training)])[0]
        for training in (Training(5), Training(5, clip_norm=1e3, clip_value=1e2))
    )
    assert not limited.updates["clipped"].any()
    for name, value in plain.weights.items():
        assert torch.equal(limited.weights[name], value)


@pytest.mark.parametrize("convention", ["pascanu", "hochreiter"])
def test_the_rows_of_an_update_end_where_its_sequences_do(convention):
    task = Adding(40, convention)
    run = Run(
        task,
        Network(hidden_size=4, num_layers=2),
        training=Training(9, batch_size=3),
        recording=Recording(1),
        seed=1,
    )
    [outcome] = train_runs([run])

    draws = generator(1, "data")
    lengths = [task.draw(3, draws).length for _ in range(9)]
    assert outcome.updates["length"].tolist() == lengths
    assert len(set(lengths)) > 2
    table = outcome.gradients
    rows = list(
        zip(*(table[name].tolist() for name in ("update", "layer", "time", "lag")), strict=True)
    )
    assert rows == [
        (update, layer, t, length - t)
        for update, length in enumerate(lengths)
        for layer in (0, 1)
        for t in range(1, length + 1)
    ]
    assert (table["status"] == "ok").all()
    top = table["layer"] == 1
    assert ((table["log10_direct"] > -math.inf) == (table["lag"] == 0))[top].all()


def test_what_comes_from_the_last_answer_alone_is_the_total_of_a_loss_at_the_end():
    base = {"task": Adding(9), "network": Network(hidden_size=4, num_layers=2, dtype="float64")}
    every, last = (
        train_runs([Run(**base, training=Training(1, loss_at=where))])[0].gradients
        for where in ("every", "task")
    )
    assert every["log10_late"] == pytest.approx(last["log10_total"], rel=1e-12)
    assert every["log10_total"] != pytest.approx(last["log10_total"], rel=1e-3)
    assert "log10_late" not in last
    assert "log10_memory" not in every


@pytest.mark.parametrize(
    ("task", "expected"),
    [(Adding(6), False), (Memorization(3), True), (Adding(20, "pascanu"), False)],
)
def test_a_task_has_the_column_of_the_last_answer_where_it_has_more(task, expected):
    [outcome] = train_runs([Run(task, Network(hidden_size=3), training=Training(1))])
    assert ("log10_late" in outcome.gradients) is expected


def test_sequences_that_are_shorter_than_the_longest_diverge_within_themselves():
    run = Run(Adding(40, "pascanu"), Network("relu", 16), Gaussian(100.0), Training(3))
    [outcome] = train_runs([run])
    assert outcome.status == "diverged"
    assert outcome.divergence.time <= outcome.updates["length"][-1]
    assert set(outcome.gradients["time"]) == set(range(1, outcome.updates["length"][-1] + 1))


@pytest.mark.parametrize(
    "given",
    [
        {"training": {"optimizer": "sgd"}},
        {"training": {"optimizer": "adam", "clip_norm": 0.01}},
        {"training": {"optimizer": "rmsprop", "clip_value": 0.001}},
        {"network": {"parametrization": "orthogonal"}, "init": Orthogonal()},
    ],
    ids=str,
)
def test_update_norm_is_how_far_the_weights_of_the_network_have_moved(given):
    def run_of(updates):
        """The same run, ended after so many updates."""
        return Run(
            Adding(6),
            Network(hidden_size=5, dtype="float64", **given.get("network", {})),
            given.get("init", Gaussian()),
            Training(updates, batch_size=3, learning_rate=0.1, **given.get("training", {})),
            Recording(every=1),
        )

    sizes = shapes(run_of(1).network, 2, 1)
    after = [run_of(1).init.draw(sizes, 0)]
    after += [train_runs([run_of(updates)])[0].weights for updates in (1, 2, 3)]
    flat = [torch.cat([one[name].double().flatten() for name in sizes]) for one in after]
    [outcome] = train_runs([run_of(3)])

    moved = [float((new - old).norm()) for old, new in itertools.pairwise(flat)]
    assert outcome.updates["update_norm"].tolist() == pytest.approx(moved, rel=1e-9)
    ratios = [norm / float(old.norm()) for norm, old in zip(moved, flat, strict=False)]
    assert outcome.updates["update_ratio"].tolist() == pytest.approx(ratios, rel=1e-9)


def test_a_clipped_step_of_plain_descent_is_the_threshold_long_times_the_learning_rate():
    training = Training(3, learning_rate=0.5, clip_norm=0.01)
    [outcome] = train_runs([Run(Adding(6), Network(dtype="float64"), training=training)])

    assert outcome.updates["clipped"].all()
    assert outcome.updates["update_norm"].tolist() == pytest.approx([0.005, 0.005], rel=1e-12)


def test_a_run_that_ends_with_an_update_makes_no_step_and_the_others_beside_it_do():
    training = Training(4, learning_rate=0.1)
    runs = [Run(Adding(100), Network("relu"), Gaussian(g), training) for g in (40.0, 0.5)]

    diverged, other = train_runs(runs)

    assert diverged.status == "diverged"
    for column in ("update_norm", "update_ratio"):
        assert math.isnan(diverged.updates[column][-1])
        assert (other.updates[column] > 0).all()


def test_it_is_said_where_clipping_binds_from_the_first_update():
    def message(**training):
        run = Run(Adding(6), Network(hidden_size=4), training=Training(1, **training))
        [outcome] = train_runs([run])
        return in_words(outcome), outcome.updates["grad_norm"][0]

    by_norm, norm = message(clip_norm=0.01)
    assert f"clipping binds from the first update: norm {norm:.3g} above clip_norm 0.01" in by_norm
    by_value, _ = message(clip_norm=1000, clip_value=0.0001)
    assert "first update: a number of the gradient above clip_value 0.0001" in by_value
    assert "clipping" not in message(clip_norm=1000)[0]
    assert "clipping" not in message()[0]


class Careless(Adding):
    """A task that changes the outputs it is given, and differentiates its loss itself."""

    def slope(self, outputs, targets):
        leaf = outputs.requires_grad_()
        loss = ((leaf.squeeze(-1) - targets) ** 4).flatten(1).mean(-1)
        return loss.detach(), torch.autograd.grad(loss.sum(), leaf)[0]

    @with_slope(slope)
    def loss(self, outputs, targets):
        return ((outputs.squeeze(-1) - targets) ** 4).flatten(1).mean(-1)

    def error(self, outputs, targets):
        outputs.clamp_(0, 2)
        return super().error(outputs, targets)


@pytest.mark.parametrize("engine", ["kernel", "scan"])
def test_a_task_may_change_its_outputs_and_use_autograd_with_any_engine(engine):
    network = Network(hidden_size=5, engine=engine, dtype="float64")
    [found] = train_runs([Run(Careless(6), network, training=Training(updates=3, batch_size=4))])
    assert np.isfinite(found.tables["updates"]["error"].astype(float)).all()
    assert found.weights["weight_hh_l0"].isfinite().all()
