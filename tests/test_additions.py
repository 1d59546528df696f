"""What it takes to add something: one thing, registered, and everything else follows from it."""

import dataclasses
import math
from typing import ClassVar

import numpy as np
import pytest
import torch

from rnn_exp.fields import SettingError, number
from rnn_exp.networks import ACTIVATIONS, CELLS, INITS, Activation, Network
from rnn_exp.networks.cells import Elman
from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.inits.init import with_recurrent
from rnn_exp.tasks import TASKS, Adding
from rnn_exp.theory.stationary import critical_gain, mean_field
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.optimizers import OPTIMIZERS, Optimizer
from rnn_exp.training.penalties import PENALTIES, PenaltyValue
from rnn_exp.training.run import Run, run_from
from rnn_exp.training.settings import Recording, Training


def configuration(**changed):
    """A small run as nested plain values, as the command line gives them."""
    run = Run(Adding(12), Network(hidden_size=6, dtype="float64"), training=Training(4, 3))
    result = {}
    for key, value in run.settings().items():
        group, _, name = key.rpartition(".")
        result.setdefault(group, {})[name] = value
    plain = {"seed": 0, "device": "cpu"}
    groups = {group: values for group, values in result.items() if group}
    groups["task"]["name"], groups["init"]["name"] = "adding", "gaussian"
    return plain | groups | changed


# φ alone: u σ(u) (Hendrycks & Gimpel 2016), which is not monotone.
SILU = Activation("silu", torch.nn.functional.silu)
# An exponential linear unit with α = ½, which bends at 0. Its output tells its slope.
ELU = Activation(
    "half_elu",
    lambda u: torch.nn.functional.elu(u, 0.5),
    lambda h: torch.where(h > 0, torch.ones_like(h), h + 0.5),
    largest_slope=1.0,
    breaks=(0.0,),
    subhomogeneous=True,
)


@pytest.fixture
def own(monkeypatch):
    for activation in (SILU, ELU):
        monkeypatch.setitem(ACTIVATIONS._things, activation.name, activation)


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("phi", [SILU, ELU], ids=lambda phi: phi.name)
@pytest.mark.parametrize("cell", CELLS.where(lambda kind: kind.only_activation is None))
def test_an_activation_is_one_value(phi, cell):
    network = {"activation": phi.name, "hidden_size": 16, "cell": cell, "num_layers": 2}
    network |= {"leak": 0.3} if CELLS[cell].has_leak else {}
    run = run_from(configuration() | {"network": network})
    [outcome] = train_runs([run])

    assert f"-{phi.name}-" in run.name
    assert outcome.status == "finished"
    assert np.isfinite(outcome.gradients["log10_total"]).all()
    forms = {"rnn": "mean field", "normed": None}
    assert outcome.theory.prediction.form == forms.get(cell, "two-time")
    with pytest.raises(SettingError, match="allowed is tanh, sigmoid, relu with engine=torch"):
        Network(phi.name, engine="torch")


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("phi", [SILU, ELU], ids=lambda phi: phi.name)
def test_an_activation_that_is_not_homogeneous_has_the_mean_field_of_its_own_integrals(phi):
    gain, drive = 0.9, 0.2
    z = torch.randn(2_000_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    q = 1.0
    for _ in range(60):
        q = gain**2 * float(phi(math.sqrt(q) * z).square().mean()) + drive
    chi = gain**2 * float(phi.derivative(math.sqrt(q) * z).square().mean())

    found = mean_field(phi.name, gain, drive)

    assert (found.q, found.chi) == pytest.approx((q, chi), rel=5e-3)
    assert math.isnan(mean_field(phi.name, 2.0, 2.0).rate), "its states grow without end"


@pytest.mark.usefixtures("own")
def test_a_critical_gain_is_found_or_there_is_a_reason_why_not():
    drive = 0.2
    gain = critical_gain("half_elu", drive)
    assert mean_field("half_elu", gain, drive).chi == pytest.approx(1, abs=1e-6)
    with pytest.raises(ValueError, match=r"no critical gain of silu .* its states do not grow"):
        critical_gain("silu", drive)


@dataclasses.dataclass(frozen=True)
class Antisymmetric(Gaussian):
    """W_hh = g (A − Aᵀ) / √(2n): eigenvalues on the imaginary axis."""

    name: ClassVar[str] = "antisymmetric"

    def draw(self, shapes, seed, cell=CELLS["rnn"]):
        """Draw all parameters."""
        del cell

        def recurrent(n, draw):
            A = torch.randn(n, n, generator=draw, dtype=torch.float64)
            return self.gain * (A - A.T) / math.sqrt(2 * n)

        return with_recurrent(recurrent, self.input_scale, shapes, seed)


def test_an_init_is_one_class(monkeypatch):
    monkeypatch.setitem(INITS._things, "antisymmetric", Antisymmetric)
    given = configuration() | {"init": {"name": "antisymmetric", "gain": 0.7}}

    run = run_from(given)
    [outcome] = train_runs([run])

    assert outcome.status == "finished"
    assert "init=antisymmetric" in run.command
    assert outcome.theory.because == "6 units: theory needs at least 16"


@dataclasses.dataclass(frozen=True)
class Shifted(Adding):
    """The adding problem with one more setting."""

    offset: float = number(0.0)
    name: ClassVar[str] = "shifted"


def test_a_task_is_one_class_with_its_own_settings(monkeypatch):
    monkeypatch.setitem(TASKS._things, "shifted", Shifted)

    run = run_from(configuration() | {"task": {"name": "shifted", "length": 9, "offset": 1}})

    assert run.settings()["task.offset"] == 1.0
    assert "-offset1-" in run.name
    assert train_runs([run])[0].status == "finished"
    with pytest.raises(SettingError, match=r"task\.ofset=2 .*\(did you mean task\.offset\?\)"):
        run_from(configuration() | {"task": {"name": "shifted", "ofset": 2}})


@dataclasses.dataclass(frozen=True)
class ShrinkingTraining(Training):
    """Training with one more remedy."""

    shrink: float = number(0.0, least=0)


class Shrink:
    """λ ‖W_hh‖² / 2, with gradient λ W_hh."""

    name: ClassVar[str] = "shrink"
    reads_states: ClassVar[bool] = False

    def weight(self, training):
        """Return λ."""
        return training.shrink if isinstance(training, ShrinkingTraining) else 0.0

    def refusals(self, network, training):
        """Yield nothing: it makes sense for all."""
        yield from ()

    def of_layer(self, layer, training):
        """Return the value and the gradient."""
        W = layer.weight_hh
        return PenaltyValue(0.5 * W.square().flatten(1).sum(-1), W)


def test_a_penalty_is_one_class_and_a_field_of_the_training(monkeypatch):
    monkeypatch.setitem(PENALTIES._things, "shrink", Shrink())
    plain, shrunk = (
        Run(
            Adding(5),
            Network(hidden_size=4, dtype="float64"),
            training=ShrinkingTraining(1, learning_rate=0.1, shrink=weight),
        )
        for weight in (0.0, 0.5)
    )

    before = Gaussian().draw({"weight_hh_l0": (4, 4), "readout.weight": (1, 4)}, 0)["weight_hh_l0"]
    one, other = train_runs([plain, shrunk])

    difference = one.weights["weight_hh_l0"] - other.weights["weight_hh_l0"]
    torch.testing.assert_close(difference, 0.1 * 0.5 * before)
    assert plain.digest != shrunk.digest


def test_an_optimiser_is_one_value(monkeypatch):
    def step(flat, gradient, memory, rate):
        memory["count"] += 1
        flat -= rate * gradient.sign()

    monkeypatch.setitem(OPTIMIZERS._things, "signs", Optimizer("signs", step, ("count",)))
    training = Training(3, optimizer="signs", learning_rate=0.25)
    run = Run(Adding(5), Network(hidden_size=4, dtype="float64"), training=training)

    [outcome] = train_runs([run])

    drawn = run.init.draw({"weight_hh_l0": (4, 4), "readout.weight": (1, 4)}, 0)["weight_hh_l0"]
    steps = (outcome.weights["weight_hh_l0"] - drawn) / 0.25
    torch.testing.assert_close(steps, steps.round())


def test_a_cell_is_one_class_and_its_kind(monkeypatch):
    """The plain recurrence under another word: nothing outside asks which cell it is."""
    kind = dataclasses.replace(
        CELLS["rnn"], name="twin", build=lambda activation, leak: Elman(activation)
    )
    monkeypatch.setitem(CELLS._things, "twin", kind)
    training, recording = Training(4, omega=0.3), Recording(1, exponents=2)
    usual, twin = (
        Run(
            Adding(9),
            Network(hidden_size=5, cell=cell, engine="scan"),
            training=training,
            recording=recording,
        )
        for cell in ("rnn", "twin")
    )

    one, other = (train_runs([run])[0] for run in (usual, twin))

    for table in ("updates", "gradients", "exponents"):
        for column, values in getattr(one, table).items():
            np.testing.assert_array_equal(values, getattr(other, table)[column])
    assert one.theory.prediction == other.theory.prediction
