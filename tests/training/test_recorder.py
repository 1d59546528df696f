"""Norms that neither under- nor overflow falsely, and what the recorded columns mean."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from rnn_exp.fields import SettingError
from rnn_exp.networks.cells import CELLS
from rnn_exp.networks.forward import grid_of
from rnn_exp.networks.gradients import scan_engine
from rnn_exp.networks.inits import Gaussian, TorchDefault
from rnn_exp.networks.network import Network, shapes
from rnn_exp.networks.norms import largest_singular_value, log10_norm, norm
from rnn_exp.networks.parameters import Parameters
from rnn_exp.networks.readout import Objective
from rnn_exp.schema import TABLES
from rnn_exp.tasks import Adding
from rnn_exp.training.columns import profile
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from rnn_exp.training.spectra import CandidateBlock
from tests import reference


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1e-30, 1e-38, 1e-5, 1.0, 1e30])
def test_norm_of_64_equal_entries_is_eight_times_the_entry(size, dtype):
    values = torch.full((1, 8, 8), size, dtype=dtype)
    expected = math.log10(8) + math.log10(float(values[0, 0, 0]))
    assert float(log10_norm(values)) == pytest.approx(expected, abs=1e-12)
    assert float(norm(values)) == pytest.approx(8 * float(values[0, 0, 0]), rel=1e-12)


@pytest.mark.parametrize("size", [1e-300, 5e-324, 1e-200, 1e200, 1e300])
def test_float64_norms_hold_where_squares_do_not(size):
    values = torch.full((1, 8, 8), size, dtype=torch.float64)
    assert float(log10_norm(values)) == pytest.approx(math.log10(8) + math.log10(size), abs=1e-12)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=9))
def test_norm_equals_exact_rational_arithmetic(numbers):
    values = torch.tensor(numbers, dtype=torch.float32).view(1, 1, -1)
    if not any(numbers):
        assert float(log10_norm(values)) == -math.inf
    else:
        assert float(log10_norm(values)) == pytest.approx(reference.log10_norm(values), abs=1e-12)


def default_network_at_200(dtype):
    """A default torch network, T = 200: its gradient at t = 1 is near 1e-44."""
    training = Training(updates=1)
    network = Network(dtype=dtype)
    [outcome] = train_runs([Run(Adding(200), network, TorchDefault(), training)])
    return outcome.gradients["log10_total"], outcome.gradients["status"]


def test_default_network_at_200_steps_shows_every_norm_and_says_which_underflowed():
    exact, exact_status = default_network_at_200("float64")
    single, single_status = default_network_at_200("float32")

    assert (exact_status == "ok").all()
    assert exact[0] < -40, "beyond the smallest normal float32"
    ok = single_status == "ok"
    np.testing.assert_allclose(single, exact, atol=1e-3)
    assert set(single_status[~ok]) == {"underflow"}
    floor = math.log10(torch.finfo(torch.float32).tiny) + math.log10(16 * 8)
    assert (ok == (exact > floor)).mean() > 0.99


def gradients_of(batch_copies):
    network, task = Network(hidden_size=6, num_layers=2, dtype="float64"), Adding(12)
    drawn = TorchDefault().draw(shapes(network, 2, 1), 0)
    parameters = Parameters.stack([drawn], torch.float64)
    batch = task.draw(3, torch.Generator().manual_seed(0))
    x = batch.inputs.repeat(1, batch_copies, 1).unsqueeze(1).double()
    y = batch.targets.repeat(1, batch_copies).unsqueeze(0).double()
    found = scan_engine(parameters.views(), x, Objective(lambda out: task.loss(out, y)), network)
    return parameters, network, x, y, found


def test_gradient_norm_does_not_depend_on_the_batch_size():
    once, four_times = gradients_of(1)[-1], gradients_of(4)[-1]
    cell = Network().make_cell()
    for name, values in profile(once, cell).items():
        torch.testing.assert_close(values, profile(four_times, cell)[name])


def test_columns_equal_their_definitions_on_the_unrolled_network():
    parameters, network, x, y, found = gradients_of(1)
    columns = {name: values[..., 0] for name, values in profile(found, network.make_cell()).items()}

    layers = reference.layers_of(parameters.of_run(0), 2)
    own = parameters.of_run(0)

    def loss(h):
        out = h[-1][-1] @ own["readout.weight"].T + own["readout.bias"]
        return ((out[:, 0] - y[0, 0]) ** 2).mean()

    total = reference.total_gradients(layers, x[:, 0], "tanh", loss)
    h = torch.stack(
        [torch.stack(own) for own in reference.states(layers, x[:, 0], "tanh")]
    ).detach()
    per_sequence = 3 * torch.linalg.vector_norm(total, dim=3)
    rms = per_sequence.square().mean(2).sqrt()
    torch.testing.assert_close(columns["log10_total"], rms.log10())
    torch.testing.assert_close(columns["saturation"], (1 - h**2).mean((2, 3)))
    torch.testing.assert_close(columns["state_rms"], (h**2).mean((2, 3)).sqrt())
    # Top layer: only the last step reaches the loss directly.
    assert torch.equal(columns["log10_direct"][1, -1], columns["log10_total"][1, -1])
    assert (columns["log10_direct"][1, :-1] == -math.inf).all()
    # Lower layer: what goes up to the layer above, δ V, at every step.
    V = layers[1][0]
    delta = (1 - h[1] ** 2) * total[1]
    direct = 3 * torch.linalg.vector_norm(delta @ V.detach(), dim=2)
    expected = direct.square().mean(1).sqrt().log10()
    torch.testing.assert_close(columns["log10_direct"][0], expected)


@pytest.mark.parametrize(
    ("every", "updates", "expected"), [(1, 3, [0, 1, 2]), (4, 10, [0, 4, 8, 9]), (50, 7, [0, 6])]
)
def test_first_and_last_update_are_always_recorded(every, updates, expected):
    recording = Recording(every)
    assert [u for u in range(updates) if recording.wanted(u, updates)] == expected


@pytest.mark.parametrize("H", [2, 3, 5, 7])
def test_recorded_spectra_do_not_depend_on_the_runs_beside(H):
    draw = torch.Generator().manual_seed(H)
    W = torch.randn(200, H, H, generator=draw)
    network = Network(hidden_size=H)

    def spectra(weights):
        candidate = CandidateBlock(weights, network)
        return candidate.spectral_radius(), candidate.sigma_max()

    for start in range(0, 200, 13):
        together = spectra(W[start : start + 13])
        for place in range(len(together[0])):
            alone = spectra(W[start + place : start + place + 1].clone())
            for many, one in zip(together, alone, strict=True):
                assert torch.equal(many[place], one[0])
    torch.testing.assert_close(spectra(W)[0], torch.linalg.eigvals(W.double()).abs().amax(-1))


@pytest.mark.parametrize("cell", list(CELLS))
def test_the_spectrum_of_a_cell_is_that_of_the_block_that_makes_its_candidate(cell):
    """Torch's orders: a GRU's r, z, n and an LSTM's i, f, g, o; n and g are the candidates."""
    kind = CELLS[cell]
    network = Network(cell=cell, hidden_size=4, leak=0.5 if kind.has_leak else None)
    place = {"gru": 2, "lstm": 2}.get(cell, 0)
    blocks = [torch.zeros(1, 4, 4) for _ in range(kind.gates)]
    blocks[place] = 0.5 * torch.eye(4).unsqueeze(0)

    W = torch.cat(blocks, dim=1)
    candidate = CandidateBlock(W, network)
    radius, largest = candidate.spectral_radius(), candidate.sigma_max()

    assert (radius.item(), largest.item()) == (0.5, 0.5)


def columns_recorded(run):
    """The names that a recorded update of a run has."""
    [outcome] = train_runs([run])
    return tuple(set(table) for table in outcome.tables.values())


@pytest.mark.parametrize(
    ("more", "optional"),
    [
        ({}, set()),
        ({"network": Network(cell="lstm", hidden_size=3)}, {"log10_memory", "status_memory"}),
        ({"training": Training(1, loss_at="every")}, {"log10_late", "status_late"}),
    ],
)
def test_a_run_records_the_columns_of_the_schema_and_no_other(more, optional):
    usual = {"network": Network(hidden_size=3), "training": Training(1)}
    recorded = columns_recorded(Run(Adding(6), **{**usual, **more}))

    for table, found in zip(TABLES.values(), recorded, strict=True):
        assert found == set(table.always) | (optional if table.name == "gradients" else set())


@pytest.mark.parametrize(
    ("task", "network", "loss_at"),
    [
        (Adding(40), Network(cell="lstm", hidden_size=5, num_layers=2), "every"),
        (Adding(40, convention="pascanu"), Network(cell="gru", hidden_size=5), "task"),
        (Adding(40), Network("relu", hidden_size=5, num_layers=2), "every"),
    ],
)
def test_what_is_recorded_in_stretches_of_time_is_that_of_the_whole_sequence(
    monkeypatch, task, network, loss_at
):
    """Norms, statuses, norms that training has lost, and the last answer's loss alone."""
    monkeypatch.setattr("rnn_exp.networks.cells.layout._CHUNK", 2 * 4 * 5 * network.kind.gates)
    exponents = 1 if network.kind.is_plain else 0
    training = Training(
        1, batch_size=4, loss_at=loss_at, truncate_every=5, truncate_back=8, learning_rate=0.1
    )
    runs = [
        Run(
            task,
            network,
            Gaussian(0.05),
            seed=seed,
            training=training,
            recording=Recording(1, exponents),
        )
        for seed in range(2)
    ]
    tables, cuts = [], []
    for least in (1 << 19, 1):
        monkeypatch.setattr("rnn_exp.networks.forward._LEAST", least)
        cuts.append(grid_of(network, 4, task.steps, 8))
        tables.append([(one.updates, one.gradients, one.exponents) for one in train_runs(runs)])

    assert cuts[0] is None
    assert len(cuts[1].stretches(task.steps)) > 2
    if not network.phi.bounded:
        assert "underflow" in tables[0][0][1]["status_late"]
    for whole, found in zip(*tables, strict=True):
        for theirs, mine in zip(whole, found, strict=True):
            for name, values in theirs.items():
                if name.startswith("status"):
                    assert (mine[name] == values).all(), name
                else:
                    np.testing.assert_allclose(mine[name], values, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("spectrum_every", "radius_at", "largest_at"),
    [
        (None, [0, 2, 4, 6, 8, 9], [0, 2, 4, 6, 8, 9]),
        (4, [0, 4, 8, 9], [0, 4, 8, 9]),
        (0, [], [0]),
    ],
)
def test_a_spectrum_is_recorded_at_its_own_updates_and_changes_nothing_else(
    spectrum_every, radius_at, largest_at
):
    def updates(recording):
        [outcome] = train_runs(
            [Run(Adding(6), Network(hidden_size=3), training=Training(10), recording=recording)]
        )
        return outcome.updates, outcome.theory.bound

    usual, bound = updates(Recording(2))
    found, own_bound = updates(Recording(2, spectrum_every=spectrum_every))

    assert own_bound == bound
    for name, there in (("spectral_radius", radius_at), ("largest_singular_value", largest_at)):
        expected = np.where(np.isin(usual["update"], there), usual[name], math.nan)
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == usual[name].dtype
    for name in set(usual) - {"spectral_radius", "largest_singular_value"}:
        np.testing.assert_array_equal(found[name], usual[name])


def test_a_spectrum_between_two_recorded_updates_is_refused():
    with pytest.raises(SettingError, match=r"spectrum_every=15 .* null, 0 or a multiple of every"):
        Recording(10, spectrum_every=15)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_the_largest_singular_value_is_that_of_a_decomposition(dtype, size):
    W = (size * torch.randn(3, 5, 5, generator=torch.Generator().manual_seed(1))).to(dtype)
    expected = torch.linalg.svdvals(W.double() / size)[:, 0] * size
    torch.testing.assert_close(largest_singular_value(W), expected, rtol=1e-14, atol=0)
    assert largest_singular_value(torch.zeros(1, 2, 2)).item() == 0
