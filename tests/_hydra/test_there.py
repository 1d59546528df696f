"""What is already there is known without torch, and only where nothing is unclear."""

import json
import subprocess
import sys

import pytest
from omegaconf import OmegaConf

from rnn_exp._hydra.quick import settings_of_files
from rnn_exp._hydra.there import known_to_be_there, sweep_known_to_be_there
from rnn_exp.networks import INITS, Network
from rnn_exp.schema import filled_in
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


def command(*words):
    """The lines that the command prints in a process of its own, and which modules that has."""
    program = """
import contextlib, sys
from rnn_exp.app import main
with contextlib.suppress(SystemExit):
    main()
print([name for name in ("torch", "numba", "pandas", "pyarrow") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=True
    )
    *lines, imported = done.stdout.splitlines()
    return lines, imported


WORDS = ("network.hidden_size=4", "training.updates=1", "training.learning_rate=1")


def test_the_command_says_so_without_torch(folder):
    [*_, there, _], imported = command(*WORDS)
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


RUNS = [Run(network=RUN.network, training=RUN.training, seed=seed) for seed in (0, 1)]
SWEEP = ("-m", *WORDS, "seed=0,1", "hydra.sweep.dir=swept")


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    """The folder of a sweep whose runs are done."""
    monkeypatch.chdir(tmp_path)
    for run, outcome in zip(RUNS, train_runs(RUNS), strict=True):
        place = tmp_path / "swept" / run.name
        place.mkdir(parents=True)
        write(place, outcome)
    return tmp_path / "swept"


def known_runs(folder, seeds=(0, 1), launcher=None, **typed):
    """The names of the folders of a sweep over seeds that are known; None: they are not."""
    launcher = {"backend": "processes", "processes": None, "address": None} | (launcher or {})
    whole = config(**typed)
    OmegaConf.update(whole, "hydra.sweep", {"dir": str(folder)}, force_add=True)
    OmegaConf.update(whole, "hydra.launcher", launcher, force_add=True)
    settings = OmegaConf.to_container(whole)
    jobs = [settings | {"seed": seed} for seed in seeds]
    found = sweep_known_to_be_there(whole, jobs, len(jobs))
    return found and [place.name for place in found]


def test_a_sweep_that_is_whole_is_known_in_the_order_of_its_jobs(sweep):
    names = [run.name for run in RUNS]
    assert known_runs(sweep) == names
    assert known_runs(sweep, seeds=(1, 0), launcher={"processes": 1}) == names[::-1]
    assert known_runs(sweep, seeds=(1,)) == names[1:]


def test_the_command_says_of_a_sweep_without_torch_that_it_is_there(sweep):
    lines, imported = command(*SWEEP)
    assert lines[:2] == [
        "2 runs: 0 done, 0 of them diverged, 0 failed, 2 already there",
        "swept",
    ]
    assert imported == "[]"
    listed = json.loads((sweep / "sweep.json").read_text(encoding="utf-8"))
    assert sorted(listed["runs"]) == sorted(run.name for run in RUNS)
    assert (sweep / "multirun.yaml").exists()


@pytest.mark.parametrize(
    "asked",
    [
        {"seeds": (0, 1, 2)},
        {"seeds": (0, 0)},
        {"init.gain": 0.7},
        {"note": "a note"},
        {"device": "auto"},
        {"use": ["mine.py"]},
        {"launcher": {"backend": "ray"}},
        {"launcher": {"processes": 0}},
        {"launcher": {"checkpoint_seconds": -1}},
    ],
    ids=str,
)
def test_a_sweep_that_asks_for_anything_else_is_planned_in_full(sweep, asked):
    assert known_runs(sweep, **asked) is None


def _change_a_table(place):
    with (place / "updates.parquet").open("ab") as file:
        file.write(b" ")


@pytest.mark.parametrize(
    "harm",
    [
        _change_a_table,
        lambda place: (place / "run.json").unlink(),
        lambda place: (place / ".lock").touch(),
        lambda place: (place / "unfinished").mkdir(),
        lambda place: place.rename(place.with_name("mine")),
    ],
    ids=["changed", "missing", "locked", "unfinished", "renamed"],
)
def test_a_sweep_with_a_run_that_needs_a_look_is_planned_in_full(sweep, harm):
    harm(sweep / RUNS[0].name)
    assert known_runs(sweep) is None


@pytest.mark.parametrize("name", list(INITS))
def test_what_an_init_takes_from_the_task_is_filled_in(name):
    settings, _ = settings_of_files({"init": name})
    length = {"task.length": RUN.task.length}
    typed = {f"init.{key}": value for key, value in settings["init"].items() if key != "name"}
    taken = vars(INITS[name]().for_length(RUN.task.length))
    assert filled_in(typed | length) == {f"init.{key}": own for key, own in taken.items()} | length
