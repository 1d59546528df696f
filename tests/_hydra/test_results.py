"""What is said when a sweep has ended."""

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from rnn_exp._hydra.messages import FAILED_RUNS
from rnn_exp._hydra.results import SweepResults


def test_a_failed_run_that_a_sweep_names_twice_is_one_run_everywhere(tmp_path, capsys):
    results = SweepResults()
    for name in ("a", "a", "b"):
        job = JobReturn([f"seed={name}"], working_dir=str(tmp_path / name), status=JobStatus.FAILED)
        job.return_value = RuntimeError("no")
        results.add(job, tmp_path / name, was_done=False)

    results.on_multirun_end(OmegaConf.create({"hydra": {"sweep": {"dir": str(tmp_path)}}}))

    told = capsys.readouterr()
    assert told.out.startswith("2 runs: 0 done, 0 of them diverged, 2 failed, 0 already there\n")
    _, *rows, last = told.err.splitlines()
    assert [row.split()[:2] for row in rows] == [["0", "seed=a"], ["2", "seed=b"]]
    assert last == "rnn-exp: 2 of 2 runs failed; the same command tries them again"
    assert FAILED_RUNS.get() == 2
