"""Time a sweep from the shell to its last file, side by side with the usual way of doing it.

    python scripts/benchmark_sweep.py            96 runs of n=32, T=50, batch 16, 50 updates
    python scripts/benchmark_sweep.py --quick    8 of them

The usual way is ``plain_sweep.py``: Hydra's own launcher and sweeper with a plain nn.RNN loop that
records nothing. Where JAX is installed ``jax_sweep.py`` is another rival: ``vmap`` over seeds, and
nothing recorded. A round times each command once, one after the other; ratios are taken round by
round, and what is printed is the median. Compiled kernels are there before the first round.
"""

import argparse
import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
SIZES = (
    "task.length=50",
    "network.hidden_size=32",
    "training.batch_size=16",
    "training.updates=50",
)
PLAIN = (
    "hydra/launcher=basic",
    "hydra/sweeper=basic",
    "hydra.sweep.subdir=${hydra.job.num}",
    "hydra.sweep.dir=usual",
    "~hydra.callbacks.check_before_start",  # they look for what this package writes
    "~hydra.callbacks.say_results",
)
COMMAND = "import sys; from rnn_exp.app import main; sys.argv[0] = 'rnn-exp'; main()"
HELP = f"import sys; sys.argv.append('--help'); {COMMAND}"
# The same runs, trained and written by the same worker, with no command line in front of it.
WITHOUT = """
import sys
from pathlib import Path
from rnn_exp.sweeps import process
process.settle()
from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.network import Network
from rnn_exp.tasks import Adding
from rnn_exp.training.planning import chunks
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training
from rnn_exp.sweeps.jobs import Assignment, Job
from rnn_exp.sweeps.worker import train_assignment
runs = [Run(Adding(50), Network(hidden_size=32), Gaussian(gain), Training(50), seed=seed)
        for gain in map(float, sys.argv[1].split(",")) for seed in range(int(sys.argv[2]))]
for number, chunk in enumerate(chunks(runs)):
    jobs = [Job(run, Path(run.name)) for run in chunk]
    for result in train_assignment(Assignment(f"chunk-{number}", jobs, Path(), 60.0)):
        assert result.status == "finished", result
"""


def run(words: Sequence[str]) -> tuple[float, float]:
    """Run a Python command in an empty folder; return the seconds it took, and those of a core."""
    with tempfile.TemporaryDirectory() as folder:
        start, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, *words],
            cwd=folder,
            check=True,
            capture_output=True,
            env=os.environ | {"PYTHONPATH": str(HERE.parent)},
        )
        wall, now = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime


def report(name: str, unit: str, found: float, goal: float) -> None:
    """Print one line of the benchmark."""
    verdict = "met" if found <= goal else "MISSED"
    print(f"{name:58s} {found:8.3f} {unit:3s} {goal:8.3f}  {verdict}", flush=True)


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description="a sweep against the usual way of doing it")
    options.add_argument("--quick", action="store_true", help="8 runs, one round")
    options.add_argument("--rounds", type=int, default=3)
    chosen = options.parse_args()
    gains, seeds = ("0.5,1", 4) if chosen.quick else ("0.5,0.8,1,1.5", 24)
    runs = (gains.count(",") + 1) * seeds
    sweep = ("-m", *SIZES, f"init.gain={gains}", f"seed=range({seeds})")
    run(["-c", COMMAND, *SIZES])  # kernels are compiled once for a machine
    ours, usual, bare, in_jax = [], [], [], []
    for _ in range(1 if chosen.quick else chosen.rounds):
        ours.append(run(["-c", COMMAND, *sweep]))
        usual.append(run([str(HERE / "plain_sweep.py"), *sweep, *PLAIN]))
        bare.append(run(["-c", WITHOUT, gains, str(seeds)]))
        if importlib.util.find_spec("jax") is not None:
            in_jax.append(run([str(HERE / "jax_sweep.py"), gains, str(seeds)]))
    middle = statistics.median
    walls = [middle(wall for wall, _ in each) for each in (ours, usual, bare)]
    print(
        f"{runs} runs: {walls[0]:.2f} s; plain nn.RNN under Hydra's launcher "
        f"{walls[1]:.2f} s; this package without Hydra {walls[2]:.2f} s"
    )
    print(f"{'':58s} {'found':>8s}     {'goal':>8s}")
    ratio = middle(a / b for (a, _), (b, _) in zip(ours, usual, strict=True))
    report("a sweep / the usual way, wall time", "", ratio, 0.25)
    ratio = middle(a / b for (_, a), (_, b) in zip(ours, usual, strict=True))
    report("a sweep / the usual way, time of a core", "", ratio, 0.25)
    if in_jax:
        ratio = middle(a / b for (a, _), (b, _) in zip(ours, in_jax, strict=True))
        report("a sweep / JAX with vmap over seeds, wall time", "", ratio, 1.0)
        ratio = middle(a / b for (_, a), (_, b) in zip(ours, in_jax, strict=True))
        report("a sweep / JAX with vmap over seeds, time of a core", "", ratio, 1.0)
    share = middle(1e3 * (a - b) / runs for (_, a), (_, b) in zip(ours, bare, strict=True))
    report("Hydra's share of a run, time of a core", "ms", share, 15.0)
    started, imported = (
        middle(run(["-c", code])[0] for _ in range(7)) for code in (HELP, "import hydra")
    )
    report("rnn-exp --help", "s", started, 0.4)
    print(f"(import hydra alone takes {imported:.3f} s; --help does without it)")


if __name__ == "__main__":
    main()
