"""A run is a value: executed twice, alone or beside others, it gives the same tables."""

import dataclasses

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from rnn_exp.fields import SettingError
from rnn_exp.networks.inits import (
    Chrono,
    ForgetBias,
    Gaussian,
    Identity,
    Orthogonal,
    TorchDefault,
    Unit,
)
from rnn_exp.networks.network import Network
from rnn_exp.tasks import Adding, Latch, Memorization, TemporalOrder
from rnn_exp.theory.stationary import mean_field
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.planning import chunks
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from tests.dose import dose

INITS = [Gaussian(0.7), Gaussian(40.0), Orthogonal(), Identity(0.9), TorchDefault()]


def assert_same(one, other):
    assert (one.status, one.divergence) == (other.status, other.divergence)
    assert one.theory.prediction == other.theory.prediction
    assert repr((one.first, one.last)) == repr((other.first, other.last))
    for name in ("updates", "gradients"):
        mine, theirs = getattr(one, name), getattr(other, name)
        assert mine.keys() == theirs.keys()
        for column, values in mine.items():
            equal_nan = values.dtype.kind == "f"
            assert np.array_equal(values, theirs[column], equal_nan=equal_nan), column
    for name, weights in one.weights.items():
        assert torch.equal(weights.view(torch.uint8), other.weights[name].view(torch.uint8)), name


STAYING = [Orthogonal(), Orthogonal(0.5), Orthogonal(40.0), Identity(0.9)]
TASKS = [
    Adding(2),
    Adding(13),
    TemporalOrder(24),
    Adding(20, "pascanu"),
    Adding(22, "hochreiter"),
    TemporalOrder(10, longest=19),
    Memorization(4, positions=2),
]


@st.composite
def groups(draw):
    """Draw runs that can train together: all share task, network and training."""
    task = draw(st.sampled_from(TASKS))
    orthogonal = draw(st.sampled_from([False, False, True]))
    network = Network(
        draw(st.sampled_from(["tanh", "sigmoid", "relu", "identity"])),
        draw(st.sampled_from([1, 2, 5, 16, 33])),
        draw(st.integers(1, 2)),
        initial_state=draw(st.sampled_from([0.0, 0.5])),
        parametrization="orthogonal" if orthogonal else "free",
        dtype=draw(st.sampled_from(["float32", "float64"])),
    )
    several = task.answers > 1 or task.shortest < task.steps
    windows = draw(st.sampled_from([(None, None), (None, None), (3, 5), (50, 50)]))
    training = Training(
        6,
        draw(st.sampled_from([1, 3, 16])),
        draw(st.sampled_from(["sgd", "adam", "rmsprop"])),
        clip_norm=draw(st.sampled_from([None, 0.5])),
        clip_value=draw(st.sampled_from([None, 0.01])),
        loss_at="task" if several else draw(st.sampled_from(["task", "every"])),
        omega=draw(st.sampled_from([0.0, 0.1])),
        omega_form=draw(st.sampled_from(["ratio", "squared"])),
        orthogonality=0.0 if orthogonal else draw(st.sampled_from([0.0, 0.1])),
        truncate_every=windows[0],
        truncate_back=windows[1],
    )
    inits = st.sampled_from(STAYING if orthogonal else INITS)
    picks = draw(st.lists(st.tuples(inits, st.integers(0, 3)), min_size=2, max_size=7, unique=True))
    return [Run(task, network, init, training, Recording(2), seed) for init, seed in picks]


@given(groups())
@pytest.mark.dosed
@settings(max_examples=dose(4, 20))
def test_alone_twice_or_beside_others_a_run_gives_the_same_bits(runs):
    together = train_runs(runs)
    for run, outcome in zip(runs, together, strict=True):
        [alone] = train_runs([run])
        assert_same(outcome, alone)
    for outcome, again in zip(together, train_runs(runs), strict=True):
        assert_same(outcome, again)


def test_outcomes_come_in_the_order_of_the_runs_and_repeats_are_trained_once():
    runs = [
        Run(Adding(T), Network(hidden_size=4), seed=seed, training=Training(1))
        for seed in (1, 0)
        for T in (5, 3, 5)
    ]
    seen = []
    outcomes = train_runs(runs, seen.append)
    assert [outcome.run for outcome in outcomes] == runs
    assert sum(len(update.runs) for update in seen) == 4


def test_runs_that_differ_in_init_and_seed_alone_train_together():
    runs = [
        Run(Adding(T), Network(hidden_size=4), init, seed=seed)
        for init in INITS
        for T in (5, 9)
        for seed in range(10)
    ]
    found = chunks(runs)
    assert sorted(map(len, found)) == [25, 25, 25, 25]
    for chunk in found:
        assert len({run.task for run in chunk}) == 1
    assert {run for chunk in found for run in chunk} == set(runs)


@pytest.mark.parametrize(
    ("network", "count"),
    [
        (Network(hidden_size=1, engine="scan"), 3),
        (Network(engine="torch"), 3),
        (Network(hidden_size=1, engine="kernel"), 1),
    ],
)
def test_dot_products_of_torch_and_the_genuine_module_go_alone(network, count):
    assert len(chunks(Run(network=network, seed=seed) for seed in range(3))) == count


def test_tables_have_a_row_for_every_recorded_update_layer_and_time():
    run = Run(
        Adding(7),
        Network(hidden_size=4, num_layers=2),
        training=Training(5),
        recording=Recording(2),
    )
    [outcome] = train_runs([run])
    table = outcome.gradients
    rows = list(zip(*(table[name].tolist() for name in ("update", "layer", "time")), strict=True))
    assert rows == [(u, k, t) for u in (0, 2, 4) for k in (0, 1) for t in range(1, 8)]
    assert (table["lag"] == 7 - table["time"]).all()
    assert outcome.updates["update"].tolist() == [0, 2, 4]


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (Run(init=Unit(), network=Network(hidden_size=1)), "init=unit network.hidden_size=1"),
        (
            Run(init=Chrono(), network=Network(cell="lstm")),
            "init=chrono network.cell=lstm init.longest=30",
        ),
        (
            Run(init=ForgetBias(2.0), network=Network(cell="gru")),
            "init=forget_bias network.cell=gru init.bias=2.0",
        ),
        (Run(task=Memorization(5)), "task=memorization task.length=5"),
    ],
)
def test_the_command_says_what_is_not_usual_even_where_the_usual_would_not_fit(run, expected):
    assert run.command == f"rnn-exp {expected}"


def test_chrono_with_no_span_given_takes_the_tasks_and_is_one_run_with_that():
    network = Network(cell="gru")
    one, other = (Run(init=Chrono(longest), network=network) for longest in (None, 30))
    assert one == other
    assert one.digest == other.digest
    assert one.init.longest == 30


def test_digest_changes_with_every_setting_but_the_device():
    base = Run()
    others = [
        Run(Adding(51)),
        Run(TemporalOrder()),
        Run(seed=1),
        Run(init=Gaussian(1.1)),
        Run(init=Orthogonal()),
        Run(init=Gaussian(input_scale=0.5)),
        Run(init=TorchDefault()),
        Run(recording=Recording(9)),
        Run(training=Training(clip_norm=1.0)),
        *(
            Run(training=Training(**{key: value}))
            for key, value in {
                "updates": 9,
                "batch_size": 9,
                "optimizer": "adam",
                "learning_rate": 0.1,
                "clip_value": 1.0,
                "loss_at": "every",
                "omega": 1.0,
                "omega_form": "ratio",
                "orthogonality": 1.0,
                "stop_when_solved": True,
            }.items()
        ),
        Run(training=Training(truncate_every=3, truncate_back=5)),
        Run(training=Training(truncate_every=3, truncate_back=6)),
        Run(network=Network(cell="leaky", leak=0.5)),
        Run(network=Network(cell="leaky", leak=0.6)),
        Run(init=Orthogonal(), network=Network(parametrization="orthogonal")),
        *(
            Run(network=Network(**{key: value}))
            for key, value in {
                "activation": "relu",
                "hidden_size": 9,
                "num_layers": 2,
                "engine": "torch",
                "dtype": "float64",
                "cell": "lstm",
                "initial_state": 0.1,
            }.items()
        ),
    ]
    digests = {run.digest for run in [base, *others]}
    assert len(digests) == len(others) + 1
    assert all(run.name.endswith(run.digest[:8]) for run in others)
    elsewhere = object.__new__(Run)
    for field in dataclasses.fields(Run):
        object.__setattr__(elsewhere, field.name, getattr(base, field.name))
    object.__setattr__(elsewhere, "device", "cuda")
    assert elsewhere.digest == base.digest


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused_where_the_run_trains():
    run = Run(Adding(5), Network(hidden_size=4), training=Training(1), device="cuda")
    with pytest.raises(SettingError, match=r"device=cuda .*no CUDA here"):
        train_runs([run])


def test_prediction_uses_the_drive_of_the_runs_own_inputs_and_weights():
    run = Run(Adding(20), Network(hidden_size=16), Gaussian(1.5, input_scale=3.0), Training(1))
    [outcome] = train_runs([run])
    drawn = run.init.draw({"weight_ih_l0": (16, 2), "readout.weight": (1, 16)}, 0)
    V = drawn["weight_ih_l0"]
    # E[x xᵀ] over time: values U(0, 1), two markers in twenty steps, independent of the values.
    second = torch.tensor([[2 / 20, 0.5 * 2 / 20], [0.5 * 2 / 20, 1 / 3]], dtype=torch.float64)
    drive = float(torch.einsum("ij,jk,ik->i", V, second, V).mean())
    assert outcome.theory.prediction.drive == pytest.approx(drive, rel=0.05)
    expected = mean_field("tanh", 1.5, outcome.theory.prediction.drive).rate
    assert outcome.theory.prediction.rate == pytest.approx(expected)


def test_identity_init_has_a_bound_but_no_prediction():
    [outcome] = train_runs([Run(Adding(5), Network(hidden_size=4), Identity(0.9), Training(1))])
    assert outcome.theory.prediction.rate is None
    assert outcome.theory.bound == pytest.approx(0.9)


@pytest.mark.parametrize("gain", [0.5, 1.2])
def test_linear_orthogonal_runs_report_their_gain_as_decay_rate(gain):
    network = Network("identity", 16, dtype="float64")
    [outcome] = train_runs([Run(Adding(30), network, Orthogonal(gain), Training(1))])
    assert outcome.first.summary.rate == pytest.approx(gain, rel=1e-10)
    assert outcome.first.summary.verdict == ("vanishing" if gain < 1 else "exploding")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_gives_the_numbers_of_the_cpu():
    training = Training(5, optimizer="adam", clip_norm=1.0)
    network = Network("sigmoid", 16, 2, dtype="float64")
    here, there = (
        train_runs([Run(Adding(20), network, Gaussian(2.0), training, device=device)])[0]
        for device in ("cpu", "cuda")
    )
    for column in ("log10_total", "log10_direct", "saturation", "state_rms"):
        np.testing.assert_allclose(there.gradients[column], here.gradients[column], rtol=1e-9)


def test_a_neighbour_that_diverges_does_not_end_a_run_that_has_solved_its_task():
    def one(gain, seed):
        return Run(
            Latch(6),
            Network(activation="relu", hidden_size=16),
            Gaussian(gain=gain),
            Training(updates=120, learning_rate=0.05, stop_when_solved=True),
            Recording(1000),
            seed,
        )

    company = [one(float(gain), seed) for gain in (1, 2, 3, 4) for seed in range(8)]
    together = {outcome.run: outcome for outcome in train_runs(company)}
    [alone] = train_runs([one(2.0, 0)])

    diverged = [found for found in together.values() if found.status == "diverged"]
    assert any(0 < found.divergence.update < 119 for found in diverged)
    assert together[alone.run].updates["update"].tolist() == alone.updates["update"].tolist()
    for name, weight in alone.weights.items():
        assert torch.equal(together[alone.run].weights[name], weight)


def test_a_divergence_lies_within_the_sequence_however_long_others_may_be():
    run = Run(
        Adding(130, "pascanu"),
        Network(activation="relu", hidden_size=3),
        Identity(gain=2.0),
        Training(updates=1),
        Recording(1),
        0,
    )
    [found] = train_runs([run])

    assert found.status == "diverged"
    assert found.updates["length"][-1] < run.task.steps
    assert found.divergence.time <= found.updates["length"][-1]
