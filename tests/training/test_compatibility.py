"""Settings that make no sense together are refused when a run is made, in a line that says why."""

import pytest

from rnn_exp.fields import SettingError
from rnn_exp.networks.inits import (
    Chrono,
    Critical,
    ForgetBias,
    Gaussian,
    Identity,
    Orthogonal,
    Pascanu,
    SpectralRadius,
    TorchDefault,
    Unit,
)
from rnn_exp.networks.network import Network
from rnn_exp.tasks import Adding, Copy, Hold, Memorization, TemporalOrder
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training

GRU, LSTM = Network(cell="gru"), Network(cell="lstm")
LEAKY, NORMED = Network(cell="leaky", leak=0.5), Network(cell="normed")
RESIDUAL = Network(cell="residual", leak=0.1)
STAYING = Network(parametrization="orthogonal")
ONE = Network(hidden_size=1)
WINDOWS = {"truncate_every": 3, "truncate_back": 5}

REFUSED = [
    *(
        ({"init": init, "network": network}, f"init={init.name}", "has no gate that forgets")
        for init in (ForgetBias(), Chrono())
        for network in (Network(), LEAKY, NORMED)
    ),
    *(
        ({"init": Pascanu(), "network": network}, "init=pascanu", "networks have no gates")
        for network in (GRU, LSTM)
    ),
    *(
        (
            {"init": Critical(), "network": network},
            "init=critical",
            "another init with network.cell=" + network.cell + ": " + network.kind.no_edge,
        )
        for network in (RESIDUAL, NORMED)
    ),
    *(
        (
            {"init": init, "network": Network(hidden_size=1, cell=cell, bias=False)},
            "network.bias=false",
            f"true with init={init.name}, which sets biases",
        )
        for init, cell in ((ForgetBias(), "lstm"), (Chrono(), "gru"), (Unit(), "rnn"))
    ),
    (
        {"init": Unit(readout_scale=0.5), "network": ONE},
        "init.readout_scale=0.5",
        "1.0 with init=unit, whose output is the state itself",
    ),
    ({"init": Critical(), "network": ONE}, "network.hidden_size=1", "more than 1"),
    ({"init": Unit()}, "network.hidden_size=128", "allowed is 1 (and network.num_layers=1)"),
    (
        {"init": Unit(), "network": Network(hidden_size=1, num_layers=2)},
        "network.hidden_size=1",
        "and network.num_layers=1",
    ),
    (
        {"init": Unit(), "network": Network(hidden_size=1, cell="gru")},
        "init=unit",
        "another init unless network.cell=rnn",
    ),
    (
        {"init": Unit(), "network": ONE, "task": TemporalOrder()},
        "init=unit",
        "the task has one output",
    ),
    *(
        (
            {"init": init, "network": STAYING},
            "network.parametrization=orthogonal",
            f"free with init={init.name}: ",
        )
        for init in (Gaussian(), TorchDefault(), SpectralRadius(), Critical(), Pascanu())
    ),
    *(
        (
            {"network": network, "training": Training(omega=1.0)},
            "training.omega=1.0",
            f"0 with network.cell={network.cell}: Ω is written for ",
        )
        for network in (GRU, LSTM, LEAKY, NORMED)
    ),
    *(
        (
            {"network": network, "training": Training(orthogonality=1.0)},
            "training.orthogonality=1.0",
            "its W_hh is a stack of gates",
        )
        for network in (GRU, LSTM)
    ),
    (
        {"network": STAYING, "init": Orthogonal(), "training": Training(orthogonality=1.0)},
        "training.orthogonality=1.0",
        "which needs no penalty",
    ),
    *(
        (
            {"task": Adding(50, convention), "training": Training(loss_at="every")},
            "training.loss_at=every",
            "are of several lengths",
        )
        for convention in ("pascanu", "hochreiter")
    ),
    *(
        (
            {"task": task, "training": Training(loss_at="every")},
            "training.loss_at=every",
            f"task={task.name} has an answer at every time step already",
        )
        for task in (Memorization(), Copy())
    ),
    (
        {"network": Network(engine="torch"), "training": Training(**WINDOWS)},
        "training.truncate_every=3",
        "null with network.engine=torch",
    ),
    (
        {"task": Adding(2), "init": Chrono(), "network": GRU},
        "task.length=2",
        "or give init.longest",
    ),
]


@pytest.mark.parametrize(("parts", "what", "why"), REFUSED)
def test_settings_that_exclude_each_other_are_refused_with_the_reason(parts, what, why):
    with pytest.raises(SettingError) as refused:
        Run(**parts)

    told = str(refused.value)
    assert told.startswith(f"{what} is not possible: allowed is ")
    assert why in told
    assert "\n" not in told


ALLOWED = [
    {"init": ForgetBias(), "network": GRU},
    {"init": Chrono(), "network": LSTM},
    {"init": Chrono(longest=9), "network": GRU, "task": Adding(2)},
    {"init": Pascanu(), "network": LEAKY},
    {"init": Critical()},
    {"init": Unit(), "network": ONE, "task": Hold()},
    {"init": Unit(), "network": ONE},
    {"init": Orthogonal(0.5), "network": STAYING},
    {"init": Identity(), "network": STAYING},
    {"training": Training(omega=1.0, orthogonality=1.0)},
    {"network": LEAKY, "training": Training(orthogonality=1.0)},
    {"task": TemporalOrder(), "training": Training(loss_at="every")},
    {"training": Training(**WINDOWS)},
    {"network": Network(engine="torch")},
    {"task": Memorization(), "network": Network(engine="torch"), "training": Training(omega=1.0)},
]


@pytest.mark.parametrize("parts", ALLOWED)
def test_whatever_has_a_meaning_is_allowed(parts):
    run = Run(**parts)
    assert run.name.endswith(run.digest[:8])
    assert run.command.startswith("rnn-exp")


ALONE = [
    (Network, {"cell": "lstm", "activation": "relu"}, "activation=relu", "tanh with cell=lstm"),
    (Network, {"cell": "gru", "activation": "sigmoid"}, "activation=sigmoid", "tanh with cell=gru"),
    *(
        (Network, {"cell": cell}, "leak=null", f"at most 1 with cell={cell}")
        for cell in ("leaky", "residual")
    ),
    *(
        (Network, {"cell": cell, "leak": 1.5}, "leak=1.5", f"at most 1 with cell={cell}")
        for cell in ("leaky", "residual")
    ),
    *(
        (Network, {"cell": cell, "leak": 0.5}, "leak=0.5", f"null with cell={cell}")
        for cell in ("rnn", "normed", "gru", "lstm")
    ),
    *(
        (
            Network,
            {"cell": cell, "parametrization": "orthogonal"},
            "parametrization=orthogonal",
            "a stack of gates",
        )
        for cell in ("gru", "lstm")
    ),
    (
        Network,
        {"engine": "torch", "activation": "identity"},
        "activation=identity",
        "use engine=scan",
    ),
    *(
        (
            Network,
            {"engine": "torch", "cell": cell, "leak": leak},
            f"cell={cell}",
            "rnn, gru, lstm with engine=torch",
        )
        for cell, leak in (("leaky", 0.5), ("residual", 1.0), ("normed", None))
    ),
    (
        Training,
        {"truncate_every": 3},
        "truncate_back=null",
        "truncate_every and truncate_back is given",
    ),
    (
        Training,
        {"truncate_back": 3},
        "truncate_every=null",
        "truncate_every and truncate_back is given",
    ),
    (
        Training,
        {"truncate_every": 5, "truncate_back": 4},
        "truncate_back=4",
        "at least truncate_every=5",
    ),
]


@pytest.mark.parametrize(("kind", "values", "what", "why"), ALONE)
def test_settings_of_one_group_that_exclude_each_other_are_refused(kind, values, what, why):
    with pytest.raises(SettingError) as refused:
        kind(**values)

    told = str(refused.value)
    assert told.startswith(f"{what} is not possible: allowed is ")
    assert why in told
    assert "\n" not in told
