"""A worker: it writes what it trains, goes on from checkpoints, and no run harms another."""

import dataclasses
import json
import logging
import threading

import pytest

from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.network import ENGINES, Network
from rnn_exp.storage import checkpoint, unfinished, writing
from rnn_exp.storage.files import held
from rnn_exp.storage.parts import Parts
from rnn_exp.storage.unfinished import UnusableError
from rnn_exp.storage.writing import is_done, status_of
from rnn_exp.sweeps import saving, worker
from rnn_exp.sweeps.jobs import ALREADY_THERE, Assignment, Job, JobResult, tell
from rnn_exp.sweeps.status import chunks_in_training
from rnn_exp.sweeps.worker import mark_lost, remove_leftovers, train_assignment, train_jobs
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import Chunk, train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training
from tests.waiting import PATIENCE

RUNS = [
    Run(
        Adding(6),
        Network("relu", 4),
        Gaussian(gain),
        Training(9, optimizer="adam"),
        Recording(2),
        seed,
    )
    for seed, gain in enumerate((0.5, 1e30, 1.0))
]


def jobs_in(folder, runs=RUNS, **more):
    return [Job(run, folder / run.name, **more) for run in runs]


def results(job):
    names = ("updates.parquet", "gradients.parquet", "weights.safetensors", "run.json")
    return {name: (job.folder / name).read_bytes() for name in names}


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    jobs = jobs_in(tmp_path_factory.mktemp("expected"))
    for job, outcome in zip(jobs, train_runs(RUNS), strict=True):
        job.folder.mkdir()
        writing.write(job.folder, outcome)
    return {job.run: results(job) for job in jobs}


def test_every_job_ends_with_the_files_of_its_run_and_nothing_else(tmp_path, expected):
    jobs = jobs_in(tmp_path)

    ended = train_jobs(jobs)

    assert [how.status for how in ended] == ["finished", "diverged", "finished"]
    for job in jobs:
        assert results(job) == expected[job.run]
        assert {path.name for path in job.folder.iterdir()} == set(expected[job.run])


def test_kernels_are_compiled_before_a_chunk_trains_wherever_that_is(tmp_path, monkeypatch):
    order = []
    monkeypatch.setattr(worker.process, "compile_kernels", lambda runs: order.append(list(runs)))
    jobs = jobs_in(tmp_path)
    train_assignment(Assignment("chunk", jobs, tmp_path, 60.0), lambda: order.append("update"))
    assert order[:2] == [RUNS, "update"]


def test_a_run_is_written_when_it_ends_and_not_when_its_chunk_does(tmp_path):
    jobs, seen = jobs_in(tmp_path), []

    train_jobs(jobs, lambda update: seen.append([is_done(job.folder, job.run) for job in jobs]))

    assert seen[0] == [False, True, False]  # it diverged at the first update
    assert seen[-1] == [True, True, True]


def stop_after(updates):
    def watch(update):
        if update.number + 1 == updates:
            raise KeyboardInterrupt

    return watch


def test_an_interrupted_worker_leaves_checkpoints_and_another_goes_on(tmp_path, expected):
    jobs = jobs_in(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        train_jobs(jobs, stop_after(5))
    assert [status_of(job.folder) for job in jobs] == ["running", "diverged", "running"]
    seen = []

    ended = train_jobs(jobs[:2], lambda update: seen.append(update.number))
    ended += train_jobs(jobs[2:], lambda update: seen.append(update.number))

    assert seen == [5, 6, 7, 8] * 2
    assert [how.status for how in ended] == ["finished", ALREADY_THERE, "finished"]
    assert ended[1].message == "diverged"
    for job in jobs:
        assert results(job) == expected[job.run]
        assert not (job.folder / unfinished.FOLDER).exists()


@pytest.mark.parametrize("draw", [1, 4, 6])
def test_a_worker_interrupted_in_the_middle_of_an_update_goes_on_to_the_same_bits(
    tmp_path, monkeypatch, expected, draw
):
    [job] = jobs_in(tmp_path, RUNS[:1])
    engine, calls = ENGINES["kernel"], []

    def interrupted(*given):
        calls.append(1)
        if len(calls) == draw:  # the sequences are drawn, and no weight has moved
            raise KeyboardInterrupt
        return engine.run(*given)

    replaced = dataclasses.replace(engine, run=interrupted)
    monkeypatch.setitem(ENGINES._things, "kernel", replaced)
    with pytest.raises(KeyboardInterrupt):
        train_jobs([job], checkpoint_seconds=0)

    train_jobs([job], checkpoint_seconds=0)

    assert results(job) == expected[job.run]


def test_runs_at_different_updates_each_go_on_from_their_own(tmp_path, expected):
    jobs = [job for job in jobs_in(tmp_path) if job.run.init.gain < 2]
    for job, updates in zip(jobs, (3, 7), strict=True):
        with pytest.raises(KeyboardInterrupt):
            train_jobs([job], stop_after(updates))

    train_jobs(jobs)

    assert all(results(job) == expected[job.run] for job in jobs)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-10]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x80\x04K\x01."),
        lambda path: path.unlink(),
    ],
)
def test_without_a_whole_checkpoint_a_run_starts_anew(tmp_path, expected, break_it):
    [job] = jobs_in(tmp_path, RUNS[:1])
    with pytest.raises(KeyboardInterrupt):
        train_jobs([job], stop_after(5))
    break_it(job.folder / unfinished.FOLDER / unfinished.FILE)
    seen = []

    train_jobs([job], lambda update: seen.append(update.number))

    assert seen == list(range(9))
    assert results(job) == expected[job.run]


@pytest.mark.parametrize(
    "other",
    [
        {"versions": {"torch": "1.0"}},
        {"arithmetic": {"processor": "another"}},
        {"run": RUNS[2]},
    ],
)
def test_a_checkpoint_of_another_run_version_or_machine_cannot_be_used(
    tmp_path, monkeypatch, other
):
    chunk = Chunk(RUNS[:1])
    next(iter(chunk.train()))
    [(run, snapshot)] = chunk.snapshots()
    parts = Parts(tmp_path / unfinished.FOLDER, ("updates", "gradients"))
    parts.add(chunk.take(run))
    checkpoint.write(tmp_path, run, snapshot, parts)
    found, rows = checkpoint.read(tmp_path, run)
    assert found.updates == 1
    assert [part.rows for part in rows.parts] == [6]

    for name in {"versions", "arithmetic"} & set(other):
        monkeypatch.setattr(checkpoint, name, lambda name=name: other[name])

    with pytest.raises(UnusableError, match="of another run, machine or version"):
        checkpoint.read(tmp_path, other.get("run", run))


def test_checkpoints_are_written_as_often_as_asked_but_cost_little_time(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    clock = checkpoint.Clock(60)
    now[0] = 59.9
    assert not clock.due()
    now[0] = 60.0
    assert clock.due()
    now[0] = 70.0  # it took ten seconds: 5 % of the time are two hundred
    clock.reset(begun=60.0)
    now[0] = 269.0
    assert not clock.due()
    now[0] = 270.0
    assert clock.due()


def failing(monkeypatch, *seeds):
    train = Chunk.train

    def refuse(chunk):
        if {run.seed for run in chunk.runs} & set(seeds):
            raise RuntimeError("out of memory")
        return train(chunk)

    monkeypatch.setattr(Chunk, "train", refuse)


def test_a_chunk_that_fails_is_halved_until_the_failing_run_is_alone(
    tmp_path, monkeypatch, expected
):
    failing(monkeypatch, 2)
    jobs = jobs_in(tmp_path)

    ended = train_jobs(jobs)

    assert [how.status for how in ended] == ["finished", "diverged", "failed"]
    assert ended[2] == JobResult("failed", failure="RuntimeError: out of memory")
    assert json.loads((jobs[2].folder / "run.json").read_text())["failure"] == ended[2].failure
    assert all(results(job) == expected[job.run] for job in jobs[:2])


def test_a_folder_of_another_run_is_left_as_it_is(tmp_path):
    [job] = jobs_in(tmp_path, RUNS[:1])
    train_jobs([Job(RUNS[2], job.folder)])
    before = results(job)

    [ended] = train_jobs([job])

    assert ended.status == "failed"
    assert "holds another run" in ended.failure
    assert results(job) == before


def test_a_folder_below_the_current_one_is_called_as_it_is_typed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train_jobs([Job(RUNS[2], tmp_path / "mine")])

    [result] = train_jobs([Job(RUNS[0], tmp_path / "mine")])
    tell(Job(RUNS[0], tmp_path / "other"), "something")

    assert result.failure.removeprefix("FileExistsError: ").startswith("mine holds another run (")
    assert capsys.readouterr().err.endswith("other: something\n")


def test_a_run_that_somebody_else_is_writing_is_waited_for(tmp_path, monkeypatch, expected):
    [job] = jobs_in(tmp_path, RUNS[:1])
    order, holds, asked = [], threading.Event(), threading.Event()

    def other():
        with held(job.folder, 0):
            holds.set()
            assert asked.wait(PATIENCE)
            order.append("other")

    def ask(folder, patience):
        asked.set()
        return held(folder, PATIENCE)

    monkeypatch.setattr(worker, "held", ask)
    thread = threading.Thread(target=other)
    thread.start()
    assert holds.wait(PATIENCE)

    train_jobs([job], lambda _: order.append("worker"))

    thread.join()
    assert order[0] == "other"
    assert results(job) == expected[job.run]


def test_a_run_that_stays_in_other_hands_fails_and_is_not_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "LOCK_SECONDS", 0.1)
    [job] = jobs_in(tmp_path, RUNS[:1])

    with held(job.folder, 0):
        [ended] = train_jobs([job])

        assert ended.failure == f"another process is writing {job.folder}"
        assert [path.name for path in job.folder.iterdir()] == [".lock"]


def test_a_worker_says_how_far_its_chunk_is(tmp_path, monkeypatch):
    monkeypatch.setattr("rnn_exp.sweeps.status._SECONDS_BETWEEN_HEARTBEATS", 0.0)
    seen = []
    assignment = Assignment("chunk-0", jobs_in(tmp_path), tmp_path, 60)

    train_assignment(assignment, lambda: seen.append(chunks_in_training(tmp_path)))

    assert seen[0] == [("chunk-0", 3, 1 / 9, 0.0)]
    assert seen[-1] == [("chunk-0", 2, 1.0, 0.0)]
    assert chunks_in_training(tmp_path) == []


def test_a_jobs_log_is_its_own_and_is_closed_afterwards(tmp_path):
    jobs = []
    for run in RUNS[:2]:
        file = {"class": "logging.FileHandler", "filename": str(tmp_path / run.name / "run.log")}
        jobs.append(
            Job(
                run,
                tmp_path / run.name,
                {"a/note.txt": "é"},
                {
                    "version": 1,
                    "handlers": {"file": file},
                    "root": {"level": "INFO", "handlers": ["file"]},
                    "disable_existing_loggers": False,
                },
            )
        )
    before = list(logging.root.handlers)

    train_jobs(jobs)

    for job, end in zip(
        jobs, ("finished; at update ", "diverged (not finite at update 0"), strict=True
    ):
        first, last = (job.folder / "run.log").read_text().splitlines()
        assert first == job.run.command
        assert last.startswith(end)
        assert (job.folder / "a" / "note.txt").read_text(encoding="utf-8") == "é"
    assert not [h for h in logging.root.handlers if isinstance(h, logging.FileHandler)]
    for handler in before:
        logging.root.addHandler(handler)


def test_a_job_whose_process_ended_before_it_failed_and_one_that_was_done_is_done(tmp_path):
    done, lost = jobs_in(tmp_path, RUNS[:2])
    train_jobs([done])
    lost.folder.mkdir()

    assert mark_lost(done, RuntimeError("killed")) == JobResult("finished")
    assert mark_lost(lost, RuntimeError("killed")).failure == "RuntimeError: killed"
    assert [status_of(job.folder) for job in (done, lost)] == ["finished", "failed"]


def test_leftovers_are_kept_while_another_process_writes_the_folder(tmp_path):
    [job] = jobs_in(tmp_path, RUNS[:1])
    saved = job.folder / unfinished.FOLDER / unfinished.FILE
    with held(job.folder, 0):
        saved.parent.mkdir()
        saved.write_text("in use")

        remove_leftovers(job.folder)

        assert saved.read_text() == "in use"


def test_what_a_killed_process_left_beside_a_finished_run_is_removed(tmp_path):
    [job] = jobs_in(tmp_path, RUNS[:1])
    train_jobs([job])
    whole = results(job)
    (job.folder / unfinished.FOLDER).mkdir()
    before_format_4 = unfinished.FILE
    inside = f"{unfinished.FOLDER}/{unfinished.FILE}"
    for name in (".lock", ".run.json.abc.part", inside, before_format_4):
        (job.folder / name).write_text("left")

    remove_leftovers(job.folder)

    assert {path.name: path.read_bytes() for path in job.folder.iterdir()} == whole


def saved_jobs(folder):
    """Jobs that have been interrupted after five of nine updates."""
    jobs = [job for job in jobs_in(folder) if job.run.init.gain < 2]
    with pytest.raises(KeyboardInterrupt):
        train_jobs(jobs, stop_after(5))
    return jobs


def test_memory_that_cannot_be_had_is_no_fault_of_the_checkpoints(tmp_path, monkeypatch, expected):
    jobs, seen, make = saved_jobs(tmp_path), [], saving.Chunk

    def too_little(runs, snapshots=()):
        if len(runs) > 1:
            raise RuntimeError("can't allocate memory")
        return make(runs, snapshots)

    monkeypatch.setattr(saving, "Chunk", too_little)

    train_jobs(jobs, lambda update: seen.append(update.number))

    assert seen == [5, 6, 7, 8] * 2
    assert all(results(job) == expected[job.run] for job in jobs)
    assert not list(tmp_path.rglob("aside-*"))


@pytest.mark.parametrize("change", [lambda w: w[:-1], lambda w: w.double(), lambda w: None])
def test_a_state_that_does_not_fit_its_run_is_put_aside(tmp_path, monkeypatch, expected, change):
    [job, other], seen, read = saved_jobs(tmp_path), [], checkpoint.read

    def misshapen(folder, run):
        snapshot, parts = read(folder, run)
        state = dict(snapshot.state) | {"weights": change(snapshot.state["weights"])}
        state = {name: tensor for name, tensor in state.items() if tensor is not None}
        return dataclasses.replace(snapshot, state=state), parts

    monkeypatch.setattr(checkpoint, "read", misshapen)

    train_jobs([job], lambda update: seen.append(update.number))

    assert seen == list(range(9))
    assert results(job) == expected[job.run]
    assert (job.folder / "aside-1" / unfinished.FOLDER / unfinished.FILE).exists()
    assert not (other.folder / "aside-1").exists()


def test_a_folder_that_cannot_be_worked_in_fails_its_run_alone(tmp_path, expected):
    bad, good = saved_jobs(tmp_path)
    (bad.folder / unfinished.FOLDER / "00009.gradients.parquet").mkdir()

    first, second = train_jobs([bad, good])

    assert first.status == "failed"
    assert "00009.gradients.parquet" in first.failure
    assert second.status == "finished"
    assert results(good) == expected[good.run]


def test_a_run_whose_remains_cannot_be_removed_is_finished_all_the_same(tmp_path, expected, capsys):
    [job] = jobs_in(tmp_path, RUNS[:1])
    (job.folder / unfinished.FILE).mkdir(parents=True)

    [ended] = train_jobs([job])

    assert ended.status == "finished"
    assert status_of(job.folder) == "finished"
    assert {name: (job.folder / name).read_bytes() for name in results(job)} == expected[job.run]
    assert "could not be removed" in capsys.readouterr().err
