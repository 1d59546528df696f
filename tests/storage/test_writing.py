"""Storage: files appear whole or not at all, and nothing on disk is code."""

import errno
import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import rnn_exp
from rnn_exp.networks.gradients import torch_engine
from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.network import Network
from rnn_exp.networks.readout import Objective
from rnn_exp.profiles import RULE
from rnn_exp.storage import files, parts
from rnn_exp.storage.verifying import verify
from rnn_exp.storage.writing import is_done, put_damaged_aside, write, write_status
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.outcome import Outcome
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from tests.modules import from_torch, to_torch
from tests.sealing import write_sealed

FILES = ["gradients.parquet", "run.json", "updates.parquet", "weights.safetensors"]


def small(**changes) -> Run:
    """A run that takes no time."""
    usual = {"task": Adding(10), "network": Network(hidden_size=4), "training": Training(updates=3)}
    return Run(**usual | changes)


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    return train_runs([small()])[0]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_is_written_whole_and_is_then_done(tmp_path, outcome):
    assert not is_done(tmp_path, outcome.run)

    write(tmp_path, outcome)

    assert names(tmp_path) == FILES
    assert is_done(tmp_path, outcome.run)


def test_the_same_outcome_gives_the_same_bytes(tmp_path, outcome):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, train_runs([outcome.run])[0])

    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize("broken", ["updates", "gradients", "weights", "run"])
def test_a_full_disk_leaves_no_run_json_that_says_finished(tmp_path, monkeypatch, outcome, broken):
    write_status(tmp_path, outcome.run, "running")
    replace = files.replace_file

    def full(path, fill):
        if path.name.startswith(broken):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        replace(path, fill)

    for module in (files, parts):  # files: for what is written as bytes
        monkeypatch.setattr(module, "replace_file", full)

    with pytest.raises(OSError, match="No space left on device"):
        write(tmp_path, outcome)

    assert json.loads((tmp_path / "run.json").read_text())["status"] == "running"
    assert not is_done(tmp_path, outcome.run)
    assert not [name for name in names(tmp_path) if "part" in name]


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_status_without_results_is_not_done(tmp_path, status, outcome):
    write(tmp_path, outcome)

    write_status(tmp_path, outcome.run, status, failure="why")

    found = json.loads((tmp_path / "run.json").read_text())
    assert (found["status"], found["failure"]) == (status, "why")
    assert "verdict" not in found
    assert not is_done(tmp_path, outcome.run)


@pytest.mark.parametrize("status", ["finished", "solved", "diverged"])
def test_every_end_is_done(tmp_path, status, outcome):
    write(tmp_path, outcome)
    said = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    write_sealed(tmp_path, said | {"status": status})

    assert is_done(tmp_path, outcome.run)


@pytest.mark.parametrize("table", ["updates.parquet", "gradients.parquet"])
def test_a_run_that_lost_a_table_is_not_done(tmp_path, table, outcome):
    write(tmp_path, outcome)
    (tmp_path / table).unlink()

    assert not is_done(tmp_path, outcome.run)


def test_another_run_in_the_folder_is_refused(tmp_path, outcome):
    write(tmp_path, outcome)

    with pytest.raises(FileExistsError, match=f"holds another run .{outcome.run.name}.; choose"):
        is_done(tmp_path, small(seed=1))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"x"', b"\xff\xfe", b"[" * 10**5])
def test_a_run_with_a_run_json_that_cannot_be_read_is_not_done_and_is_put_aside(
    tmp_path, content, outcome
):
    write(tmp_path, outcome)
    before = {name: (tmp_path / name).read_bytes() for name in FILES}
    (tmp_path / "run.json").write_bytes(content)

    assert not is_done(tmp_path, outcome.run)
    aside = put_damaged_aside(tmp_path, outcome.run)

    assert names(tmp_path) == ["aside-1"]
    assert names(aside) == FILES
    assert {name: (aside / name).read_bytes() for name in FILES} == before | {"run.json": content}


@pytest.mark.parametrize("name", FILES)
def test_a_run_with_one_changed_bit_in_any_file_is_not_done_and_is_put_aside(
    tmp_path, name, outcome
):
    write(tmp_path, outcome)
    content = bytearray((tmp_path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / name).write_bytes(content)

    assert not is_done(tmp_path, outcome.run)
    assert put_damaged_aside(tmp_path, outcome.run) == tmp_path / "aside-1"
    write(tmp_path, outcome)
    assert put_damaged_aside(tmp_path, outcome.run) is None
    assert is_done(tmp_path, outcome.run)


def test_run_json_is_plain_json_without_nan(tmp_path):
    dead = train_runs([small(network=Network("relu", 4), init=Gaussian(gain=0.0))])[0]
    wild = train_runs([small(network=Network("relu", 4), init=Gaussian(gain=1e30))])[0]
    assert math.isnan(wild.first.summary.rate)  # so there is something that JSON does not know

    for outcome in (dead, wild):
        write(tmp_path, outcome)

        text = (tmp_path / "run.json").read_text(encoding="utf-8")
        found = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
        assert found["status"] == outcome.status
    assert found["decay_rate"] is None
    assert found["half_life"] is None
    assert found["diverged"] == wild.divergence._asdict()


def test_run_json_has_every_setting_and_the_verdict_rule(tmp_path, outcome):
    write(tmp_path, outcome)

    found = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))

    assert found["settings"] == outcome.run.settings()
    assert found["digest"] == outcome.run.digest
    assert found["decay_rate"] == outcome.first.summary.rate
    assert found["final"]["decay_rate"] == outcome.last.summary.rate
    assert found["prediction"]["decay_rate"] == outcome.theory.rate
    assert found["chance"] == {
        "loss": outcome.run.task.chance_loss,
        "error": outcome.run.task.chance_error,
    }
    assert found["verdict_rule"] == RULE
    assert found["versions"]["torch"] == torch.__version__


@given(
    values=arrays.arrays(
        np.float64, st.integers(1, 12), elements=st.floats(allow_nan=True, allow_infinity=True)
    )
)
def test_every_float_survives_the_disk_with_infinities_and_nan(tmp_path_factory, values):
    folder = tmp_path_factory.mktemp("floats")
    base = _outcome_once()
    count, length = len(values), base.run.task.length
    updates = {name: np.resize(column, count) for name, column in base.updates.items()}
    table = {name: np.resize(column, count * length) for name, column in base.gradients.items()}
    table["log10_total"] = np.repeat(values, length)
    changed = Outcome(**vars(base) | {"updates": updates, "gradients": table})

    write(folder, changed)

    found = rnn_exp.load(folder).gradients["log10_total"].to_numpy()[::length]
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(values))


_ONCE: list[Outcome] = []


def _outcome_once() -> Outcome:
    if not _ONCE:
        many = small(training=Training(updates=12), recording=Recording(every=1))
        _ONCE.append(train_runs([many])[0])
    return _ONCE[0]


def test_infinite_and_undefined_norms_of_a_diverged_run_survive(tmp_path):
    wild = train_runs([small(network=Network("relu", 4), init=Gaussian(gain=1e30))])[0]
    total = wild.gradients["log10_total"]
    assert not np.isfinite(total).all()

    write(tmp_path, wild)

    found = rnn_exp.load(tmp_path).gradients
    np.testing.assert_array_equal(found["log10_total"].to_numpy(), total)
    assert found["status"].tolist() == wild.gradients["status"].tolist()
    assert found["log10_direct"].eq(-math.inf).any()


@pytest.mark.parametrize("activation", ["tanh", "sigmoid", "relu"])
def test_the_weights_on_disk_are_those_of_a_torch_rnn(tmp_path, activation):
    network = Network(activation, 4, num_layers=2)
    outcome = train_runs([small(network=network)])[0]
    write(tmp_path, outcome)

    weights = safetensors.torch.load_file(tmp_path / "weights.safetensors")

    assert {name: value.shape for name, value in weights.items()} == {
        name: value.shape for name, value in outcome.weights.items()
    }
    assert all(torch.equal(weights[name], value) for name, value in outcome.weights.items())
    x = outcome.run.task.draw(5, torch.Generator().manual_seed(0)).inputs
    module = to_torch(weights, network)
    start = torch.full((2, 5, 4), -1.0 if activation == "sigmoid" else 0.0)
    states = module(x, start)[0].detach()
    states = (1 + states) / 2 if activation == "sigmoid" else states
    own = (
        torch_engine(
            {name: value.unsqueeze(0) for name, value in weights.items()},
            x.unsqueeze(1),
            Objective(lambda outputs: outputs.sum((1, 2, 3))),
            network,
        )
        .states[-1]
        .reshape(states.shape)
    )
    torch.testing.assert_close(states, own)
    if activation != "sigmoid":
        _, again = from_torch(module)
        assert all(torch.equal(again[name], weights[name]) for name in again)


def test_the_tables_are_plain_parquet_that_pandas_reads(tmp_path, outcome):
    write(tmp_path, outcome)

    updates = pd.read_parquet(tmp_path / "updates.parquet")
    gradients = pd.read_parquet(tmp_path / "gradients.parquet")

    for found, written in ((updates, outcome.updates), (gradients, outcome.gradients)):
        assert list(found) == list(written)
        for name, values in written.items():
            np.testing.assert_array_equal(found[name].to_numpy(), values)
    assert updates["clipped"].dtype == bool


def test_no_source_file_unpickles_anything_and_one_alone_runs_the_files_of_users():
    sources = list(Path(rnn_exp.__file__).parent.rglob("*.py"))

    assert len(sources) > 20
    for path in sources:
        text = path.read_text(encoding="utf-8")
        code = [line for line in text.splitlines() if "import" in line or "(" in line]
        for word in (
            "import pickle",
            "from pickle",
            "torch.load(",
            "read_pickle",
            "joblib",
            "cloudpickle",
            "allow_pickle=True",
            "eval(",
            *(["exec("] if path.parts[-2:] != ("registry", "loading.py") else []),
        ):
            assert not any(_calls(line, word) for line in code), f"{word} in {path}"


def _calls(line: str, word: str) -> bool:
    """Whether the word stands in the line and is not the end of a longer one, as in a.eval(."""
    before, found, _ = line.partition(word)
    return bool(found) and not before[-1:].isidentifier()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["pipe", "folder"])
def test_a_run_json_that_is_no_file_is_not_waited_for(tmp_path, outcome, make):
    make(tmp_path / "run.json")

    assert not is_done(tmp_path, outcome.run)
    [verified] = verify(tmp_path)
    assert list(verified.bad) == [tmp_path / "run.json"]
    assert len(rnn_exp.load(tmp_path).broken) == 1
    assert put_damaged_aside(tmp_path, outcome.run) == tmp_path / "aside-1"


@pytest.mark.parametrize("name", ["../x", "/etc/hosts", "a\0b"])
def test_a_name_that_leads_out_of_the_folder_is_not_looked_at(tmp_path, outcome, name):
    write(tmp_path, outcome)
    said = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))
    write_sealed(tmp_path, said | {"files": said["files"] | {name: {"bytes": 1, "sha256": ""}}})

    [verified] = verify(tmp_path)

    assert list(verified.bad.values()) == ["no file of the run"]
