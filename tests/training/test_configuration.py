"""Configuration: nested plain values become a run, and every refusal names its key."""

import copy
import math
from concurrent.futures import ProcessPoolExecutor

import pytest
import torch

from rnn_exp.fields import SettingError, as_typed
from rnn_exp.networks import CELLS, Network
from rnn_exp.networks.inits import INITS, Gaussian, Identity, TorchDefault
from rnn_exp.tasks import TASKS, Adding, TemporalOrder
from rnn_exp.training.devices import resolve_auto, torch_device
from rnn_exp.training.planning import chunks
from rnn_exp.training.run import Run, run_from
from tests._hydra.test_conf import NETWORKS
from tests.forks import forks
from tests.task_files import needs

USUAL = {
    "task": {"name": "adding", "length": 30},
    "init": {"name": "gaussian", "gain": 0.8, "input_scale": 1.0},
    "network": {
        "cell": "rnn",
        "activation": "tanh",
        "hidden_size": 128,
        "num_layers": 1,
        "leak": None,
        "initial_state": 0.0,
        "parametrization": "free",
        "engine": "auto",
        "dtype": "float32",
    },
    "training": {
        "updates": 300,
        "batch_size": 16,
        "optimizer": "sgd",
        "learning_rate": 0.01,
        "clip_norm": None,
        "clip_value": None,
        "loss_at": "task",
        "omega": 0.0,
        "omega_form": "squared",
        "orthogonality": 0.0,
        "truncate_every": None,
        "truncate_back": None,
    },
    "recording": {"every": 10},
    "seed": 0,
    "device": "cpu",
}


def changed(key: str, value: object) -> dict:
    """The usual configuration with one value changed."""
    config = copy.deepcopy(USUAL)
    *groups, name = key.split(".")
    part = config
    for group in groups:
        part = part[group]
    part[name] = value
    return config


def refusal(config: dict) -> str:
    """The message with which a configuration is refused, or that it is not."""
    try:
        return f"not refused: {run_from(config)}"
    except SettingError as error:
        return str(error)


@pytest.fixture(scope="module")
def refused():
    """`refusal` in a process without the tests' type checker, which would speak up first."""
    with ProcessPoolExecutor(1, mp_context=forks()) as pool:
        yield lambda config: pool.submit(refusal, config).result()


def test_the_usual_configuration_is_the_default_run():
    assert run_from(USUAL) == Run()


def test_every_value_reaches_its_place():
    for key, value in {
        "task.length": 7,
        "init.gain": 0.25,
        "init.input_scale": 3.0,
        "network.activation": "relu",
        "network.hidden_size": 5,
        "network.num_layers": 3,
        "network.engine": "torch",
        "network.dtype": "float64",
        "training.updates": 9,
        "training.batch_size": 2,
        "training.optimizer": "adam",
        "training.learning_rate": 1e-5,
        "training.clip_norm": 0.1,
        "training.clip_value": 0.2,
        "training.loss_at": "every",
        "training.omega": 2.0,
        "training.omega_form": "ratio",
        "training.orthogonality": 0.5,
        "network.initial_state": 0.5,
        "network.cell": "normed",
        "recording.every": 4,
        "seed": 12,
    }.items():
        run = run_from(changed(key, value))

        engine = {"network.engine": "scan"} if value == "normed" else {}  # it has no kernel
        assert run.settings() == Run().settings() | {key: value} | engine
        assert run.digest != Run().digest


@pytest.mark.parametrize("name", TASKS)
def test_the_name_of_a_task_chooses_its_class(name):
    given = {"name": name, "length": 64} | needs(name)  # 64: the only one of digits
    run = run_from(changed("task", given))

    assert type(run.task) is TASKS[name]
    assert run.task.length == 64


@pytest.mark.parametrize("name", INITS)
def test_the_name_of_an_init_chooses_its_class(name):
    config = changed("init", {"name": name})
    if name in NETWORKS:
        key, value = NETWORKS[name]
        config["network"][key] = value

    run = run_from(config)

    assert type(run.init) is INITS[name]


COUNTS = [
    "network.hidden_size",
    "network.num_layers",
    "training.updates",
    "training.batch_size",
    "recording.every",
]
WORDS = {
    "network.activation": "tanh, sigmoid, relu, identity, softsign, hard_tanh, "
    "leaky_relu, elu, gelu",
    "network.cell": "rnn, leaky, residual, normed, gru, lstm",
    "network.parametrization": "free, orthogonal",
    "network.engine": "auto, kernel, scan, torch",
    "network.dtype": "float32, float64",
    "training.optimizer": "sgd, adam, rmsprop",
    "training.schedule": "constant, step, cosine",
    "training.loss_at": "task, every",
    "training.omega_form": "ratio, squared",
    "task.name": "temporal_order, adding, multiplication, permutation, memorization, copy, latch, "
    "digits, images, series, noise, hold",
    "init.name": "gaussian, uniform, torch, orthogonal, identity, spectral_radius, critical, "
    "pascanu, unit, forget_bias, chrono",
}
REFUSALS = [
    *(
        (key, value, "a whole number of at least 1")
        for key in COUNTS
        for value in (0, -1, 1.0, 1.5, True, "3", None, math.nan)
    ),
    *(("seed", value, "a whole number of at least 0") for value in (-1, 0.0, True, "0", None)),
    *(("task.length", value, "a whole number of at least 2") for value in (1, 2.5, False, None)),
    *(
        (key, value, "a number of at least 0")
        for key in ("init.gain", "init.input_scale")
        for value in (-0.1, math.nan, math.inf, True, "1", None)
    ),
    *(
        ("training.learning_rate", value, "a number above 0")
        for value in (0, -1.0, math.nan, math.inf, True, "x", None)
    ),
    *(
        (key, value, "a number above 0 or null")
        for key in ("training.clip_norm", "training.clip_value", "network.leak")
        for value in (0, -1.0, math.nan, math.inf, True, "x")
    ),
    *(
        (key, value, "a number of at least 0")
        for key in ("training.omega", "training.orthogonality")
        for value in (-0.1, math.nan, math.inf, True, "1", None)
    ),
    *(("network.initial_state", value, "a number") for value in (math.nan, math.inf, "x", None)),
    *(
        (key, value, "a whole number of at least 1 or null")
        for key in ("training.truncate_every", "training.truncate_back")
        for value in (0, -1, 1.5, True, "3")
    ),
    *((key, value, f"one of {words}") for key, words in WORDS.items() for value in ("?", None, 1)),
]


@pytest.mark.parametrize(("key", "value", "allowed"), REFUSALS)
def test_a_wrong_value_is_refused_with_its_full_key_and_what_is_allowed(
    refused, key, value, allowed
):
    told = refused(changed(key, value))

    shown = repr(value) if str(value).isdigit() and isinstance(value, str) else as_typed(value)
    assert told == f"{key}={shown} is not possible: allowed is {allowed}"


@pytest.mark.parametrize(
    ("key", "near"),
    [
        ("network.hiden_size", "network.hidden_size"),
        ("training.lr_rate", "training.learning_rate"),
        ("init.gian", "init.gain"),
        ("task.lenght", "task.length"),
        ("recording.evry", "recording.every"),
        ("sead", "seed"),
        ("trainin", "training"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(key, near):
    group = key.rpartition(".")[0]

    with pytest.raises(SettingError) as refused:
        run_from(changed(key, 3))

    assert str(refused.value).startswith(f"{key}=3 is not possible: allowed is one of {group}")
    assert str(refused.value).endswith(f" (did you mean {near}?)")


def test_a_wrong_word_is_refused_with_the_nearest():
    with pytest.raises(SettingError, match=r"network\.activation=sigmod .*mean sigmoid\?\)$"):
        run_from(changed("network.activation", "sigmod"))
    with pytest.raises(SettingError, match=r"task\.name=temporal-order .*mean temporal_order\?\)$"):
        run_from(changed("task.name", "temporal-order"))


def test_a_key_of_another_member_of_the_group_is_refused():
    with pytest.raises(
        SettingError, match=r"^init\.gain=2 .* is one of init\.readout_scale with init=torch$"
    ):
        run_from(changed("init", {"name": "torch", "gain": 2}))


@pytest.mark.parametrize("group", ["task", "init", "network", "training", "recording"])
@pytest.mark.parametrize("value", [None, 3, "adding", ["adding"]])
def test_a_group_that_is_no_group_is_refused(group, value):
    with pytest.raises(SettingError) as refused:
        run_from(changed(group, value))

    assert str(refused.value) == (
        f"{group}={as_typed(value)} is not possible: allowed is a group of settings"
    )


@pytest.mark.parametrize("group", ["task", "init", "network", "training", "recording"])
def test_a_missing_group_is_refused(group):
    config = {key: value for key, value in USUAL.items() if key != group}

    with pytest.raises(SettingError, match=f"^{group}=null is not possible"):
        run_from(config)


def test_a_missing_seed_is_refused(refused):
    told = refused({key: value for key, value in USUAL.items() if key != "seed"})

    assert told == "seed=null is not possible: allowed is a whole number of at least 0"


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "cpu ", None, "", 0])
def test_a_word_that_is_no_device_is_refused(device):
    with pytest.raises(SettingError) as refused:
        run_from(changed("device", device))

    assert str(refused.value) == (
        f"device={as_typed(device)} is not possible: "
        "allowed is one of cpu, auto, cuda, cuda:0, cuda:1, …"
    )


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:3"])
def test_a_run_for_a_gpu_can_be_planned_where_there_is_none(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    run = run_from(changed("device", device))

    assert run.device == device
    assert chunks([run], processes=4) == [[run]]


def test_the_device_auto_is_decided_where_the_run_trains(monkeypatch):
    for there, used in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        monkeypatch.setattr(torch.cuda, "device_count", lambda there=there: int(there))
        assert str(torch_device("auto")) == resolve_auto("auto") == used


def test_the_device_does_not_change_the_digest(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)

    on_gpu = run_from(changed("device", "cuda"))
    assert on_gpu.network.engine == "scan"  # kernels are of the processor
    assert on_gpu.digest == Run(network=Network(engine="scan")).digest


def test_a_kernel_on_a_gpu_is_refused():
    with pytest.raises(SettingError, match="scan with device=cuda: kernels are of the processor"):
        Run(network=Network(engine="kernel"), device="cuda")


def test_auto_is_the_kernel_where_there_is_one():
    found = {
        (cell, phi): Run(
            network=Network(phi, cell=cell, leak=0.5 if CELLS[cell].has_leak else None)
        ).network.engine
        for cell in CELLS
        for phi in (["tanh"] if CELLS[cell].only_activation else ["tanh", "sigmoid", "gelu"])
    }
    kernels = {key for key, engine in found.items() if engine == "kernel"}
    assert kernels == {
        *((cell, phi) for cell in ("rnn", "leaky", "residual") for phi in ("tanh", "sigmoid")),
        *((cell, "tanh") for cell in ("gru", "lstm")),
    }


def test_the_configuration_is_left_as_it_was():
    config = copy.deepcopy(USUAL)

    run_from(config)

    assert config == USUAL


def test_one_and_one_point_zero_are_the_same_run():
    assert run_from(changed("init.gain", 1)).digest == run_from(changed("init.gain", 1.0)).digest
    assert run_from(changed("training.learning_rate", 1)).digest == (
        run_from(changed("training.learning_rate", 1.0)).digest
    )
    assert run_from(changed("init.gain", -0.0)).digest == (run_from(changed("init.gain", 0)).digest)


def test_the_name_is_readable_and_ends_with_the_digest():
    run = Run(task=TemporalOrder(30), init=Identity(gain=0.5), seed=4)
    assert run.name == f"temporal_order-T30-tanh-identity0.5-seed4-{run.digest[:8]}"

    plain = Run(task=Adding(9), init=TorchDefault())
    assert plain.name == f"adding-T9-tanh-torch-seed0-{plain.digest[:8]}"


def test_gains_that_print_alike_have_different_folders():
    a, b = (Run(init=Gaussian(gain=gain)) for gain in (0.3, 0.1 + 0.2))

    assert a.name.rpartition("-")[0] == b.name.rpartition("-")[0]
    assert a.name != b.name
