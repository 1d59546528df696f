"""A run that is already there is known without torch, and only where nothing is unclear."""

import json
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from rnn_exp._hydra.quick import settings_of_files
from rnn_exp._hydra.there import known_to_be_there
from rnn_exp.networks import Network
from rnn_exp.storage.writing import write
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training
from tests.sealing import write_sealed

PLACE = "outputs/single/${rnn_exp.run_name:outputs/single}"
RUN = Run(network=Network(hidden_size=4), training=Training(updates=1, learning_rate=1.0))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder of a run that is done, where the command looks for it."""
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "outputs" / "single" / RUN.name
    place.mkdir(parents=True)
    write(place, train_runs([RUN])[0])
    return place


def config(place=PLACE, **typed):
    """What Hydra composes of a command line that asks for this run."""
    settings, _ = settings_of_files({})
    made = OmegaConf.create({**settings, "study": None, "hydra": {"run": {"dir": place}}})
    words = {"network.hidden_size": 4, "training.updates": 1, "training.learning_rate": 1} | typed
    for key, value in words.items():
        OmegaConf.update(made, key, value, force_add=True)
    return made


def known(**typed):
    found = known_to_be_there(config(**typed))
    return found and found.name


def test_a_run_whose_settings_are_typed_again_is_known_in_any_folder(folder):
    assert known() == RUN.name
    assert known(**{"place": str(folder)}) == RUN.name
    assert known(**{"objective": "final_error", "page.question": "?"}) == RUN.name


def test_the_command_says_so_without_torch(folder):
    program = """
import contextlib, sys
from rnn_exp.app import main
with contextlib.suppress(SystemExit):
    main()
print([name for name in ("torch", "pandas") if name in sys.modules])
"""
    words = ["network.hidden_size=4", "training.updates=1", "training.learning_rate=1"]
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    *_, there, _, imported = done.stdout.splitlines()
    assert there == "This run is already there; to train it again, remove its folder."
    assert imported == "[]"


@pytest.mark.parametrize(
    "typed",
    [
        {"seed": 1},
        {"init.gain": 0.7},
        {"training.updates": 1.0},
        {"network.bias": 1},
        {"network.mine": None},
        {"device": "auto"},
        {"note": "a note"},
        {"tags": ["mine"]},
        {"use": ["mine.py"]},
        {"hydra.launcher.checkpoint_seconds": -1},
        {"place": "outputs/${now:%Y}"},
        {"place": "outputs/nowhere"},
    ],
    ids=str,
)
def test_a_command_that_says_anything_else_is_looked_at_in_full(folder, typed):
    assert known(**typed) is None


@pytest.mark.parametrize("file", ["updates.parquet", "weights.safetensors", "run.json"])
def test_results_that_were_changed_are_not_known(folder, file):
    content = (folder / file).read_bytes()
    assert known() == RUN.name
    (folder / file).write_bytes(content.replace(b"vanishing", b"exploding", 1) + b" ")
    assert known() is None


@pytest.mark.parametrize("said", [{"status": "running"}, {"sources": ["cell mine.py"]}])
def test_a_run_that_is_not_done_or_has_parts_of_a_user_is_not_known(folder, said):
    write_sealed(folder, json.loads((folder / "run.json").read_text(encoding="utf-8")) | said)
    assert known() is None


def test_where_two_folders_hold_the_run_nothing_is_known(folder):
    other = folder.with_name("other")
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    assert known() is None
