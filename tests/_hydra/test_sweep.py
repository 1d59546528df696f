"""Sweeps: every run as if it were alone, one failure harms no other, nothing is trained twice."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra.experimental.callback import Callback

import rnn_exp
from tests._hydra.test_app import FILES, SMALL, CommandResult, begin, files, only_run, start, tables
from tests.waiting import PATIENCE

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
def swept(tmp_path_factory) -> tuple[Path, CommandResult]:
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
        f"next: rnn-exp-report {sweep.relative_to(folder)}\n"
    )
    assert {
        (settings_of(run)["seed"], settings_of(run)["init.gain"]) for run in found.values()
    } == {(0, 0.5), (0, 2.0), (1, 0.5), (1, 2.0)}
    assert yaml.safe_load((sweep / "multirun.yaml").read_text())["task"]["length"] == 10


def in_another_mode(hydra: dict) -> dict:
    """What .hydra/hydra.yaml says, without what has to differ between a sweep's run and one alone.

    These are paths, the number in the sweep, how many processes train, and the words of the
    command line about them.
    """
    hydra = hydra["hydra"]
    for key in ("mode", "sweep", "run"):
        del hydra[key]
    for key in ("num", "id", "override_dirname"):
        del hydra["job"][key]
    for key in ("cwd", "output_dir"):
        del hydra["runtime"][key]
    del hydra["launcher"]["processes"]
    hydra["overrides"] = sorted(hydra["overrides"]["task"])
    return hydra


def without_times(log: Path) -> list[str]:
    """The lines of a log without the times in front of them."""
    return [line.partition("][")[2] for line in log.read_text().splitlines()]


def without_hydras_hashes(text: bytes) -> dict[str, object]:
    """A run.json but for the hashes of Hydra's files, which say how the run was started."""
    said = json.loads(text)
    of_run = {name: entry for name, entry in said["files"].items() if not name.startswith(".")}
    return {key: value for key, value in said.items() if key != "sha256"} | {"files": of_run}


@pytest.mark.parametrize("processes", [1, 2])
def test_file_by_file_a_run_of_a_sweep_is_the_run_alone(tmp_path, processes):
    start(
        tmp_path,
        "-m",
        *SMALL,
        *GRID,
        f"hydra.launcher.processes={processes}",
        "network.activation=tanh,relu",
    )

    found = runs(tmp_path)
    assert len(found) == 8
    for name, run in [*found.items()][::3]:
        settings = settings_of(run)
        words = (
            f"seed={settings['seed']}",
            f"init.gain={settings['init.gain']:g}",
            f"network.activation={settings['network.activation']}",
        )
        start(tmp_path, *SMALL, *words)
        alone = tmp_path / "outputs" / "single" / name
        ours, theirs = files(run), files(alone)
        assert ours.keys() == theirs.keys() == FILES
        for path in FILES - {".hydra/hydra.yaml", ".hydra/overrides.yaml", "run.log", "run.json"}:
            assert ours[path] == theirs[path], path
        assert without_hydras_hashes(ours["run.json"]) == without_hydras_hashes(theirs["run.json"])
        first, second = (yaml.safe_load(each[".hydra/hydra.yaml"]) for each in (ours, theirs))
        assert in_another_mode(first) == in_another_mode(second)
        assert sorted(ours[".hydra/overrides.yaml"].splitlines()) == sorted(
            theirs[".hydra/overrides.yaml"].splitlines()
        )
        assert without_times(run / "run.log") == without_times(alone / "run.log")


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
    told = without_folders(ended.out, runs(tmp_path))
    assert told == [*[": final_loss #; finished; at update 2 the loss is"] * 4, *summary(4, 0)]
    assert {name: tables(run) for name, run in runs(tmp_path).items()} == {
        name: tables(run) for name, run in runs(folder).items()
    }
    assert all(set(files(run)) == FILES for run in runs(tmp_path).values())
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}

    again = start(tmp_path, *words)

    assert again.code == 0
    assert without_folders(again.out, runs(tmp_path))[0].startswith(" (already there): final_loss")
    assert without_folders(again.out, runs(tmp_path))[4:] == summary(0, 4)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")} == before


def without_folders(text: str, found: dict[str, Path]) -> list[str]:
    """What a command printed, without the runs' folders, their losses and their verdicts."""
    for name in found:
        text = text.replace(f"grid/{name}", "")
    text = re.sub(r"(final_loss) \S+;", r"\1 #;", text)
    return [re.sub("(the loss is) .*", r"\1", line) for line in text.splitlines()]


def summary(done: int, there: int) -> list[str]:
    """The last lines of a sweep of four runs."""
    return [
        f"4 runs: {done} done, 0 of them diverged, 0 failed, {there} already there",
        "grid",
        "next: rnn-exp-report grid",
    ]


def test_with_another_sweeper_the_launcher_says_the_same(swept, tmp_path):
    words = ("-m", *SMALL, *GRID, "hydra/sweeper=basic", "hydra.sweep.dir=grid")

    for counts in (summary(4, 0), summary(0, 4)):
        ended = start(tmp_path, *words)

        assert (ended.code, ended.err) == (0, "")
        assert len(ended.out.splitlines()) == 7
        assert without_folders(ended.out, runs(tmp_path))[4:] == counts
    assert {name: tables(run) for name, run in runs(tmp_path).items()} == {
        name: tables(run) for name, run in runs(swept[0]).items()
    }


def test_the_objective_is_no_part_of_a_run_or_of_a_sweeps_name(swept):
    folder, _ = swept
    before = of_runs(files(folder))

    ended = start(folder, "-m", *SMALL, *GRID, "objective=decay_rate")

    assert "4 runs: 0 done, 0 of them diverged, 0 failed, 4 already there" in ended.out
    found = of_runs(files(folder))
    assert found == before


def test_runs_go_where_hydra_is_told_and_are_numbered_across_batches(tmp_path):
    ended = start(
        tmp_path,
        "-m",
        *SMALL,
        "seed=5,6,7",
        "hydra.sweep.dir=here/${task.name}",
        "hydra.sweep.subdir=${hydra.job.num}-${seed}",
        "hydra.sweeper.max_batch_size=2",
    )

    assert ended.code == 0
    assert set(runs(tmp_path)) == {"0-5", "1-6", "2-7"}
    assert {path.name for path in (tmp_path / "here" / "adding").iterdir()} == {
        "0-5",
        "1-6",
        "2-7",
        "multirun.yaml",
        "sweep.json",
    }


def test_a_run_named_twice_in_a_sweep_is_trained_once(tmp_path):
    ended = start(tmp_path, "-m", *SMALL, "init.gain=1,1.0")

    assert ended.code == 0
    assert "1 run: 1 done" in ended.out
    assert only_run(tmp_path).name.startswith("adding-T10-tanh-gaussian1-seed0-")


def test_a_run_folder_taken_by_another_run_stops_the_sweep_before_it_begins(tmp_path):
    start(tmp_path, *SMALL, "hydra.run.dir=grid/1")
    before = files(tmp_path)

    ended = start(
        tmp_path,
        "-m",
        *SMALL,
        "seed=5,6",
        "hydra.sweep.dir=grid",
        "hydra.sweep.subdir=${hydra.job.num}",
    )

    assert ended.code == 1
    assert ended.err.startswith("rnn-exp: grid/1 holds another run (adding-T10-")
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    "words",
    [
        ("-m", "network.hidden_size=8,1000000000", "training.updates=1"),
        ("network.hidden_size=8", "task.length=2000000000"),
    ],
    ids=["sweep", "single"],
)
def test_a_run_that_needs_more_memory_than_there_is_is_refused_before_anything(tmp_path, words):
    code, out, err = start(tmp_path, *words)

    assert (code, out) == (1, "")
    [line] = err.splitlines()
    assert re.match(r"rnn-exp: (network\.hidden_size=1000000000|task\.length=20{9})[, ]", line)
    assert re.search(r"needs (more than a million|about [\d,]+) GB of memory, there are ", line)
    assert not [*tmp_path.iterdir()]


def test_a_diverged_run_is_counted_and_stops_nothing(tmp_path):
    ended = start(tmp_path, "-m", *SMALL, "network.activation=relu", "init.gain=1,1e30")

    assert ended.code == 0
    assert ended.err == ""
    assert "2 runs: 2 done, 1 of them diverged, 0 failed, 0 already there" in ended.out
    statuses = [
        json.loads((run / "run.json").read_text())["status"] for run in runs(tmp_path).values()
    ]
    assert sorted(statuses) == ["diverged", "finished"]


def _unwritable() -> None:
    from rnn_exp.storage import writing

    write = writing.write

    def refuse_seed_1(folder, outcome, *more) -> None:
        if outcome.run.seed == 1:
            raise OSError(28, "No space left on device", "updates.parquet")
        write(folder, outcome, *more)

    writing.write = refuse_seed_1


@pytest.mark.parametrize("launcher", ["rnn_exp", "basic"])
def test_a_run_that_fails_stops_no_other_and_is_listed(swept, tmp_path, launcher):
    words = (
        "-m",
        *SMALL,
        "init.gain=0.5",
        "seed=0,1,2",
        "hydra.sweep.dir=grid",
        f"hydra/launcher={launcher}",
    )

    ended = start(tmp_path, *words, prepare=_unwritable)

    assert ended.code == 1
    [failed] = [run for run in runs(tmp_path).values() if settings_of(run)["seed"] == 1]
    assert "3 runs: 2 done, 0 of them diverged, 1 failed, 0 already there\ngrid\n" in ended.out
    head, row, last = ended.err.splitlines()
    assert head.split() == ["job", "overrides", "cause", "log"]
    assert re.split("  +", row) == [
        "1",
        "seed=1",
        "updates.parquet: No space left on device",
        str(failed.relative_to(tmp_path) / "run.log"),
    ]
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
        0: "finished",
        1: "failed",
        2: "finished",
    }
    assert set(loaded.gradients["seed"]) == {0, 2}

    again = start(tmp_path, *words)

    assert again.code == 0
    assert {
        json.loads((run / "run.json").read_text())["status"] for run in runs(tmp_path).values()
    } == {"finished"}


def _cannot_train() -> None:
    from rnn_exp.training.experiment import Chunk

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
    ended = start(
        tmp_path,
        "-m",
        "task.length=10,12",
        "network.activation=tanh,relu",
        "network.engine=scan,torch",
        *SMALL[1:],
    )

    assert ended.code == 0
    assert "8 runs: 8 done" in ended.out
    for run in runs(tmp_path).values():
        found = settings_of(run)
        assert run.name.startswith(f"adding-T{found['task.length']}-{found['network.activation']}")


def test_a_study_writes_into_the_folder_of_its_name(tmp_path):
    ended = start(
        tmp_path, "study=decay", *SMALL, "init.gain=1", "seed=0", "network.activation=tanh,relu"
    )

    assert ended.code == 0
    assert {run.parent for run in runs(tmp_path).values()} == {tmp_path / "outputs" / "decay"}
    assert ended.out.endswith("\noutputs/decay\nnext: rnn-exp-report outputs/decay\n")
    assert len(runs(tmp_path)) == 2
    assert {settings_of(run)["task"] for run in runs(tmp_path).values()} == {"temporal_order"}


def two_at_once(folder: Path, *words: str) -> tuple[CommandResult, CommandResult]:
    """Start a long command and, when it trains, the same one again; end the first with Ctrl-C."""
    first = begin(folder, *words)
    first.wait_until(lambda: [*folder.rglob("run.json")], "a run has begun")
    second = begin(folder, *words).wait()
    return first.interrupt(), second


def test_a_sweep_on_a_folder_where_one_is_at_work_is_refused(tmp_path):
    words = ("-m", "training.updates=100000", "seed=0,1", "hydra.sweep.dir=grid")

    first, second = two_at_once(tmp_path, *words)

    assert second.code == 1
    assert second.err == "rnn-exp: another process is writing grid\n"
    assert first.err.endswith("the same command goes on from there\n")
    assert not (tmp_path / "grid" / ".lock").exists()


def _patient() -> None:
    from rnn_exp.sweeps import worker

    worker._LOCK_SECONDS = PATIENCE


def test_of_two_commands_for_one_run_the_second_waits_and_finds_it_there(tmp_path):
    words = ("task.length=10", "training.updates=1500", "network.hidden_size=8")
    first = begin(tmp_path, *words, "hydra.run.dir=own")
    first.wait_until((tmp_path / "own" / "run.json").exists, "the run has begun")

    second = begin(tmp_path, *words, "hydra.run.dir=own", prepare=_patient).wait()

    assert first.wait().code == 0
    assert second.code == 0
    assert "This run is already there" in second.out
    assert [*(tmp_path / "own").glob(".*.part"), *(tmp_path / "own").glob(".lock")] == []
    assert start(tmp_path, *words, "hydra.run.dir=alone").code == 0
    assert tables(tmp_path / "own") == tables(tmp_path / "alone")


def pairs_of(folder: Path) -> set[tuple[object, object, object]]:
    return {
        (found["task.length"], found["training.updates"], found["seed"])
        for found in map(settings_of, runs(folder).values())
    }


PAIRED = (
    "hydra.sweeper.paired=[{task.length: 10, training.updates: 3}, "
    "{task.length: 12, training.updates: 2}]"
)


def test_paired_values_are_combined_with_the_grid_and_not_with_each_other(tmp_path):
    ended = start(tmp_path, "-m", "network.hidden_size=4", "seed=0,1", PAIRED)

    assert "4 runs: 4 done" in ended.out
    assert pairs_of(tmp_path) == {(10, 3, 0), (10, 3, 1), (12, 2, 0), (12, 2, 1)}


def test_a_word_that_is_also_in_paired_values_of_the_same_command_is_refused(tmp_path):
    ended = start(tmp_path, "-m", "network.hidden_size=4", "training.updates=1", PAIRED)

    assert ended.code == 1
    assert (
        "training.updates is typed twice, in hydra.sweeper.paired and as training.updates=1"
        in ended.err
    )
    assert not list(tmp_path.iterdir())


def test_paired_values_in_a_study_file(tmp_path):
    (tmp_path / "my" / "study").mkdir(parents=True)
    (tmp_path / "my" / "study" / "pairs.yaml").write_text("""# @package _global_
network: {hidden_size: 4}
training: {updates: 1}
hydra:
  mode: MULTIRUN
  sweeper:
    params:
      seed: range(2)
      init.gain: 1
    paired:
      - {task: adding, task.length: 10, training.clip_norm: null}
      - {task: temporal_order, task.length: 20, training.clip_norm: 1.5}
""")

    ended = start(tmp_path, "--config-dir", "my", "study=pairs")

    assert ended.err == ""
    found = [*map(settings_of, runs(tmp_path / "outputs" / "pairs").values())]
    assert sorted(
        (one["task"], one["task.length"], one["training.clip_norm"] or 0, one["seed"])
        for one in found
    ) == [
        ("adding", 10, 0, 0),
        ("adding", 10, 0, 1),
        ("temporal_order", 20, 1.5, 0),
        ("temporal_order", 20, 1.5, 1),
    ]


@pytest.mark.parametrize(
    ("paired", "expected"),
    [
        ("[1, 2]", "hydra.sweeper.paired=1 is not possible: allowed is {key: value, …}"),
        ("[{seed: -1}]", "seed=-1 is not possible: allowed is a whole number of at least 0"),
        ("[{sede: 1}]", "sede"),
    ],
)
def test_paired_values_that_cannot_be_are_refused_in_a_line(tmp_path, paired, expected):
    ended = start(tmp_path, "-m", *SMALL, f"hydra.sweeper.paired={paired}")

    assert ended.code == 1
    assert expected in ended.err
    assert len(ended.err.splitlines()) == 1
    assert files(tmp_path) == {}


def test_variables_of_the_environment_for_each_job_are_refused(tmp_path):
    ended = start(tmp_path, "-m", *SMALL, "+hydra.job.env_set.A=b")

    assert ended.code == 1
    assert ended.err == (
        "rnn-exp: hydra.job.env_set={'A': 'b'} is not possible: allowed is nothing in a sweep, "
        "whose runs share processes; set it in the shell, or use hydra/launcher=basic\n"
    )
    assert files(tmp_path) == {}


@pytest.mark.parametrize("mode", [("-m",), ()])
@pytest.mark.parametrize("value", ["x", "-1", "null", "true"])
def test_seconds_between_checkpoints_that_cannot_be_are_refused_in_a_line(tmp_path, mode, value):
    ended = start(tmp_path, *mode, *SMALL, f"hydra.launcher.checkpoint_seconds={value}")

    assert ended.code == 1
    assert ended.err.startswith("rnn-exp: hydra.launcher.checkpoint_seconds=")
    assert ended.err.endswith("is not possible: allowed is a number of at least 0\n")
    assert len(ended.err.splitlines()) == 1
    assert files(tmp_path) == {}


class Note(Callback):
    """Writes down what Hydra's callbacks are told of each job."""

    def on_job_start(self, config, *, task_function, **kwargs):
        self._write("start", config, task_function.__name__)

    def on_job_end(self, config, job_return, **kwargs):
        self._write("end", config, job_return.return_value)

    def on_multirun_end(self, config, **kwargs):
        with Path("notes").open("a") as file:
            file.write("all\n")

    def _write(self, what, config, told):
        with Path("notes").open("a") as file:
            file.write(f"{what} {config.hydra.job.num} {config.seed} {told}\n")


def test_callbacks_of_the_users_own_see_every_job_begin_and_end(tmp_path):
    ended = start(
        tmp_path,
        "-m",
        *SMALL,
        "seed=5,6",
        "+hydra.callbacks.note._target_=tests._hydra.test_sweep.Note",
    )

    assert ended.code == 0
    found = [json.loads((run / "run.json").read_text()) for run in runs(tmp_path).values()]
    losses = {each["seed"]: each["final"]["loss"] for each in found}
    assert (tmp_path / "notes").read_text().splitlines() == [
        "start 0 5 job",
        "start 1 6 job",
        *(f"end {number} {seed} {losses[seed]}" for number, seed in enumerate((5, 6))),
        "all",
    ]


def test_ranges_choices_and_globs_make_a_grid(tmp_path):
    ended = start(
        tmp_path,
        "-m",
        *SMALL,
        "seed=range(3)",
        "init.gain=choice(0.5,1)",
        "init=glob(*,exclude=[torch,ident*,c*,pascanu,*_*,unit,uniform])",
    )

    assert "12 runs: 12 done" in ended.out
    assert {settings_of(run)["init"] for run in runs(tmp_path).values()} == {
        "gaussian",
        "orthogonal",
    }


POISON = """
import os, signal
from rnn_exp.training.experiment import Chunk

def kill(chunk, train=Chunk.train):
    if any(run.seed == 1 for run in chunk.runs):
        os.kill(os.getpid(), signal.SIGKILL)
    return train(chunk)

Chunk.train = kill
"""


def test_a_run_that_kills_its_process_fails_alone_and_not_with_its_chunk(swept, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(POISON)
    root = str(Path(rnn_exp.__file__).parent.parent)

    ended = subprocess.run(
        [
            sys.executable,
            "-m",
            "rnn_exp",
            "-m",
            *SMALL,
            *GRID,
            "hydra.sweep.dir=grid",
            "hydra.launcher.processes=2",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), root])},
    )

    assert ended.returncode == 1
    assert "4 runs: 2 done, 0 of them diverged, 2 failed, 0 already there" in ended.stdout
    assert ended.stderr.splitlines()[-1].startswith("rnn-exp: 2 of 4 runs failed")
    alone = runs(swept[0])
    for name, run in runs(tmp_path).items():
        found = json.loads((run / "run.json").read_text())
        if found["seed"] == 1:
            assert found["status"] == "failed"
            assert "its process ended before it was done" in found["failure"]
        else:
            assert tables(run) == tables(alone[name])
