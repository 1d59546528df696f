"""Searches by Hydra's own Optuna sweeper: a job's objective reaches it, and resumes."""

import importlib.util
import json

import pytest
import yaml

from tests._hydra.test_app import SMALL, start
from tests._hydra.test_sweep import runs

# Looked for, not imported: that takes two seconds, and the commands run in other processes.
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("optuna") is None,
    reason="needs the plugin: pip install 'rnn-exp[optuna]'",
)
WORDS = (
    "-m",
    "hydra/sweeper=optuna",
    "init.gain=interval(0.5,2)",
    "hydra.sweep.dir=found",
    *SMALL,
)


def test_a_search_is_told_the_final_loss_of_every_trial(tmp_path):
    ended = start(tmp_path, *WORDS, "hydra.sweeper.n_trials=4")

    assert ended.code == 0, ended.err
    found = [json.loads((run / "run.json").read_text()) for run in runs(tmp_path).values()]
    best = min(found, key=lambda said: said["final"]["loss"])
    assert len(found) == 4
    assert yaml.safe_load((tmp_path / "found" / "optimization_results.yaml").read_text()) == {
        "name": "optuna",
        "best_params": {"init.gain": best["settings"]["init.gain"]},
        "best_value": best["final"]["loss"],
    }
    assert ended.out.count(": final_loss ") == 4
    assert ended.out.endswith(
        "4 runs: 4 done, 0 of them diverged, 0 failed, 0 already there\n"
        "found\nnext: rnn-exp-report found\n"
    )
    assert f"Best value: {best['final']['loss']}" in ended.err


@pytest.mark.parametrize("launcher", ["rnn_exp", "basic"])
def test_the_same_search_again_trains_nothing_and_finds_the_same(tmp_path, launcher):
    words = (*WORDS, "hydra.sweeper.sampler.seed=1", f"hydra/launcher={launcher}")
    start(tmp_path, *words, "hydra.sweeper.n_trials=2")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}

    ended = start(tmp_path, *words, "hydra.sweeper.n_trials=4")

    assert ended.code == 0, ended.err
    assert "4 runs: 2 done, 0 of them diverged, 0 failed, 2 already there" in ended.out
    assert len(runs(tmp_path)) == 4
    assert (
        before.items()
        <= {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}.items()
    )


def test_a_search_in_a_database_goes_on_with_further_trials(tmp_path):
    words = (
        *WORDS,
        "hydra.sweeper.n_trials=2",
        "hydra.sweeper.storage='sqlite:///trials.db'",
        "hydra.sweeper.study_name=gain",
    )
    for trials in (2, 4):
        assert start(tmp_path, *words).code == 0
        assert len(runs(tmp_path)) == trials


def test_a_trial_that_diverges_is_the_worst_and_one_without_the_number_fails_alone(tmp_path):
    gains = ("network.activation=relu", "init.gain=choice(0.5,1e30)")
    others = (word for word in WORDS if not word.startswith("init.gain="))
    words = (*others, *gains, "hydra.sweeper.n_trials=4", "hydra.sweeper.sampler.seed=1")

    ended = start(tmp_path, *words)

    assert ended.code == 0, ended.err
    assert "final_loss inf; diverged" in ended.out
    assert "Best parameters: {'init.gain': 0.5}" in ended.err

    ended = start(tmp_path, *words, "objective=decay_rate")

    assert ended.code == 0, ended.err
    assert "decay_rate none; diverged" in ended.out
    assert "Best parameters: {'init.gain': 0.5}" in ended.err
    assert "2 runs: 0 done, 0 of them diverged, 0 failed, 2 already there" in ended.out


def test_an_objective_that_there_is_not_stops_a_search_in_a_line(tmp_path):
    ended = start(tmp_path, *WORDS, "objective=loss")

    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith("rnn-exp: objective=loss is not possible: ")
    assert not runs(tmp_path)


@pytest.mark.parametrize("launcher", ["rnn_exp", "basic"])
def test_an_objective_that_no_trial_can_have_is_refused_before_the_first_one(tmp_path, launcher):
    asked = "objective=final_test_loss", "note=evaluation"  # a text asks for no test
    ended = start(tmp_path, *WORDS, *asked, f"hydra/launcher={launcher}")

    assert ended.code == 1
    assert ended.err == (
        "rnn-exp: objective=final_test_loss is not possible: allowed is this with "
        "evaluation.every=…, a multiple of recording.every: this run has no tests\n"
    )
    assert not list(tmp_path.iterdir())
