"""Sequences of a batch that end each at its own time step, against each of them alone."""

import dataclasses
import functools
import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from rnn_exp.networks.cells import CELLS
from rnn_exp.networks.ends import ByLag
from rnn_exp.networks.forward import outputs
from rnn_exp.networks.gradients import scan_engine
from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.network import Network, shapes
from rnn_exp.networks.rescaled import rescaled
from rnn_exp.randomness import generator
from rnn_exp.tasks import Adding, Batch, TemporalOrder
from rnn_exp.theory.directions import log10_singular_values
from rnn_exp.theory.lyapunov import spectrum
from rnn_exp.training.batch import RunBatch
from rnn_exp.training.columns import profile, rescaled_profile
from rnn_exp.training.evaluation import score
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Evaluation, Recording, Training
from tests import reference
from tests.builders import asked_for, normal, random_network
from tests.networks.test_step import TWINS
from tests.training.test_experiment import assert_same

OWN = Adding(4, longest=9, lengths="sequence")


@pytest.fixture(scope="module", autouse=True)
def twins():
    """The cells that are made of their steps, beside those that are registered."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CELLS, "_things", dict(CELLS._things))
        for kind in TWINS.values():
            CELLS.register(kind)
        yield


PLAIN = functools.partial(reference.skip, phi="tanh", keep=0, add=1)
PROGRAMS = {
    "rnn": PLAIN,
    "leaky": functools.partial(reference.skip, phi="tanh", keep=0.7, add=0.3),
    "residual": functools.partial(reference.skip, phi="tanh", keep=1, add=0.3),
    "normed": functools.partial(reference.normed, phi="tanh"),
    "gru": reference.gru,
    "lstm": reference.lstm,
    "rnn_twin": PLAIN,
    "gru_twin": reference.gru,
    "lstm_twin": reference.lstm,
}


@pytest.mark.parametrize("cell", PROGRAMS)
@settings(max_examples=4)
@given(
    st.lists(st.lists(st.integers(1, 7), min_size=3, max_size=3), min_size=2, max_size=2),
    st.integers(0, 10**6),
)
def test_a_row_has_what_all_sequences_have_at_its_lag_and_each_is_as_it_is_alone(cell, ends, seed):
    T, B, H = 8, 3, 4  # no sequence is of the length that there is room for
    leak = 0.3 if CELLS[cell].has_leak else None
    network = Network("tanh", H, cell=cell, leak=leak, dtype="float64", initial_state=0.2)
    parameters = random_network(network, seed, 2)
    x, wanted = normal(seed + 2, T, 2, B, 2), normal(seed + 3, 2, 1, B, 3)
    lags, objective = ByLag(torch.tensor(ends), T), asked_for(wanted, ends, 1)
    found = scan_engine(parameters.views(), x, objective, network)

    mine = profile(found, network.make_cell(), (), lags)
    again = rescaled_profile(
        rescaled(found.forward, objective, [1]),
        T,
        network.make_cell(),
        network.kind.recurrent,
        lags.of_runs([1]),
    )

    for run, own_ends in enumerate(ends):
        own, longest = parameters.of_run(run), max(own_ends)
        weights = [own[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        start = torch.full((B, H), 0.2, dtype=torch.float64)
        last = torch.stack([found.total[0][end - 1, run, b] for b, end in enumerate(own_ends)])
        given = x[:longest, run], start, weights
        whole = PROGRAMS[cell](given[0], start, *weights)
        at_end = torch.stack([whole.h[end - 1][b] for b, end in enumerate(own_ends)])
        torch.testing.assert_close(last, by_states(own, at_end, wanted[run, 0]), rtol=1e-9, atol=0)
        slow = reference.without_floor(
            PROGRAMS[cell], *given, last, network.kind.has_memory, own_ends
        )
        for name, expected in zip(
            ("log10_total", "log10_contribution", "log10_memory"), slow, strict=True
        ):
            if name == "log10_memory" and cell.endswith("twin"):
                continue  # of a step it is the part that does not come through h_t
            if name in mine:
                values = mine[name][0, :longest, run].tolist()
                assert values == pytest.approx(expected, abs=1e-8), name
            if name in again and run == 1:
                assert again[name][0, :longest, 0].tolist() == pytest.approx(expected, abs=1e-8)
        for row in range(longest):
            steps = [(row - longest + end, b) for b, end in enumerate(own_ends)]
            there = [(t, b) for t, b in steps if t >= 0]
            squares = sum(float(whole.h[t][b].square().mean()) for t, b in there) / len(there)
            assert float(mine["state_rms"][0, row, run]) == pytest.approx(math.sqrt(squares))
            slopes = sum(float(whole.slopes[t][b].mean()) for t, b in there) / len(there)
            if not cell.endswith("twin"):
                assert float(mine["saturation"][0, row, run]) == pytest.approx(slopes)


def by_states(own, h, wanted):
    """∂L/∂h of the states that are read, L the mean squared distance."""
    h = h.detach().requires_grad_()
    y = h @ own["readout.weight"].T + own["readout.bias"]
    return torch.autograd.grad(((y - wanted) ** 2).mean(), h)[0]


@given(
    st.integers(2, 3),
    st.lists(st.integers(1, 6), min_size=1, max_size=4),
    st.booleans(),
    st.integers(0, 10**6),
)
def test_the_norms_of_every_layer_are_those_of_the_sequences_alone(layers, ends, is_relu, seed):
    T, B, activation = max(ends), len(ends), "relu" if is_relu else "tanh"
    network = Network(activation, 4, layers, dtype="float64")
    parameters = random_network(network, seed, 1)
    x, wanted = normal(seed + 2, T, 1, B, 2), normal(seed + 3, 1, 1, B, 3)
    found = scan_engine(parameters.views(), x, asked_for(wanted, [ends], 1), network)

    mine = profile(found, network.make_cell(), (), ByLag(torch.tensor([ends]), T))

    alone = [
        reference.gradients(
            parameters.of_run(0),
            x[:end, 0, b : b + 1],
            layers,
            activation,
            lambda y, b=b: ((y - wanted[0, :, b : b + 1]) ** 2).mean(),
            [end],
        )
        for b, end in enumerate(ends)
    ]
    assert float(found.loss) == pytest.approx(sum(float(loss) for loss, *_ in alone) / B)
    for name, value in found.parameters.items():
        expected = sum(by_name[name] for _, by_name, _ in alone) / B
        torch.testing.assert_close(value[0], expected, rtol=1e-9, atol=1e-12)
    for layer in range(layers):
        for row in range(T):
            sizes = [
                float(total[layer, row - T + end].square().sum())
                for end, (_, _, total) in zip(ends, alone, strict=True)
                if row - T + end >= 0
            ]
            expected = sum(sizes) / len(sizes)
            log10 = math.log10(expected) / 2 if expected else -math.inf
            assert float(mine["log10_total"][layer, row, 0]) == pytest.approx(log10, abs=1e-8)


@pytest.mark.parametrize(
    "given",
    [
        Run(OWN, Network(hidden_size=5, num_layers=2)),
        Run(OWN, Network("gelu", 5)),
        Run(OWN, Network(hidden_size=5, cell="lstm")),
        Run(
            OWN, Network(hidden_size=5), Gaussian(0.0), Training(truncate_every=2, truncate_back=3)
        ),
    ],
    ids=["layers", "gelu", "lstm", "windows"],
)
def test_sequences_that_happen_to_end_together_leave_the_numbers_of_a_batch_of_one_length(
    given, monkeypatch
):
    def drawn_together(task, batch_size, draws):
        batch = dataclasses.replace(task, lengths="batch").draw(batch_size, draws)
        return batch._replace(ends=torch.full((batch_size,), batch.length))

    training = dataclasses.replace(given.training, updates=4, batch_size=3)
    run = dataclasses.replace(given, training=training, recording=Recording(1))
    task = dataclasses.replace(OWN, lengths="batch")
    [usual] = train_runs([dataclasses.replace(run, task=task)])

    original = Adding.draw
    monkeypatch.setattr(
        Adding,
        "draw",
        lambda task, *more: (
            drawn_together(task, *more) if task.lengths == "sequence" else original(task, *more)
        ),
    )
    [own] = train_runs([run])

    assert {*usual.updates["length"]} != {usual.updates["length"][0]}, "updates differ in length"
    for name, values in usual.weights.items():
        assert torch.equal(own.weights[name], values), name
    for table in ("updates", "gradients"):
        for name, values in getattr(usual, table).items():
            found = getattr(own, table)[name]
            if name == "saturation":
                np.testing.assert_allclose(found, values, rtol=1e-6)
            elif name == "state_rms":  # kernels add the squares of a step in another order
                np.testing.assert_allclose(found, values, rtol=1e-14)
            elif name != "log10_predicted":  # theory looks at the longest sequences
                np.testing.assert_array_equal(found, values, name)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm", "normed", "lstm_twin"])
def test_a_run_has_the_same_bits_alone_and_in_company(cell):
    activation = CELLS[cell].only_activation or "gelu"
    runs = [
        Run(
            TemporalOrder(10, longest=13, lengths="sequence"),
            Network(activation, 6, 2, cell),
            Gaussian(gain),
            Training(2, batch_size=5),
            Recording(1),
            seed,
        )
        for seed, gain in enumerate((0.02, 1.0, 0.6))
    ]

    together = train_runs(runs)

    for run, outcome in zip(runs, together, strict=True):
        assert_same(outcome, train_runs([run])[0])


@pytest.mark.parametrize("network", [{}, {"num_layers": 2}, {"cell": "lstm"}], ids=str)
def test_what_float32_loses_is_what_float64_measures(network):
    length = 130 if "cell" in network else 60
    task = Adding(length, longest=length + 40, lengths="sequence")
    gain = 0.01 if "cell" in network else 0.3
    activation = "tanh" if "cell" in network else "sigmoid"
    given = [
        Run(task, Network(activation, 8, dtype=dtype, **network), Gaussian(gain), Training(1, 4))
        for dtype in ("float32", "float64")
    ]
    single, exact = (train_runs([run])[0].gradients for run in given)

    for name, status in (("log10_total", "status"), ("log10_contribution", "status_contribution")):
        there = np.isfinite(exact[name])
        np.testing.assert_array_equal(np.isneginf(single[name]), np.isneginf(exact[name]), name)
        np.testing.assert_allclose(single[name][there], exact[name][there], atol=2e-2)
        assert {"ok", "underflow"} <= set(single[status]) <= {"ok", "underflow", "zero"}
        assert (single[status][exact[name] < -39] != "ok").all(), name
        assert (single[status][there & (exact[name] > -33)] == "ok").all(), name


def test_windows_reach_as_many_steps_back_from_every_end(monkeypatch):
    monkeypatch.setattr(RunBatch, "rescaled", lambda *_: pytest.fail("a second pass"))
    training = Training(2, 4, truncate_every=2, truncate_back=3)
    [outcome] = train_runs([Run(OWN, Network(hidden_size=4), training=training)])

    table = outcome.gradients
    np.testing.assert_array_equal(table["status"] == "cut_off", table["lag"] >= 3)
    np.testing.assert_array_equal(np.isneginf(table["log10_total"]), table["lag"] >= 3)
    assert ((table["status_direct"] == "ok") == (table["lag"] == 0)).all()


def test_zeros_by_construction_ask_for_no_second_pass(monkeypatch):
    monkeypatch.setattr(RunBatch, "rescaled", lambda *_: pytest.fail("a second pass"))
    [outcome] = train_runs([Run(OWN, Network(hidden_size=4), training=Training(1, 6))])

    table = outcome.gradients
    assert (table["status"] == "ok").all()
    np.testing.assert_array_equal(table["status_contribution"] == "zero", table["time"] == 1)
    assert len(table["lag"]) == outcome.updates["length"][0]
    np.testing.assert_array_equal(table["time"] + table["lag"], outcome.updates["length"][0])


def test_exponents_and_singular_values_are_of_sequences_up_to_their_ends():
    recording = Recording(1, exponents=2, jacobian_lags=3)
    run = Run(
        OWN, Network(hidden_size=5, dtype="float64"), Gaussian(0.9), Training(1, 4), recording, 1
    )
    [outcome] = train_runs([run])
    batch = first_batch(run)
    own = {name: value.unsqueeze(0) for name, value in weights_of(run).items()}
    W = own["weight_hh_l0"]

    each = []
    for b, end in enumerate(batch.ends.tolist()):
        x = batch.inputs[:end, None, b : b + 1].double()
        states = scan_engine(own, x, asked_for(normal(0, 1, 1, 1, 1)), run.network).states[0]
        each.append(spectrum(W, states, "tanh", k=2, burn_in=end // 10)[0, 0])
        if b == 0:
            expected = log10_singular_values(W[0], states[:, 0, 0], "tanh", [1, 2, 3])

    assert batch.ends[0] < batch.ends.max()
    mean = torch.stack(each).mean(0).tolist()
    assert outcome.exponents["exponent"].tolist() == pytest.approx(mean, rel=1e-9)
    found = outcome.jacobians["log10_singular_value"].tolist()
    assert found == pytest.approx(expected.flatten().tolist(), abs=1e-9, nan_ok=True)


def first_batch(run):
    """The sequences of a run's first update."""
    return run.task.draw(run.training.batch_size, generator(run.seed, "data"))


def weights_of(run):
    """The weights before the first update, in float64."""
    sizes = shapes(run.network, run.task.input_size, run.task.output_size)
    return {name: value.double() for name, value in run.init.draw(sizes, run.seed).items()}


def test_a_test_scores_each_sequence_at_its_own_end():
    network = Network(hidden_size=5, dtype="float64")
    own = {name: value.unsqueeze(0) for name, value in weights_of(Run(OWN, network)).items()}
    batch = OWN.draw(12, torch.Generator().manual_seed(4))

    loss, wrong = score(own, network, OWN, iter([batch]), 1)

    each = [alone(batch, b) for b in range(12)]
    losses, errors = zip(*(score(own, network, OWN, iter([one]), 1) for one in each), strict=True)
    assert loss == pytest.approx(sum(losses) / 12, rel=1e-12)
    assert wrong == pytest.approx(sum(errors) / 12, rel=1e-12)
    assert len(set(batch.ends.tolist())) > 3


def alone(batch, b):
    """One sequence of a batch, as a batch of its length."""
    end = int(batch.ends[b])
    one = slice(b, b + 1)
    return Batch(batch.inputs[:end, one], batch.targets[:, one], batch.cues[:, one], end)


def test_tests_are_made_on_sequences_of_their_own_lengths_or_of_one():
    for length, expected in ((None, OWN), (6, Adding(6))):
        tests = Evaluation(every=1, length=length, sequences=20)
        run = Run(
            OWN, Network(hidden_size=4), Gaussian(), Training(1), Recording(1), evaluation=tests
        )
        [outcome] = train_runs([run])
        batch = expected.draw(20, generator(0, "evaluation"))
        own = {name: value.float().unsqueeze(0) for name, value in weights_of(run).items()}
        ends = None if batch.ends is None else batch.ends.unsqueeze(0)
        y = outputs(own, batch.inputs[: batch.length].unsqueeze(1), run.network, 1, ends)
        loss = float(expected.loss(y, batch.targets.unsqueeze(0)))
        assert outcome.updates["test_loss"].tolist() == pytest.approx([loss], rel=1e-6)
