"""The weights before training can be had again, and update 0 with them."""

import json

import pytest
import safetensors.torch
import torch

import rnn_exp
from rnn_exp.networks import Network
from rnn_exp.networks.inits import Critical, Gaussian, Orthogonal, TorchDefault
from rnn_exp.networks.network import ENGINES
from rnn_exp.networks.parameters import Parameters
from rnn_exp.storage.initial import FILE, OtherVersionsWarning, write_initial_weights
from rnn_exp.storage.writing import write
from rnn_exp.tasks import Adding, Memorization
from rnn_exp.training.batch import RunBatch
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training

KINDS = {
    "gaussian": Run(Adding(7), Network(hidden_size=5), Gaussian(), Training(4), seed=3),
    "lstm": Run(Memorization(9), Network(hidden_size=4, cell="lstm"), TorchDefault(), Training(3)),
    "critical": Run(Adding(12), Network(hidden_size=16), Critical(), Training(3), seed=1),
    "orthogonal": Run(
        Adding(7),
        Network(hidden_size=5, num_layers=2, parametrization="orthogonal", dtype="float64"),
        Orthogonal(),
        Training(3),
    ),
    "torch": Run(Adding(7), Network(hidden_size=5, engine="torch"), training=Training(2)),
}


def loss_of_update_0(run: Run, weights: dict[str, torch.Tensor]) -> float:
    """The loss of the first sequences, which the batch draws, by the run's engine."""
    batch = RunBatch([run], Parameters.stack([weights], run.network.torch_dtype))
    data = batch.draw()
    stacked = {name: tensor.unsqueeze(0) for name, tensor in weights.items()}
    found = ENGINES[run.network.engine].run(
        stacked, data.inputs, batch._objective(data), run.network, run.training.truncation
    )
    return float(found.loss)


@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_of_update_0_comes_again_bit_for_bit_from_the_file(tmp_path, kind):
    run = KINDS[kind]
    [outcome] = train_runs([run])
    write(tmp_path, outcome)

    weights = safetensors.torch.load_file(write_initial_weights(tmp_path))

    assert loss_of_update_0(run, weights) == outcome.updates["loss"][0]
    assert set(weights) == set(outcome.weights)
    assert not torch.equal(weights["weight_hh_l0"], outcome.weights["weight_hh_l0"])
    assert loss_of_update_0(run, outcome.weights) != outcome.updates["loss"][0]


def test_from_python_a_run_and_its_folder_give_the_same(tmp_path):
    run = KINDS["gaussian"]
    write(tmp_path, train_runs([run])[0])

    one, other = rnn_exp.initial_weights(run), rnn_exp.initial_weights(tmp_path)

    assert all(torch.equal(one[name], other[name]) for name in one)
    assert {path.name for path in tmp_path.iterdir()} & {FILE} == set()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"settings": {}}, "describes no run of this version"),
        ({"settings": []}, "describes no run of this version"),
        ({"digest": "0" * 16}, f"describes run {'0' * 16}, its settings are those of"),
    ],
)
def test_a_folder_that_describes_no_run_is_refused(tmp_path, change, why):
    write(tmp_path, train_runs([KINDS["gaussian"]])[0])
    path = tmp_path / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")

    with pytest.raises(ValueError, match=why):
        rnn_exp.initial_weights(tmp_path)


def test_a_folder_with_parts_of_ones_own_that_are_not_there_says_what_to_name(tmp_path):
    write(tmp_path, train_runs([KINDS["gaussian"]])[0])
    path = tmp_path / "run.json"
    said = json.loads(path.read_text("utf-8")) | {"sources": ["network.cell=mine mine.py 0123"]}
    path.write_text(json.dumps({**said, "settings": {**said["settings"], "network.cell": "mine"}}))

    with pytest.raises(ValueError, match=r"made with network.cell=mine mine.py; name these files"):
        rnn_exp.initial_weights(tmp_path)


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"NaN"])
def test_a_run_json_that_cannot_be_read_is_named_with_its_folder(tmp_path, content):
    (tmp_path / "run.json").write_bytes(content)

    with pytest.raises(OSError, match=rf"^{tmp_path}/run.json cannot be read: "):
        rnn_exp.initial_weights(tmp_path)


def test_a_folder_of_other_versions_is_warned_of(tmp_path):
    write(tmp_path, train_runs([KINDS["gaussian"]])[0])
    path = tmp_path / "run.json"
    other = json.loads(path.read_text("utf-8")) | {"versions": {"torch": "1.0"}}
    path.write_text(json.dumps(other), "utf-8")

    with pytest.warns(OtherVersionsWarning, match="made with other versions"):
        rnn_exp.initial_weights(tmp_path)
