"""A cell from its step alone: what hand-written cells compute, and what is refused."""

import dataclasses

import numpy as np
import pytest
import torch

from rnn_exp.networks import CELLS, Network, step_cell
from rnn_exp.networks.cells import LayerWeights
from rnn_exp.networks.checking import check_cell
from rnn_exp.networks.gradients import scan_engine
from rnn_exp.networks.inits import Gaussian
from rnn_exp.storage.writing import describe
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from tests.builders import asked_for, normal, random_network


def plain(x, state, weights, phi):
    (h,) = state
    bias = (weights["bias_ih"] + weights["bias_hh"]).unsqueeze(1)
    return (phi(x @ weights["weight_ih"].mT + bias + h @ weights["weight_hh"].mT),)


def gru(x, state, weights):
    (h,) = state
    drive = x @ weights["weight_ih"].mT + weights["bias_ih"].unsqueeze(1)
    hidden = h @ weights["weight_hh"].mT + weights["bias_hh"].unsqueeze(1)
    (r, z, n), (r_h, z_h, m) = drive.chunk(3, -1), hidden.chunk(3, -1)
    z, n = torch.sigmoid(z + z_h), torch.tanh(n + torch.sigmoid(r + r_h) * m)
    return ((1 - z) * n + z * h,)


def lstm(x, state, weights):
    h, c = state
    bias = (weights["bias_ih"] + weights["bias_hh"]).unsqueeze(1)
    u = x @ weights["weight_ih"].mT + bias + h @ weights["weight_hh"].mT
    i, f, g, o = u.chunk(4, -1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


TWINS = {
    "rnn": step_cell("rnn_twin", plain),
    "gru": step_cell("gru_twin", gru, gates=3, candidate=2, forget_gate=1),
    "lstm": step_cell("lstm_twin", lstm, parts=2, gates=4, candidate=2, forget_gate=1),
}
EVERY = pytest.mark.parametrize("name", TWINS)


def built(kind):
    return kind.build(Network(kind.only_activation or "sigmoid").phi, None)


@pytest.fixture
def twins(monkeypatch):
    monkeypatch.setattr(CELLS, "_things", dict(CELLS._things))
    for kind in TWINS.values():
        CELLS.register(kind)


@EVERY
def test_a_step_has_the_states_and_gradients_of_the_hand_written_cell(name):
    T, R, B, H, rows = 7, 2, 3, 5, CELLS[name].gates * 5
    weights = LayerWeights(
        normal(1, R, rows, 2), normal(2, R, rows, H), normal(3, R, rows), normal(4, R, rows)
    )
    x, start, direct = normal(5, T, R, B, 2), normal(6, R, B, H), normal(7, 3, R, B, H)
    cells = built(CELLS[name]), built(TWINS[name])
    traces = [cell.forward(x, weights, start) for cell in cells]
    one, other = (
        cell.adjoint(direct, trace, x, weights, with_inputs=True)
        for cell, trace in zip(cells, traces, strict=True)
    )

    torch.testing.assert_close(traces[1].states, traces[0].states, rtol=1e-12, atol=1e-13)
    for mine, theirs in zip(other.weights, one.weights, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(other.total, one.total, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(other.inputs, one.inputs, rtol=1e-11, atol=1e-12)
    if other.memory is not None:
        # An LSTM's own ∂L/∂c_t has what goes through h_t of the same step as well.
        (_, H), o = (B, H), traces[0].kept[0][..., 0, :]
        through_h = one.total * (o - traces[0].states * traces[0].kept[3])
        torch.testing.assert_close(other.memory + through_h, one.memory, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["rnn", "gru"])
def test_a_step_has_the_tables_of_the_hand_written_cell_also_truncated_and_in_two_layers(
    twins, name
):
    training = Training(2, 3, loss_at="every", truncate_every=3, truncate_back=5)
    one, other = (
        Run(
            Adding(9),
            Network(cell=cell, hidden_size=4, num_layers=2, dtype="float64"),
            training=training,
            recording=Recording(1),
        )
        for cell in (name, f"{name}_twin")
    )

    mine, theirs = train_runs([one])[0], train_runs([other])[0]

    for table in ("updates", "gradients"):
        for column, values in getattr(mine, table).items():
            if column == "saturation" or np.asarray(values).dtype.kind != "f":
                continue
            found = getattr(theirs, table)[column]
            np.testing.assert_allclose(found, values, rtol=1e-8, atol=1e-10, err_msg=column)


@pytest.mark.parametrize("name", ["rnn", "lstm"])
def test_the_check_finds_nothing(name):
    assert check_cell(TWINS[name], "sigmoid") == []


@pytest.mark.parametrize("name", CELLS)
def test_the_check_finds_nothing_in_what_is_built_in(name):
    assert check_cell(CELLS[name], "sigmoid") == []


def test_the_check_says_where_an_adjoint_is_off():
    @dataclasses.dataclass(frozen=True)
    class Wrong(type(built(CELLS["rnn"]))):
        def adjoint(self, direct, *given, **more):
            found = super().adjoint(direct, *given, **more)
            total = found.total.clone()
            total[0] *= 1.001
            return found._replace(total=total)

    kind = dataclasses.replace(CELLS["rnn"], name="wrong", build=lambda phi, leak: Wrong(phi))

    found = check_cell(kind)

    assert any(
        one.where == "∂L/∂h_t, time step 1 of 6" and "differences" in one.said for one in found
    )
    assert all(one.cell == "wrong" for one in found)


def test_the_check_says_that_runs_mix():
    def mixed(x, state, weights, phi):
        (h,) = plain(x, state, weights, phi)
        return (h - 0.1 * h.mean(0, keepdim=True),)

    found = check_cell(step_cell("mixed", mixed))
    assert any("5 of 5 runs have other bits alone" in one.said for one in found)


def test_a_step_may_change_its_own_tensors_in_place():
    def in_place(x, state, weights):
        (h,) = state
        u = x @ weights["weight_ih"].mT
        u += h @ weights["weight_hh"].mT
        return (u.tanh_(),)

    assert check_cell(step_cell("in_place", in_place)) == []


def test_a_step_that_draws_random_numbers_is_refused():
    def noisy(x, state, weights):
        (h,) = state
        return (torch.tanh(h + torch.rand_like(h)),)

    cell = built(step_cell("noisy", noisy))
    weights = LayerWeights(normal(1, 1, 3, 2), normal(2, 1, 3, 3), normal(3, 1, 3), normal(4, 1, 3))
    with torch.random.fork_rng(), pytest.raises(ValueError, match="draws random numbers"):
        cell.forward(normal(5, 2, 1, 4, 2), weights, normal(6, 1, 4, 3))


def test_what_a_cell_cannot_be_is_said():
    with pytest.raises(ValueError, match="3 parts; allowed are 1 and 2"):
        step_cell("three", plain, parts=3)
    with pytest.raises(ValueError, match="weight_hh of the cell odd is"):
        step_cell("odd", plain, shapes=lambda n, i: {"weight_hh": (n,)}).shapes(3, 2)
    with pytest.raises(ValueError, match="the cell bare has no u"):
        step_cell("bare", plain, recurrent="u", shapes=lambda n, i: {"v": (n,)}).shapes(3, 2)
    greedy = step_cell("greedy", plain, draw=lambda shapes, _: {"weight_ih": torch.zeros(3, 2)})
    with pytest.raises(ValueError, match="draws weight_ih, which its init draws"):
        greedy.own_draw({}, torch.Generator())


def test_a_part_that_overflows_after_a_sequences_own_end_spoils_no_gradient_beside_a_longer_one(
    monkeypatch,
):
    def growing(x, state, weights):  # where nothing is read any more
        h, c = state
        growth = 1e15 * torch.exp(-1e6 * x[..., :1].square())
        c = growth * c * c + x @ weights["weight_ih"].mT
        return torch.tanh(c) + h @ weights["weight_hh"].mT, c

    monkeypatch.setattr(CELLS, "_things", dict(CELLS._things))
    CELLS.register(step_cell("growing", growing, parts=2))
    network = Network(hidden_size=3, cell="growing")
    x = normal(5, 9, 1, 2, 2, dtype=torch.float32)
    x[4:, 0, 0] = 0
    asked = asked_for(normal(6, 1, 1, 2, 3, dtype=torch.float32), [[4, 9]], 4)
    found = scan_engine(random_network(network, 1, 1).views(), x, asked, network)

    assert not found.traces[0].kept[1].isfinite().all(), "it does overflow"
    assert all(value.isfinite().all() for value in found.parameters.values())
    assert not found.total[0][4:, 0, 0].any()


def test_states_after_the_end_of_a_sequence_that_overflow_spoil_no_gradient():
    """ForwardPass puts 0 in the place of such states; the adjoint starts from them."""

    def growing(x, state, weights):
        h, c = state
        c = 1e15 * c * c + x @ weights["weight_ih"].mT
        return c + h @ weights["weight_hh"].mT, c

    cell = built(step_cell("growing", growing, parts=2))
    weights = LayerWeights(
        normal(1, 1, 3, 2).float(),
        normal(2, 1, 3, 3).float(),
        torch.zeros(1, 3),
        torch.zeros(1, 3),
    )
    x = normal(5, 6, 1, 4, 2).float()
    trace = cell.forward(x, weights, torch.zeros(1, 4, 3))
    assert not trace.kept[1].isfinite().all()
    with torch.inference_mode():
        trace.states[1:] = 0
    direct = torch.zeros(6, 1, 4, 3)
    direct[0] = 1.0
    found = cell.adjoint(direct, trace, x, weights)
    assert found.total.isfinite().all()
    assert all(value.isfinite().all() for value in found.weights)


@EVERY
def test_norms_that_are_measured_a_piece_of_time_at_a_time_are_the_same(twins, name, monkeypatch):
    def norms():
        network, init = Network(cell=f"{name}_twin", hidden_size=4), Gaussian(1e-3)
        [outcome] = train_runs([Run(Adding(300), network, init, Training(1, 3))])
        assert "underflow" in set(outcome.gradients["status"])
        return {key: value for key, value in outcome.gradients.items() if key.startswith("log10")}

    whole = norms()
    for module in ("networks.norms", "training.columns", "training.measured"):
        monkeypatch.setattr(f"rnn_exp.{module}.MOST_NUMBERS", 64)

    for column, values in norms().items():
        np.testing.assert_allclose(values, whole[column], rtol=1e-12, err_msg=column)


def test_run_json_has_no_slope_of_an_activation_that_a_step_does_not_take(twins):
    for name, slope in (("rnn_twin", 1.0), ("gru_twin", None)):
        said = describe(Run(task=Adding(5), network=Network(cell=name)))
        assert said["network"]["largest_slope"] == slope
