"""The cells of examples/ compute what their docstrings say: against slow programs in float64."""

import dataclasses
import importlib.util
import math
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch

from rnn_exp.fields import SettingError
from rnn_exp.networks import CELLS, Network
from rnn_exp.networks.cells import LayerWeights
from rnn_exp.networks.checking import check_cell
from rnn_exp.networks.inits import Gaussian, TorchDefault
from rnn_exp.networks.network import shapes
from rnn_exp.tasks import Adding
from rnn_exp.theory.edge import initial_weights
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.own_penalties import OWN_PENALTIES, OwnPenalty
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from rnn_exp.training.sizes import Sizes, bytes_of
from tests.builders import normal

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("minimal_gru", "antisymmetric", "cornn", "lru", "indrnn")
EVERY = pytest.mark.parametrize("name", NAMES)


@pytest.fixture
def load(monkeypatch):
    """Load an example as a user does; its word is gone after the test."""
    monkeypatch.setattr(CELLS, "_things", dict(CELLS._things))

    def loaded(name):
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return loaded


def minimal_gru(x, p, h):
    """Feng et al. 2024, unit by unit."""
    n, states = len(p["bias_ih"]), []
    for x_t in x:
        units = []
        for i in range(n):
            z = 1 / (1 + torch.exp(-(x_t @ p["weight_ih"][i] + p["bias_gate"][i])))
            candidate = x_t @ p["weight_ih"][n + i] + p["bias_ih"][i]
            units.append((1 - z) * h[:, i] + z * candidate)
        h = torch.stack(units, dim=1)
        states.append((h,))
    return states


def antisymmetric(x, p, h):
    """Chang et al. 2019 with ε = .1, γ = .01."""
    W, states = p["weight_hh"], []
    A = W - W.T - 0.01 * torch.eye(len(W), dtype=W.dtype)
    for x_t in x:
        drive = x_t @ p["weight_ih"].T + p["bias_ih"] + p["bias_hh"]
        h = h + 0.1 * torch.tanh(h @ A.T + drive)
        states.append((h,))
    return states


def cornn(x, p, y):
    """Rusch & Mishra 2021 with Δt = .042, γ = 2.7, ε = 4.7."""
    z, states = torch.zeros_like(y), []
    for x_t in x:
        force = torch.tanh(
            y @ p["weight_hh"].T
            + z @ p["weight_velocity"].T
            + x_t @ p["weight_ih"].T
            + p["bias_ih"]
        )
        z = z + 0.042 * (force - 2.7 * y - 4.7 * z)
        y = y + 0.042 * z
        states.append((y, z))
    return states


def lru(x, p, h):
    """Orvieto et al. 2023, in complex numbers."""
    half = h.shape[1] // 2
    s, states = torch.complex(h[:, :half], h[:, half:]), []
    nu, theta = p["eigenvalues"]
    lam = torch.exp(torch.complex(-torch.exp(nu), theta))
    gamma = torch.sqrt(1 - lam.abs() ** 2)
    B = torch.complex(p["weight_ih"][:half], p["weight_ih"][half:])
    for x_t in x:
        s = lam * s + gamma * (x_t.to(B.dtype) @ B.T)
        states.append((torch.cat([s.real, s.imag], dim=1),))
    return states


def indrnn(x, p, h):
    """Li et al. 2018 with tanh."""
    states = []
    for x_t in x:
        h = torch.tanh(x_t @ p["weight_ih"].T + p["u"] * h + p["bias_ih"])
        states.append((h,))
    return states


PROGRAMS = {
    "minimal_gru": minimal_gru,
    "antisymmetric": antisymmetric,
    "cornn": cornn,
    "lru": lru,
    "indrnn": indrnn,
}


def network_of(name, **more):
    return Network(cell=name, hidden_size=6, dtype="float64", **more)


def init_of(name):
    return Gaussian() if CELLS[name].has_matrix else TorchDefault()


@EVERY
@pytest.mark.parametrize("T", [1, 7])
def test_states_and_gradients_are_those_of_a_slow_program(load, name, T):
    load(name)
    network = network_of(name)
    drawn = initial_weights(network, init_of(name), Adding(5), 3)
    p = {key.removesuffix("_l0"): value.double() for key, value in drawn.items()}
    own = list(CELLS[name].shapes(6, 2))
    x, h_0, direct = normal(0, T, 4, 2), normal(1, 4, 6), normal(2, T, 4, 6)
    leaves = {key: p[key].clone().requires_grad_() for key in own}
    states = PROGRAMS[name](x, leaves, h_0)
    loss = sum((d * parts[0]).sum() for d, parts in zip(direct, states, strict=True))
    expected = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)

    cell = network.make_cell()
    weights = LayerWeights(*(p[key].unsqueeze(0) for key in own), names=own)
    trace = cell.forward(x.unsqueeze(1), weights, h_0.unsqueeze(0))
    found = cell.adjoint(direct.unsqueeze(1), trace, x.unsqueeze(1), weights)

    h = torch.stack([parts[0] for parts in states]).detach()
    torch.testing.assert_close(trace.states[:, 0], h, rtol=1e-12, atol=1e-13)
    for key, value, own_gradient in zip(own, expected, found.weights, strict=True):
        value = torch.zeros_like(p[key]) if value is None else value
        torch.testing.assert_close(own_gradient[0], value, rtol=1e-10, atol=1e-12, msg=key)


@EVERY
def test_the_check_of_cells_finds_nothing(load, name):
    load(name)
    assert check_cell(CELLS[name]) == []


@EVERY
def test_a_run_trains_and_has_the_same_bits_alone_and_in_company(load, name):
    load(name)
    runs = [
        Run(
            Adding(9),
            network_of(name, num_layers=2),
            init_of(name),
            Training(2, 3, loss_at="every"),
            Recording(1),
            seed=seed,
        )
        for seed in range(3)
    ]
    together, [alone] = train_runs(runs), train_runs(runs[1:2])

    assert [outcome.status for outcome in together] == ["finished"] * 3
    assert np.isfinite(alone.gradients["log10_total"]).all()
    for table in ("updates", "gradients"):
        for column, values in getattr(alone, table).items():
            np.testing.assert_array_equal(values, getattr(together[1], table)[column])
    assert alone.theory.because.endswith(f"the cell {name} has no theory")


def test_with_zero_biases_the_gradient_of_the_minimal_gru_halves_every_step(load):
    load("minimal_gru")
    network = Network(cell="minimal_gru", hidden_size=64)
    run = Run(Adding(30), network, TorchDefault(), Training(1, 32), Recording(1))
    rows = train_runs([run])[0].gradients
    log10 = rows["log10_total"][np.argsort(rows["lag"])]
    rate = 10 ** ((log10[-1] - log10[0]) / (len(log10) - 1))
    assert rate == pytest.approx(0.5, abs=0.01)


def test_the_gradient_of_a_linear_unit_falls_by_its_eigenvalue_below_every_floor(load):
    """float32 ends at 1e-38; |λ| = .4 is at .4^149 = 1e-59."""
    lru = load("lru")
    CELLS.register(lru.lru("narrow", least=0.4, most=0.4 + 1e-12))
    network = Network(cell="narrow", hidden_size=6)
    run = Run(Adding(150), network, TorchDefault(), Training(1, 4), Recording(1))
    rows = train_runs([run])[0].gradients
    log10 = rows["log10_total"][np.argsort(rows["lag"])]
    assert len({*rows["status"]}) > 1  # training has lost the early ones
    np.testing.assert_allclose(np.diff(log10), math.log10(0.4), atol=1e-6)


def test_what_makes_no_sense_without_a_matrix_is_refused_by_name(load):
    load("indrnn")
    load("lru")
    with pytest.raises(SettingError, match=r"init=gaussian .*allowed is torch with .*u, no matrix"):
        Run(network=network_of("indrnn"))
    with pytest.raises(SettingError, match=r"parametrization=orthogonal .*no matrix W_hh"):
        network_of("indrnn", parametrization="orthogonal")
    with pytest.raises(SettingError, match=r"training.orthogonality=.* no matrix W_hh"):
        Run(
            network=network_of("indrnn"),
            init=TorchDefault(),
            training=Training(orthogonality=0.1),
        )
    with pytest.raises(SettingError, match=r"hidden_size=7.*an even number with cell=lru"):
        Network(cell="lru", hidden_size=7)


def test_a_penalty_of_a_user_is_refused_where_there_is_no_matrix(load, monkeypatch):
    load("indrnn")
    monkeypatch.setattr(OWN_PENALTIES, "_things", dict(OWN_PENALTIES._things))
    load("spectral_margin")

    @dataclasses.dataclass(frozen=True)
    class Lenient(OwnPenalty):
        lenient: float = 0.0
        name: ClassVar[str] = "lenient"

        @property
        def weight(self):
            return self.lenient

        def value(self, weight_hh):
            return weight_hh.square().sum((1, 2))

        def refusals(self, network):
            return iter(())

    OWN_PENALTIES.register(Lenient)
    for name in ("spectral_margin", "lenient"):
        with pytest.raises(SettingError, match=r"network.cell=indrnn .*u, no matrix W_hh"):
            Run(
                network=network_of("indrnn"),
                init=TorchDefault(),
                training=Training(more={name: 0.5}),
            )


@EVERY
@pytest.mark.parametrize("layers", [1, 3])
def test_the_memory_that_a_run_needs_is_counted_from_its_own_weights(load, name, layers):
    load(name)
    network = Network(cell=name, hidden_size=8, num_layers=layers)
    run = Run(Adding(5), network, TorchDefault())
    own = Sizes.of(run)
    assert own.parameters == sum(map(math.prod, shapes(network, 2, 1).values()))
    assert own.has_spectrum == ("weight_hh_l0" in shapes(network, 2, 1))
    if name == "indrnn":
        large = Run(Adding(5), Network(cell=name, hidden_size=20_000), TorchDefault())
        assert bytes_of(Sizes.of(large), 1) < 2e9


def test_a_cell_without_a_matrix_has_no_spectrum(load):
    load("indrnn")
    run = Run(Adding(5), network_of("indrnn"), TorchDefault(), Training(2, 3), Recording(1))
    [outcome] = train_runs([run])
    assert np.isnan(outcome.updates["spectral_radius"]).all()
    assert np.isnan(outcome.updates["largest_singular_value"]).all()
    assert (outcome.updates["recurrent_grad_norm"] > 0).all()
    assert list(shapes(run.network, 2, 1))[1] == "u_l0"
