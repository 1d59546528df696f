"""Sweeps: every run as if it were alone, one failure harms no other, nothing is trained twice."""

import json
import re
from pathlib import Path

import pytest
import yaml

import rnn_exp
from tests.test_app import FILES, SMALL, Ended, files, only_run, start, tables

GRID = ("seed=0,1", "init.gain=0.5,2")


def runs(folder: Path) -> dict[str, Path]:
    """The folders of all runs below a folder, by name."""
    return {path.parent.name: path.parent for path in folder.rglob("run.json")}


def of_runs(found: dict[str, bytes]) -> dict[str, bytes]:
    """All files but those of the sweep itself, which say what was started last."""
    own = ("multirun.yaml", "sweep.json")
    return {path: content for path, content in found.items() if not path.endswith(own)}


def settings_of(run: Path) -> dict[str, object]:
    """The settings in a run's run.json."""
    return json.loads((run / "run.json").read_text(encoding="utf-8"))["settings"]


@pytest.fixture(scope="module")
def swept(tmp_path_factory) -> tuple[Path, Ended]:
    """The folder of a small finished sweep and how its command ended; to be left as it is."""
    folder = tmp_path_factory.mktemp("swept")
    return folder, start(folder, "-m", *SMALL, *GRID)


def test_every_run_of_a_sweep_leaves_the_files_of_the_contract(swept):
    folder, ended = swept

    found = runs(folder)

    assert ended.code == 0
    assert ended.err == ""  # no progress bar without a terminal
    assert len(found) == 4
    assert all(set(files(run)) == FILES for run in found.values())
    [sweep] = {run.parent for run in found.values()}
    assert {path.name for path in sweep.iterdir()} == {*found, "multirun.yaml", "sweep.json"}
    assert [*(folder / "outputs").iterdir()] == [sweep]
    assert ended.out == (
        "4 runs: 4 done, 0 of them diverged, 0 failed, 0 already there\n"
        f"{sweep.relative_to(folder)}\n"
    )
    assert {(settings_of(run)["seed"], settings_of(run)["init.gain"]) for run in found.values()} \
        == {(0, 0.5), (0, 2.0), (1, 0.5), (1, 2.0)}  # fmt: skip
    assert yaml.safe_load((sweep / "multirun.yaml").read_text())["task"]["length"] == 10


def test_a_run_of_a_sweep_has_the_same_bytes_as_the_run_alone(swept, tmp_path):
    folder, _ = swept

    for name, run in runs(folder).items():
        found = settings_of(run)
        start(tmp_path, *SMALL, f"seed={found['seed']}", f"init.gain={found['init.gain']}")

        assert tables(tmp_path / "outputs" / "single" / name) == tables(run)


def test_the_overrides_of_each_run_are_its_own(swept):
    folder, _ = swept

    for run in runs(folder).values():
        overrides = yaml.safe_load((run / ".hydra" / "overrides.yaml").read_text())
        found = settings_of(run)

        assert sorted(overrides) == sorted(
            [*SMALL, f"seed={found['seed']}", f"init.gain={found['init.gain']:g}"]
        )


def test_a_finished_sweep_started_again_trains_nothing(swept):
    folder, _ = swept
    before = files(folder)

    ended = start(folder, "-m", *GRID, *SMALL)  # in another order, too

    assert ended.code == 0
    assert "4 runs: 0 done, 0 of them diverged, 0 failed, 4 already there" in ended.out
    assert of_runs(files(folder)) == of_runs(before)


def test_a_larger_grid_in_the_same_folder_trains_only_what_is_new(tmp_path):
    start(tmp_path, "-m", *SMALL, "seed=0,1", "hydra.sweep.dir=grid")
    before = files(tmp_path / "grid")

    ended = start(tmp_path, "-m", *SMALL, "seed=0,1,2", "hydra.sweep.dir=grid")

    assert "3 runs: 1 done, 0 of them diverged, 0 failed, 2 already there" in ended.out
    after = of_runs(files(tmp_path / "grid"))
    assert {path: after[path] for path in of_runs(before)} == of_runs(before)
    assert len(runs(tmp_path)) == 3


def test_hydras_own_launcher_gives_the_same_tables_and_trains_nothing_twice(swept, tmp_path):
    folder, _ = swept
    words = ("-m", *SMALL, *GRID, "hydra/launcher=basic", "hydra.sweep.dir=grid")

    ended = start(tmp_path, *words)

    assert ended.code == 0
    assert {name: tables(run) for name, run in runs(tmp_path).items()} == {
        name: tables(run) for name, run in runs(folder).items()
    }
    assert all(set(files(run)) == FILES for run in runs(tmp_path).values())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}

    assert start(tmp_path, *words).code == 0

    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")} == before


def test_runs_go_where_hydra_is_told_and_are_numbered_across_batches(tmp_path):
    ended = start(
        tmp_path, "-m", *SMALL, "seed=5,6,7", "hydra.sweep.dir=here/${task.name}",
        "hydra.sweep.subdir=${hydra.job.num}-${seed}", "hydra.sweeper.max_batch_size=2",
    )  # fmt: skip

    assert ended.code == 0
    assert set(runs(tmp_path)) == {"0-5", "1-6", "2-7"}
    assert {path.name for path in (tmp_path / "here" / "adding").iterdir()} == {
        "0-5", "1-6", "2-7", "multirun.yaml", "sweep.json"
    }  # fmt: skip


def test_a_run_named_twice_in_a_sweep_is_trained_once(tmp_path):
    ended = start(tmp_path, "-m", *SMALL, "init.gain=1,1.0")

    assert ended.code == 0
    assert "1 run: 1 done" in ended.out
    assert only_run(tmp_path).name.startswith("adding-T10-tanh-gaussian1-seed0-")


def test_a_run_folder_taken_by_another_run_stops_the_sweep_before_it_begins(tmp_path):
    start(tmp_path, *SMALL, "hydra.run.dir=grid/1")
    before = files(tmp_path)

    ended = start(tmp_path, "-m", *SMALL, "seed=5,6", "hydra.sweep.dir=grid",
                  "hydra.sweep.subdir=${hydra.job.num}")  # fmt: skip

    assert ended.code == 1
    assert ended.err.startswith("rnn-exp: grid/1 holds another run (adding-T10-")
    assert files(tmp_path) == before


def test_a_diverged_run_is_counted_and_stops_nothing(tmp_path):
    ended = start(tmp_path, "-m", *SMALL, "network.activation=relu", "init.gain=1,1e30")

    assert ended.code == 0
    assert ended.err == ""
    assert "2 runs: 2 done, 1 of them diverged, 0 failed, 0 already there" in ended.out
    statuses = [json.loads((run / "run.json").read_text())["status"]
                for run in runs(tmp_path).values()]  # fmt: skip
    assert sorted(statuses) == ["diverged", "finished"]


def _unwritable() -> None:
    from rnn_exp import storage

    write = storage.write

    def refuse_seed_1(folder, outcome) -> None:
        if outcome.run.seed == 1:
            raise OSError(28, "No space left on device", "updates.parquet")
        write(folder, outcome)

    storage.write = refuse_seed_1


@pytest.mark.parametrize("launcher", ["rnn_exp", "basic"])
def test_a_run_that_fails_stops_no_other_and_is_listed(swept, tmp_path, launcher):
    words = ("-m", *SMALL, "init.gain=0.5", "seed=0,1,2", "hydra.sweep.dir=grid",
             f"hydra/launcher={launcher}")  # fmt: skip

    ended = start(tmp_path, *words, prepare=_unwritable)

    assert ended.code == 1
    [failed] = [run for run in runs(tmp_path).values() if settings_of(run)["seed"] == 1]
    head, row, last = ended.err.splitlines()
    assert head.split() == ["job", "overrides", "cause", "log"]
    assert re.split("  +", row) == [
        "1", "seed=1", "updates.parquet: No space left on device",
        str(failed.relative_to(tmp_path) / "run.log"),
    ]  # fmt: skip
    assert last == "rnn-exp: 1 of 3 runs failed; the same command tries them again"
    found = json.loads((failed / "run.json").read_text())
    assert found["status"] == "failed"
    assert "No space left on device" in found["failure"]
    assert "Traceback" in (failed / "run.log").read_text()
    [alone] = [run for run in runs(tmp_path).values() if settings_of(run)["seed"] == 0]
    assert tables(alone) == tables(runs(swept[0])[alone.name])
    loaded = rnn_exp.load(tmp_path / "grid")
    assert loaded.broken.empty
    assert dict(zip(loaded.runs["seed"], loaded.runs["status"], strict=True)) == {
        0: "finished", 1: "failed", 2: "finished"
    }  # fmt: skip
    assert set(loaded.gradients["seed"]) == {0, 2}

    again = start(tmp_path, *words)

    assert again.code == 0
    assert {json.loads((run / "run.json").read_text())["status"]
            for run in runs(tmp_path).values()} == {"finished"}  # fmt: skip


def _cannot_train() -> None:
    from rnn_exp.experiment import Chunk

    train = Chunk.train

    def refuse_seed_1(chunk):
        if any(run.seed == 1 for run in chunk.runs):
            raise RuntimeError("no memory for seed 1")
        return train(chunk)

    Chunk.train = refuse_seed_1


def test_a_chunk_that_fails_as_a_whole_is_trained_run_by_run(swept, tmp_path):
    ended = start(tmp_path, "-m", *SMALL, "init.gain=0.5", "seed=0,1", prepare=_cannot_train)

    assert ended.code == 1
    assert "seed=1     RuntimeError: no memory for seed 1" in ended.err
    by_seed = {settings_of(run)["seed"]: run for run in runs(tmp_path).values()}
    assert json.loads((by_seed[1] / "run.json").read_text())["status"] == "failed"
    assert tables(by_seed[0]) == tables(runs(swept[0])[by_seed[0].name])


def test_runs_that_cannot_train_together_are_all_trained(tmp_path):
    ended = start(tmp_path, "-m", "task.length=10,12", "network.activation=tanh,relu",
                  "network.engine=scan,torch", *SMALL[1:])  # fmt: skip

    assert ended.code == 0
    assert "8 runs: 8 done" in ended.out
    for run in runs(tmp_path).values():
        found = settings_of(run)
        assert run.name.startswith(f"adding-T{found['task.length']}-{found['network.activation']}")


def test_a_study_writes_into_the_folder_of_its_name(tmp_path):
    ended = start(tmp_path, "study=decay", *SMALL, "init.gain=1", "seed=0",
                  "network.activation=tanh,relu")  # fmt: skip

    assert ended.code == 0
    assert {run.parent for run in runs(tmp_path).values()} == {tmp_path / "outputs" / "decay"}
    assert ended.out.endswith("\noutputs/decay\n")
    assert len(runs(tmp_path)) == 2
    assert {settings_of(run)["task"] for run in runs(tmp_path).values()} == {"temporal_order"}
