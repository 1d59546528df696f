"""The scan in torch, its kernels and the genuine torch.nn.RNN give the same tables."""

import dataclasses

import corpus_runs
import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from rnn_exp.fields import SettingError
from rnn_exp.networks.backward import adjoints_of_last
from rnn_exp.networks.gradients import scan_engine, torch_engine
from rnn_exp.networks.inits import Gaussian, TorchDefault
from rnn_exp.networks.network import ENGINES, Network, shapes
from rnn_exp.networks.parameters import Parameters
from rnn_exp.networks.readout import Objective
from rnn_exp.randomness import generator
from rnn_exp.schema import KERNEL_CELLS
from rnn_exp.tasks import Adding, Memorization, TemporalOrder
from rnn_exp.theory.edge import initial_weights
from rnn_exp.training.batch import RunBatch
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.recorder import Recorder
from rnn_exp.training.run import Run, run_from
from rnn_exp.training.settings import Recording, Training
from tests import reference
from tests.builders import asked_for, assert_tables_close, normal, random_network, squares
from tests.dose import dose

WITHOUT_BIASES = [
    {"activation": "tanh"},
    {"activation": "sigmoid", "num_layers": 2},
    {"cell": "gru"},
    {"cell": "lstm", "num_layers": 2},
]


@pytest.mark.dosed
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_all_engines_give_the_same_tables_over_many_updates(activation, num_layers):
    training = Training(updates=dose(20, 50), batch_size=5, optimizer="adam", clip_norm=1.0)
    outcomes = [
        train_runs(
            [
                Run(
                    TemporalOrder(15),
                    Network(activation, 10, num_layers, engine=engine, dtype="float64"),
                    Gaussian(0.8),
                    training,
                )
            ]
        )[0]
        for engine in ("scan", "kernel", "torch")
    ]
    for other in outcomes[1:]:
        assert_close(outcomes[0], other)


@pytest.mark.parametrize("network", WITHOUT_BIASES, ids=str)
def test_without_biases_all_engines_train_the_same_network_and_biases_stay_zero(network):
    training = Training(12, 5, "adam", clip_norm=0.1, weight_decay=0.01)
    scan, kernel, genuine = (
        train_runs(
            [
                Run(
                    TemporalOrder(12),
                    Network(hidden_size=6, bias=False, engine=engine, dtype="float64", **network),
                    TorchDefault(),
                    training,
                )
            ]
        )[0]
        for engine in ("scan", "kernel", "torch")
    )

    assert_close(scan, kernel)
    assert_close(scan, genuine)
    for name, value in scan.weights.items():
        assert bool(value.any()) == ("bias" not in name)


@pytest.mark.parametrize("network", WITHOUT_BIASES, ids=str)
def test_without_biases_training_is_that_of_torch_with_biases_that_are_no_part_of_it(network):
    """Losses, norms, clipping and weights are those of the usual loop over the other weights."""
    run = Run(
        Adding(8),
        Network(hidden_size=6, bias=False, dtype="float64", **network),
        TorchDefault(),
        Training(8, 4, "adam", clip_norm=0.05),
        Recording(every=1),
    )
    [ours] = train_runs([run])

    losses, norms, weights = loop_of_torch(run)

    assert ours.updates["loss"].tolist() == pytest.approx(losses, rel=1e-10)
    assert ours.updates["grad_norm"].tolist() == pytest.approx(norms, rel=1e-9)
    for name, value in weights.items():
        torch.testing.assert_close(ours.weights[name], value, rtol=1e-9, atol=1e-11)


def loop_of_torch(run):
    """Train with autograd and torch.optim, without any bias."""
    drawn = run.init.weights(run.network, shapes(run.network, 2, 1), run.seed)
    leaves = {k: v.double().requires_grad_() for k, v in drawn.items() if "bias" not in k}
    optimizer = torch.optim.Adam(leaves.values(), lr=run.training.learning_rate)
    data, losses, norms = generator(run.seed, "data"), [], []
    for _ in range(run.training.updates):
        batch = run.task.draw(run.training.batch_size, data)
        optimizer.zero_grad()
        h = last_state(run.network, leaves, batch.inputs.double())
        missed = (h @ leaves["readout.weight"].T).squeeze(-1) - batch.targets[0].double()
        loss = missed.square().mean()
        loss.backward()
        flat = torch.cat([leaf.grad.flatten() for leaf in leaves.values()])
        norms.append(float(flat.norm()))
        for leaf in leaves.values():
            leaf.grad *= min(1.0, run.training.clip_norm / norms[-1])
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses, norms, {name: leaf.detach() for name, leaf in leaves.items()}


def last_state(network, leaves, x):
    """The last state of the top layer; torch has no module of a sigmoid."""
    if network.activation != "sigmoid":
        own = {name: leaf for name, leaf in leaves.items() if "readout" not in name}
        kind = {"rnn": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[network.cell]
        with torch.random.fork_rng():
            sizes = x.shape[-1], network.hidden_size, network.num_layers
            module = kind(*sizes, bias=False, dtype=x.dtype)
        return torch.func.functional_call(module, own, (x,))[0][-1]
    for number in range(network.num_layers):
        V, W = leaves[f"weight_ih_l{number}"], leaves[f"weight_hh_l{number}"]
        h, found = x.new_zeros(x.shape[1], len(W)), []
        for x_t in x:
            h = torch.sigmoid(x_t @ V.T + h @ W.T)
            found.append(h)
        x = torch.stack(found)
    return x[-1]


def assert_close(scan, genuine):
    """All tables and weights are the same, to rounding."""
    assert_tables_close(genuine, scan, rtol=1e-10, atol=1e-12)
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
    train_runs([Run(Adding(5), network, training=Training(updates=3))])
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

    found = scan_engine(parameters.views(), x, Objective(lambda out: task.loss(out, y)), network)

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


@pytest.mark.dosed
@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize(
    ("task", "more"),
    [
        (TemporalOrder(15), {"loss_at": "every"}),
        (Memorization(6, positions=2), {}),
        (Adding(20, "pascanu"), {"clip_value": 0.01, "omega": 0.5}),
        (Adding(30, "hochreiter"), {"omega": 0.1, "omega_form": "ratio", "orthogonality": 0.01}),
    ],
    ids=["every", "memorization", "lengths", "penalties"],
)
def test_all_engines_agree_with_several_answers_lengths_and_penalties(activation, task, more):
    training = Training(updates=dose(8, 20), batch_size=4, clip_norm=1.0, **more)
    outcomes = [
        train_runs(
            [
                Run(
                    task,
                    Network(activation, 7, 2, initial_state=0.2, engine=engine, dtype="float64"),
                    Gaussian(0.8),
                    training,
                )
            ]
        )[0]
        for engine in ("scan", "kernel", "torch")
    ]
    for other in outcomes[1:]:
        assert_close(outcomes[0], other)


SIZES = st.tuples(st.integers(1, 10), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5))
ACTIVATIONS = st.sampled_from(["tanh", "sigmoid", "relu", "identity"])
STARTS = st.sampled_from([0.0, 0.4, -1.0])


@given(SIZES, st.integers(1, 3), ACTIVATIONS, STARTS, st.data(), st.integers(0, 10**6))
def test_answers_at_the_last_steps_or_at_ends_equal_autograd(
    sizes, num_layers, activation, start, data, seed
):
    T, R, B, H = sizes
    network = Network(activation, H, num_layers, initial_state=start, dtype="float64")
    parameters = random_network(network, seed, R)
    own = st.lists(st.integers(1, T), min_size=B, max_size=B)
    ends = data.draw(st.none() | st.lists(own, min_size=R, max_size=R))
    answers = data.draw(st.integers(1, T)) if ends is None else 1
    x, wanted = normal(seed, T, R, B, 2), normal(seed + 1, R, answers, B, 3)

    found = scan_engine(parameters.views(), x, asked_for(wanted, ends, 1), network)

    for run in range(R):
        times = range(T - answers + 1, T + 1) if ends is None else [torch.tensor(ends[run])]
        loss, by_name, total = reference.gradients(
            parameters.of_run(run),
            x[:, run],
            num_layers,
            activation,
            lambda y, run=run: ((y - wanted[run]) ** 2).mean(),
            times,
            [start] * num_layers,
        )
        assert float(found.loss[run]) == pytest.approx(float(loss), rel=1e-12)
        for name, expected in by_name.items():
            mine = found.parameters[name][run]
            scale = max(1.0, float(expected.abs().max()))
            torch.testing.assert_close(mine, expected, rtol=1e-10, atol=1e-12 * scale)
        for mine, expected in zip(found.total, total, strict=True):
            scale = max(1.0, float(expected.abs().max()))
            torch.testing.assert_close(mine[:, run], expected, rtol=1e-11, atol=1e-13 * scale)


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("start", [0.0, 0.7])
@pytest.mark.parametrize("ends", [None, [5], [[4, 7, 5]]])
def test_the_genuine_module_agrees_with_several_answers_and_ends(activation, start, ends):
    network = Network(activation, 5, 2, initial_state=start, dtype="float64")
    parameters = random_network(network, 0, runs=1)
    x, wanted = normal(1, 8, 1, 3, 2), normal(2, 1, 3 if ends is None else 1, 3, 3)
    asked = asked_for(wanted, ends, 4)

    scan = scan_engine(parameters.views(), x, asked, network)
    genuine = torch_engine(parameters.views(), x, asked, network)

    torch.testing.assert_close(genuine.loss, scan.loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(genuine.outputs, scan.outputs, rtol=1e-12, atol=1e-13)
    for name, expected in scan.parameters.items():
        torch.testing.assert_close(genuine.parameters[name], expected, rtol=1e-11, atol=1e-13)


@given(
    st.integers(1, 3),
    ACTIVATIONS,
    st.lists(st.integers(6, 12), min_size=2, max_size=4),
    st.integers(0, 10**6),
)
def test_a_padded_sequence_is_the_sequence_that_was_cut_at_its_end(
    num_layers, activation, ends, seed
):
    R, T = len(ends), 12
    network = Network(activation, 5, num_layers, dtype="float64")
    parameters = random_network(network, seed, R)
    x, wanted = normal(seed, T, R, 3, 2), normal(seed + 1, R, 1, 3, 3)
    for run, end in enumerate(ends):
        x[end:, run] = 0

    found = scan_engine(parameters.views(), x, asked_for(wanted, ends, 6), network)

    for run, end in enumerate(ends):
        one = slice(run, run + 1)
        own = {name: view[one] for name, view in parameters.views().items()}
        cut = scan_engine(own, x[:end, one], asked_for(wanted[one]), network)
        assert torch.equal(found.loss[one], cut.loss)
        assert torch.equal(found.outputs[one], cut.outputs)
        for mine, theirs in zip(found.total, cut.total, strict=True):
            assert torch.equal(mine[:end, one], theirs)
            assert not mine[end:, one].any()
        for name, theirs in cut.parameters.items():
            torch.testing.assert_close(found.parameters[name][one], theirs, rtol=1e-13, atol=1e-14)


@given(SIZES, st.integers(1, 3), ACTIVATIONS, st.integers(0, 10**6))
def test_the_totals_of_the_last_answer_are_those_of_its_loss_alone(
    sizes, num_layers, activation, seed
):
    T, R, B, H = sizes
    network = Network(activation, H, num_layers, initial_state=0.1, dtype="float64")
    parameters = random_network(network, seed, R)
    x, wanted = normal(seed, T, R, B, 2), normal(seed + 1, R, T, B, 3)
    found = scan_engine(parameters.views(), x, asked_for(wanted), network)

    last = squares(wanted[:, -1:])
    [(_, adjoints)] = adjoints_of_last(found.forward, last)
    late = [adjoint.total for adjoint in adjoints]

    for run in range(R):
        _, _, total = reference.gradients(
            parameters.of_run(run),
            x[:, run],
            num_layers,
            activation,
            lambda y, run=run: ((y - wanted[run, -1:]) ** 2).mean(),
            [T],
            [0.1] * num_layers,
        )
        for mine, expected in zip(late, total, strict=True):
            scale = max(1.0, float(expected.abs().max()))
            torch.testing.assert_close(mine[:, run], expected, rtol=1e-11, atol=1e-13 * scale)


@given(
    st.tuples(st.integers(1, 40), st.integers(2, 5), st.integers(1, 9), st.integers(2, 40)),
    st.integers(1, 2),
    st.sampled_from(["float32", "float64"]),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_a_runs_bits_do_not_depend_on_the_runs_beside_it(sizes, num_layers, dtype, by_ends, seed):
    T, R, B, H = sizes
    network = Network("sigmoid", H, num_layers, initial_state=0.5, dtype=dtype)
    parameters = random_network(network, seed, R)
    answers = 1 if by_ends else 1 + seed % T
    ends = [1 + (seed + 3 * run) % T for run in range(R)] if by_ends else None
    x, wanted = (
        normal(seed + n, *shape, dtype=network.torch_dtype)
        for n, shape in enumerate([(T, R, B, 2), (R, answers, B, 3)])
    )

    def bits(which):
        own = {name: view[which].clone() for name, view in parameters.views().items()}
        asked = asked_for(wanted[which].clone(), ends and ends[which], 1)
        found = scan_engine(own, x[:, which].clone(), asked, network)
        last = squares(wanted[which, -1:].clone())
        [(_, adjoints)] = adjoints_of_last(found.forward, last)
        late = [adjoint.total for adjoint in adjoints]
        over_time = (*found.total, *found.states, *late)
        return [*found.parameters.values(), *(tensor.transpose(0, 1) for tensor in over_time)]

    together = bits(slice(None))
    for run in range(R):
        for many, one in zip(together, bits(slice(run, run + 1)), strict=True):
            assert torch.equal(many[run], one[0])


@pytest.mark.parametrize("engine", ["scan", "torch"])
def test_what_overflows_after_the_end_of_a_sequence_reaches_nothing(engine):
    network = Network(activation="relu", hidden_size=5, num_layers=2, engine=engine)
    drawn = Gaussian(gain=0.9).draw(shapes(network, 2, 1), 0)
    views = Parameters.stack([drawn], torch.float32).views()
    x = torch.rand(9, 1, 3, 2, generator=torch.Generator().manual_seed(0))
    x[6:] = 3e38  # the sequences are six steps long
    asked = Objective(lambda y: y.square().mean((1, 2, 3)), 1, torch.tensor([[6] * 3]), 6)

    found = ENGINES[engine].run(views, x, asked, network)
    cut = ENGINES[engine].run(views, x[:6], asked._replace(ends=None), network)

    for name, gradient in found.parameters.items():
        torch.testing.assert_close(gradient, cut.parameters[name], rtol=1e-6, atol=1e-9)
    assert all(states.isfinite().all() for states in found.states)
    assert all((total[6:] == 0).all() for total in found.total)


def first_update(run, weights, **network):
    """What is recorded of a run's first update with some weights, in float64."""
    run = dataclasses.replace(run, network=dataclasses.replace(run.network, **network))
    batch = RunBatch([run], Parameters.stack([weights], run.network.torch_dtype))
    number, data = batch.begin(), batch.draw()
    found = Recorder([run]).measure(number, batch, data, batch.gradients(data))
    return {name: values.double() for name, values in found.items() if values.is_floating_point()}


def off(found, exact, name):
    """The largest relative error of a column, where float32 has whole numbers for the gradient."""
    logs = name.startswith("log10")
    counted = found.isfinite() & exact.isfinite() & (exact > -30 if logs else True)
    apart = (found - exact).abs()[counted]
    most = 10**apart - 1 if logs else apart / exact[counted].abs().clamp(min=1e-30)
    return float(most.max()) if len(most) else 0.0


@pytest.mark.dosed
def test_of_a_first_update_kernels_record_what_is_as_near_to_float64_as_torchs_numbers():
    rows = [
        row
        for row in map(corpus_runs.settings, corpus_runs.rows().values())
        if row["network"]["dtype"] == "float32" and row["network"]["cell"] in KERNEL_CELLS
    ]
    assert len(rows) > 100
    for row in rows[:: dose(12, 1)]:
        run = run_from({**row, "network": {**row["network"], "engine": "scan"}, "device": "cpu"})
        drawn = initial_weights(run.network, run.init, run.task, run.seed)
        weights = {name: value.float() for name, value in drawn.items()}
        exact = first_update(run, weights, dtype="float64")
        scan, kernel = (first_update(run, weights, engine=engine) for engine in ("scan", "kernel"))
        for name, values in exact.items():
            limit = max(1e-5, 4 * off(scan[name], values, name))
            assert off(kernel[name], values, name) < limit, (row, name)
