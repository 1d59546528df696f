"""The command ``rnn-exp`` for one run: what it leaves behind, what it refuses, and how."""

import hashlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

import rnn_exp
from rnn_exp import schema
from rnn_exp.app import main
from rnn_exp.networks.inits import INITS
from rnn_exp.sweeps import line
from rnn_exp.tasks import TASKS
from tests.forks import forks
from tests.in_process import command
from tests.sealing import write_sealed
from tests.waiting import PATIENCE, wait_until

SMALL = ("task.length=10", "training.updates=3", "network.hidden_size=4")
TABLES = ("gradients.parquet", "updates.parquet", "weights.safetensors")
HYDRA = {".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml"}
FILES = {*HYDRA, "run.json", "run.log", *TABLES}


class CommandResult(NamedTuple):
    """The exit code of a command and what it wrote to its two streams."""

    code: int | None
    out: str
    err: str


Prepare = Callable[[], object] | None


class Command:
    """A command in a process of its own: honest about exit codes, streams and where it works."""

    def __init__(self, folder: Path, words: tuple[str, ...], prepare: Prepare) -> None:
        self.streams = tempfile.TemporaryDirectory()
        self.out, self.err = (Path(self.streams.name) / name for name in ("out", "err"))
        self.process = forks().Process(
            target=_child, args=(folder, words, self.out, self.err, prepare)
        )
        self.process.start()

    def wait(self) -> CommandResult:
        """Wait until it has ended; kill it if that takes too long."""
        self.process.join(PATIENCE)
        return self.kill(signal.SIGKILL)

    def interrupt(self) -> CommandResult:
        """Press Ctrl-C, and wait for the end."""
        os.kill(self.process.pid, signal.SIGINT)
        return self.wait()

    def kill(self, how: int) -> CommandResult:
        """Send a signal if it has not ended yet, and return how it ended."""
        if self.process.is_alive():
            os.kill(self.process.pid, how)
        self.process.join()
        code = self.process.exitcode
        self.process.close()
        told = [path.read_text() if path.exists() else "" for path in (self.out, self.err)]
        self.streams.cleanup()
        return CommandResult(code, *told)

    def wait_until(self, condition: Callable[[], object], what: str) -> None:
        """Wait until a condition holds, while the command runs."""
        try:
            wait_until(lambda: condition() or not self.process.is_alive(), what)
            assert condition(), f"the command ended before {what}"
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.kill(signal.SIGKILL)}") from None


def begin(folder: Path, *words: str, prepare: Prepare = None) -> Command:
    """Start ``rnn-exp`` with these words in this folder."""
    return Command(folder, words, prepare)


def start(folder: Path, *words: str, prepare: Prepare = None) -> CommandResult:
    """Run ``rnn-exp`` with these words in this folder, and wait until it has ended."""
    return begin(folder, *words, prepare=prepare).wait()


def _child(folder: Path, words: tuple[str, ...], out: Path, err: Path, prepare: Prepare) -> None:
    os.chdir(folder)
    for stream, path in ((1, out), (2, err)):
        os.dup2(os.open(path, os.O_CREAT | os.O_WRONLY), stream)
    sys.argv = ["rnn-exp", *words]
    line._FIRST_SECONDS = PATIENCE  # on a busy machine, too, nothing is said of what is soon done
    if prepare is not None:
        prepare()
    main()


def files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def tables(folder: Path) -> dict[str, str]:
    """A hash of each of a run's tables and of its weights."""
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in TABLES}


def only_run(folder: Path) -> Path:
    """The folder of the only run below."""
    [found] = folder.rglob("run.json")
    return found.parent


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, CommandResult]:
    """The folder of one small finished run and how its command ended; to be left as it is."""
    folder = tmp_path_factory.mktemp("trained")
    return folder, start(folder, *SMALL, "init.gain=0.7")


def test_a_run_leaves_the_files_of_the_contract_and_nothing_else(trained):
    folder, ended = trained

    run = only_run(folder)

    assert ended.code == 0
    assert ended.err == ""  # no progress bar without a terminal, no warning
    assert set(files(run)) == FILES
    assert run.parent == folder / "outputs" / "single"
    assert {path.split("/")[0] for path in files(folder)} == {"outputs"}
    assert re.match(
        r"finished; at update \d+ the loss is \S+ \(chance \S+\), wrong on \S+ % of the batch "
        r"\(chance \S+ %\); at update 0 the gradient is ",
        ended.out,
    )
    assert ended.out.splitlines()[1:] == [
        str(run.relative_to(folder)),
        f"next: rnn-exp-report {run.relative_to(folder)}",
    ]


def test_run_json_says_what_ran_and_how_it_ended(trained):
    folder, _ = trained

    found = json.loads((only_run(folder) / "run.json").read_text(encoding="utf-8"))

    assert found["status"] == "finished"
    assert found["run"] == only_run(folder).name
    assert only_run(folder).name.endswith(found["digest"][:8])
    assert len(found["digest"]) == 16
    assert found["seed"] == 0
    assert found["device"] == "cpu"
    assert set(found["versions"]) == {"python", "torch", "numpy", "numba", "rnn-exp"}
    assert found["settings"]["task.length"] == 10
    assert found["settings"]["init.gain"] == 0.7
    assert found["settings"]["training.clip_norm"] is None
    assert found["verdict"] in schema.VERDICTS
    assert found["decay_rate"] > 0
    assert found["half_life_low"] > 0
    assert found["diverged"] is None
    assert found["command"] == (
        "rnn-exp task.length=10 network.hidden_size=4 init.gain=0.7 training.updates=3"
    )


def test_the_tables_have_a_row_for_each_recorded_update_and_time(trained):
    folder, _ = trained

    updates = pd.read_parquet(only_run(folder) / "updates.parquet")
    gradients = pd.read_parquet(only_run(folder) / "gradients.parquet")

    assert updates["update"].tolist() == [0, 2]  # the first and the last
    assert {"loss", "error", "grad_norm", "clipped", "spectral_radius"} <= set(updates)
    assert set(gradients) == {
        column.name for column in schema.TABLES["gradients"].columns if not column.when
    }
    assert gradients["time"].tolist() == [*range(1, 11)] * 2
    assert (gradients["lag"] + gradients["time"]).eq(10).all()
    assert gradients["status"].eq("ok").all()


def test_the_log_has_the_command_and_the_outcome(trained):
    folder, ended = trained

    log = (only_run(folder) / "run.log").read_text(encoding="utf-8").splitlines()

    assert log[0].endswith(
        "- rnn-exp task.length=10 network.hidden_size=4 init.gain=0.7 training.updates=3"
    )
    assert log[-1].endswith(ended.out.splitlines()[0])


def test_a_finished_run_is_not_trained_again(trained):
    folder, first = trained
    before = files(folder)

    ended = start(folder, *SMALL, "init.gain=0.70")

    assert ended.code == 0
    result, place, following = first.out.splitlines()
    there = "This run is already there; to train it again, remove its folder."
    assert ended.out.splitlines() == [result, place, there, following]
    assert ended.err == ""
    assert files(folder) == before


def test_a_folder_of_another_run_is_refused_and_kept(trained):
    folder, _ = trained
    before = files(folder)
    taken = only_run(folder).relative_to(folder)

    ended = start(folder, *SMALL, "init.gain=0.8", f"hydra.run.dir={taken}")

    assert ended.code == 1
    assert ended.err == (
        f"rnn-exp: {taken} holds another run ({taken.name}); choose another folder or move it\n"
    )
    assert files(folder) == before


def test_a_run_json_that_cannot_be_read_is_put_aside_and_the_run_trained(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "run.json").write_text('{"run": "half')

    ended = start(tmp_path, *SMALL, "hydra.run.dir=own")

    assert ended.code == 0
    assert "results that were damaged are now in aside-1; training anew" in ended.err
    assert json.loads((tmp_path / "own" / "run.json").read_text())["status"] == "finished"
    assert files(tmp_path / "own" / "aside-1") == {"run.json": b'{"run": "half'}


@pytest.mark.parametrize("status", ["running", "failed"])
def test_a_run_that_was_cut_off_is_trained_again(trained, tmp_path, status):
    folder, _ = trained
    found = json.loads((only_run(folder) / "run.json").read_text())
    cut = tmp_path / "cut"
    cut.mkdir()
    write_sealed(cut, found | {"status": status})

    ended = start(tmp_path, *SMALL, "init.gain=0.7", "hydra.run.dir=cut")

    assert ended.code == 0
    assert json.loads((cut / "run.json").read_text())["status"] == "finished"
    assert tables(cut) == tables(only_run(folder))


def test_a_finished_run_that_lost_a_table_is_trained_again(tmp_path):
    start(tmp_path, *SMALL, "hydra.run.dir=own")
    before = tables(tmp_path / "own")
    (tmp_path / "own" / "updates.parquet").unlink()

    ended = start(tmp_path, *SMALL, "hydra.run.dir=own")

    assert ended.code == 0
    assert "already there" not in ended.out
    assert tables(tmp_path / "own") == before


def test_of_a_run_of_an_older_format_that_is_there_nothing_is_made_up(trained, tmp_path):
    shutil.copytree(only_run(trained[0]), tmp_path / "own")
    said = json.loads((tmp_path / "own" / "run.json").read_text())
    for later in ("message", "files", "sha256"):
        del said[later]
    said["format"] = 3
    (tmp_path / "own" / "run.json").write_text(json.dumps(said))

    ended = start(tmp_path, *SMALL, "init.gain=0.7", "hydra.run.dir=own")

    assert ended.out.splitlines()[0] == "own"


def test_the_next_command_can_be_pasted_whatever_the_folder_is_called(tmp_path):
    place = "it's 梯度 & more"

    ended = start(tmp_path, *SMALL, f'hydra.run.dir="{place}"')

    assert ended.out.splitlines()[-1].startswith("next: rnn-exp-report ")
    assert shlex.split(ended.out.splitlines()[-1]) == ["next:", "rnn-exp-report", place]
    assert (tmp_path / place / "run.json").exists()


def _killed_at_once() -> None:
    from rnn_exp.training.experiment import Chunk

    train = Chunk.train

    def stop(chunk):
        for step in train(chunk):
            yield step
            os.kill(os.getpid(), signal.SIGKILL)

    Chunk.train = stop


def test_a_run_that_trains_has_a_heartbeat_and_nothing_of_it_stays(tmp_path):
    killed = start(tmp_path, *SMALL, "hydra.run.dir=own", prepare=_killed_at_once)

    assert killed.code == -signal.SIGKILL
    [beat] = (tmp_path / "own").glob(".progress/*.json")
    assert json.loads(beat.read_text())["runs"] == 1

    start(tmp_path, *SMALL, "hydra.run.dir=own")

    assert set(files(tmp_path / "own")) == FILES
    assert not (tmp_path / "own" / ".progress").exists()


def test_one_and_one_point_zero_are_one_setting(tmp_path):
    start(tmp_path, *SMALL, "init.gain=1")

    ended = start(tmp_path, *SMALL, "init.gain=1.0", "init.input_scale=1")

    assert "already there" in ended.out
    assert json.loads((only_run(tmp_path) / "run.json").read_text())["settings"]["init.gain"] == 1


def test_the_run_goes_where_hydra_is_told(tmp_path):
    ended = start(tmp_path, *SMALL, "hydra.run.dir=here/${task.name}-${seed}", "seed=3")

    assert ended.code == 0
    assert set(files(tmp_path)) == {f"here/adding-3/{name}" for name in FILES}


def test_a_working_directory_in_the_run_folder_changes_nothing(trained, tmp_path):
    folder, _ = trained

    ended = start(tmp_path, *SMALL, "init.gain=0.7", "hydra.job.chdir=true")

    assert ended.code == 0
    assert set(files(only_run(tmp_path))) == FILES
    assert tables(only_run(tmp_path)) == tables(only_run(folder))


def test_a_run_is_repeated_from_its_own_folder(trained, tmp_path):
    folder, _ = trained
    own = only_run(folder) / ".hydra"

    ended = start(
        tmp_path, "--config-path", str(own), "--config-name", "config", "hydra.run.dir=again"
    )

    assert ended.code == 0
    assert tables(tmp_path / "again") == tables(only_run(folder))


def test_a_run_is_repeated_by_the_command_in_its_run_json(trained, tmp_path):
    folder, _ = trained
    found = json.loads((only_run(folder) / "run.json").read_text())

    ended = start(tmp_path, *found["command"].split()[1:])

    assert ended.code == 0
    assert only_run(tmp_path).name == only_run(folder).name
    assert tables(only_run(tmp_path)) == tables(only_run(folder))


def test_the_console_command_is_the_same_program(trained, tmp_path):
    folder, _ = trained
    script = Path(sys.executable).with_name("rnn-exp")

    done = subprocess.run(
        [script, *SMALL, "init.gain=0.7"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert done.stderr == ""
    assert set(files(only_run(tmp_path))) == FILES
    assert tables(only_run(tmp_path)) == tables(only_run(folder))


def test_the_module_is_the_same_program(tmp_path):  # tests/test_packaging.py trains with it
    words = ("--cfg", "job", "task.length=17", "init=identity")

    done = subprocess.run(
        [sys.executable, "-m", "rnn_exp", *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == start(tmp_path, *words).out
    assert "  length: 17\n" in done.stdout


def test_the_configuration_can_be_printed_and_nothing_is_written(tmp_path):
    ended = start(tmp_path, "--cfg", "job", "task.length=17")

    assert ended.code == 0
    assert "  length: 17\n" in ended.out
    assert "  learning_rate: 0.01\n" in ended.out
    assert files(tmp_path) == {}


def test_help_shows_commands_choices_and_defaults(tmp_path):
    ended = start(tmp_path, "--help")

    assert ended.code == 0
    for told in (
        "rnn-exp -m task.length=10,30,100",
        "study: ",
        "training.batch_size=16 ",
        f"task: {', '.join(sorted(TASKS))} ",
        f"init: {', '.join(sorted(INITS))} ",
        "rnn-exp --settings",
        "--columns",
    ):
        assert told in " ".join(ended.out.split()) + " "
    assert files(tmp_path) == {}


def test_a_run_that_diverges_is_a_result(tmp_path):
    words = ("network.activation=relu", "init.gain=40", "task.length=60", "network.hidden_size=32")

    ended = start(tmp_path, *words, "training.updates=3", "hydra.run.dir=wild")

    assert ended.code == 0
    assert ended.err == ""
    found = json.loads((tmp_path / "wild" / "run.json").read_text())
    assert found["status"] == "diverged"
    assert found["verdict"] != "diverged"
    where = found["diverged"]
    assert set(where) == {"update", "time", "direction"}
    assert where["update"] == 0
    assert 1 <= where["time"] <= 60
    assert where["direction"] in ("forward", "backward")
    assert f"time step {where['time']}, {where['direction']} pass" in ended.out

    runs, updates, gradients, broken = rnn_exp.load(tmp_path / "wild")

    assert runs["status"].tolist() == ["diverged"]
    assert runs["diverged_update"].tolist() == [0]
    assert runs["diverged_time"].tolist() == [where["time"]]
    assert runs["diverged_direction"].tolist() == [where["direction"]]
    assert updates["update"].tolist() == [0]
    assert gradients["time"].tolist() == [*range(1, 61)]
    assert not gradients["status"].eq("ok").all()
    assert broken.empty


def test_a_diverged_run_is_done_and_not_trained_again(tmp_path):
    words = ("network.activation=relu", "init.gain=1e30", *SMALL)
    assert start(tmp_path, *words).out.startswith("diverged (not finite at update ")
    before = files(tmp_path)

    ended = start(tmp_path, *words)

    assert "already there" in ended.out
    assert files(tmp_path) == before


REFUSED = {
    (
        "network.activation=tanhh",
    ): "network.activation=tanhh is not possible: allowed is one of tanh, sigmoid, relu, identity, "
    "softsign, hard_tanh, leaky_relu, elu, gelu (did you mean tanh?)",
    ("objective=decay_rat",): "(did you mean decay_rate?)",
    (
        "tracking=tensorbord",
    ): "tracking=tensorbord is not possible: allowed is one of none, tensorboard (did you mean "
    "tensorboard?)",
    ("-m", "seed=0,1", "tracking=no"): "tracking=no is not possible: allowed is one of none",
    ("tracking=null",): "tracking=null is not possible: allowed is one of none, tensorboard",
    ("objective=[final_loss]",): "objective=[final_loss] is not possible: allowed is one value",
    ("-m", "seed=0,1", "objective=1"): "objective=1 is not possible: allowed is one of lags, ",
    ("task.length=0",): "task.length=0 is not possible: allowed is a whole number of at least 2",
    ("task.length=ten",): "task.length=ten is not possible: allowed is a whole number",
    ("init.gain=-1",): "init.gain=-1 is not possible: allowed is a number of at least 0",
    ("init.gain=nan",): "init.gain=nan is not possible: allowed is a number of at least 0",
    ("training.learning_rate=1" + 400 * "0",): "is not possible: allowed is a number above 0",
    ("training.lerning_rate=1",): "training.lerning_rate=1: there is no such setting; allowed is "
    "one of training.adam_beta1, training.adam_beta2, training.batch_size, training.clip_norm, ",
    ("training.learning_rat=1",): " (did you mean training.learning_rate?)",
    ("sede=1",): "(did you mean seed?)",
    ("study=decai",): "study=decai is not there: allowed is one of ",
    ("task=addin",): f"task=addin is not there: allowed is one of {', '.join(sorted(TASKS))} "
    "(did you mean adding?)",
    (
        "+training.nomentum=1",
    ): "training.nomentum=1 is not possible: allowed is one of training.updates",
    ("+training.update=5",): "(did you mean training.updates?)",
    ("=3",): "=3: a setting is written key=value, such as task.length=100",
    ("seed",): "seed",
    ("device=cuda",): "device=cuda is not possible: allowed is one of cpu, auto (no CUDA here)",
    (
        "training.clip_norm=0",
    ): "training.clip_norm=0 is not possible: allowed is a number above 0 or null",
    ("seed=1.5",): "seed=1.5 is not possible: allowed is a whole number of at least 0",
    ("~seed",): "~seed: a setting cannot be left out; without a word it has its default",
    (
        "init=torch",
        "init.gain=3",
    ): "init.gain=3: there is no such setting; allowed is one of init.name",
    ("network.engine=torch", "network.activation=identity"): "use engine=scan",
    ("init=unit",): "network.hidden_size=128 is not possible: allowed is 1 (and ",
    ("init=chrono",): "init=chrono is not possible: allowed is another init with network.cell=rnn",
    (
        "training.truncate_every=5",
        "network.engine=torch",
    ): "training.truncate_back=null is not possible: allowed is a whole number: the other one",
    (
        "-m",
        "training.loss_at=task,every",
        "task=temporal_order,memorization",
    ): "training.loss_at=every is not possible: allowed is task: task=memorization",
    (
        "-m",
        "task.length=10,0",
    ): "task.length=0 is not possible: allowed is a whole number of at least 2",
    ("-m", "seed=0,1", "hydra.sweep.subdir=same"): "hydra.sweep.subdir gives",
    ("-m", "hydra.launcher.address=5"): "hydra.launcher.address=5 is not possible",
    ("-m", "task=adding,addin"): "task=addin is not there: allowed is one of adding",
    (
        "study=decay",
        "task.length=10",
        "network.activation=tanh",
        "init.gain=1,-1",
    ): "init.gain=-1 is not possible",
}
# Those that the checker of types refuses first, and what `in_process` leaves out: these have a
# process of their own, in which nothing is checked.
UNCHECKED = {
    ("tracking=null",),
    ("-m", "seed=0,1", "objective=1"),
    ("task.length=ten",),
    ("seed=1.5",),
    ("-m", "hydra.launcher.address=5"),
    ("sede=1",),
}


@pytest.mark.parametrize("words", REFUSED, ids=lambda words: " ".join(words)[:40])
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(tmp_path, words):
    if words == ("device=cuda",) and _cuda():
        pytest.skip("there is a CUDA device")

    ended = (start if words in UNCHECKED else command)(tmp_path, *words)

    assert ended.code not in (0, None)
    assert ended.err.count("\n") == 1, ended.err
    assert ended.err.startswith("rnn-exp: ")
    assert "Traceback" not in ended.err
    assert REFUSED[words] in ended.err
    assert ended.out == ""
    assert list(tmp_path.iterdir()) == []


def _cuda() -> bool:
    import torch

    return torch.cuda.is_available()


@pytest.mark.parametrize(
    "words", [["hydra.run.dir=file/below"], ["-m", "hydra.sweep.dir=file/below", "seed=0,1"]]
)
def test_a_folder_below_a_file_is_refused_in_one_line(tmp_path, words):
    (tmp_path / "file").write_text("kept")

    ended = start(tmp_path, *words, *SMALL)

    assert ended.code == 1
    assert ended.err.count("\n") == 1, ended.err
    assert "Not a directory" in ended.err
    assert "file" in ended.err
    assert files(tmp_path) == {"file": b"kept"}


def _full_disk() -> None:
    from rnn_exp.storage import writing

    def write_table(*args: object) -> None:
        raise OSError(28, "No space left on device", "updates.parquet")

    writing.write_table = write_table


def test_a_full_disk_ends_a_run_in_one_line_and_its_run_json_says_failed(tmp_path):
    ended = start(tmp_path, *SMALL, "hydra.run.dir=own", prepare=_full_disk)

    assert ended.code == 1
    assert ended.err == "rnn-exp: updates.parquet: No space left on device\n"
    found = json.loads((tmp_path / "own" / "run.json").read_text())
    assert found["status"] == "failed"
    assert "No space left on device" in found["failure"]
    assert set(files(tmp_path / "own")) == {*HYDRA, "run.json", "run.log"}

    assert start(tmp_path, *SMALL, "hydra.run.dir=own").out.startswith("finished; at update ")


def _interrupted() -> None:
    from rnn_exp.training.experiment import Chunk

    def train(self: Chunk) -> None:
        raise KeyboardInterrupt

    Chunk.train = train


def test_an_interrupted_run_says_so_and_is_not_taken_for_finished(tmp_path):
    ended = start(tmp_path, *SMALL, "hydra.run.dir=own", prepare=_interrupted)

    assert ended.code == 130
    assert ended.err == "rnn-exp: stopped; the same command goes on from there\n"
    assert json.loads((tmp_path / "own" / "run.json").read_text())["status"] == "running"
    assert start(tmp_path, *SMALL, "hydra.run.dir=own").out.startswith("finished; at update ")


@pytest.mark.parametrize("words", [("seed=1",), ("-m", "seed=0,1")])
def test_kernels_that_may_not_be_compiled_are_refused_in_one_line(tmp_path, monkeypatch, words):
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    ended = command(tmp_path, *words)
    assert ended.err.count("\n") == 1
    assert "allowed is scan or torch: NUMBA_DISABLE_JIT=1 in the environment" in ended.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [["--help", "-m"], ["--cfg", "job"]])
def test_what_hydra_shows_ends_quietly_with_its_reader(tmp_path, words):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as into:
        ended = subprocess.run(
            [sys.executable, "-m", "rnn_exp", *words],
            cwd=tmp_path,
            stdout=into,
            stderr=subprocess.PIPE,
        )
    assert ended.stderr == b""
    assert ended.returncode == -signal.SIGPIPE
