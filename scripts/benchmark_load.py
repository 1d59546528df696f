"""Time the loading and the report of a large study against their goals.

    python scripts/benchmark_load.py                          1,000 runs of 10,000 gradient rows
    python scripts/benchmark_load.py --runs 108 --rows 1500   a small one

The study is made up, in a temporary folder: the run.json of real runs, plausible numbers, nothing
trained. Loading and the report each run in a process of their own, so that the peak memory is
theirs alone. Where there is a browser (Debian's chromium-headless-shell, and playwright from the
extra `test`), the page is opened in it and its controls are timed.
"""

import argparse
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.network import Network
from rnn_exp.profiles import RULE
from rnn_exp.storage.hashes import entry_of, sealed
from rnn_exp.storage.writing import describe
from rnn_exp.tasks import Adding
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training

_EVERY = 10
_SLOPES = {"tanh": 0.9, "sigmoid": 0.24}
# What a process that loads everything does, and says of itself at its end. Linux counts the memory
# of the process that started it where that is more, as it is for a small study.
_LOADING = """
import resource, sys, time
start = time.perf_counter()
import rnn_exp
results = rnn_exp.load(sys.argv[1])
rows = len(results.gradients), len(results.updates), len(results.runs), len(results.broken)
seconds = time.perf_counter() - start
print(*rows, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


# What a hand does on the page, each timed until the browser has drawn what comes of it.
_ACTIONS = """
async () => {
  const part = (name) => document.getElementById(`explorer-${name}`);
  const send = (element, type) => element.dispatchEvent(new Event(type, { bubbles: true }));
  const times = {};
  const time = async (name, action) => {
    const start = performance.now();
    action();
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    (times[name] ||= []).push(performance.now() - start);
  };
  for (const select of part("settings").querySelectorAll("select")) {
    for (const option of [...select.options].slice(-5)) {
      await time("choose a run", () => { select.value = option.value; send(select, "change"); });
      const slider = part("update");
      for (const share of [0.3, 0.9]) {
        await time("move the slider", () => {
          slider.value = Math.round(share * slider.max);
          send(slider, "input");
        });
      }
    }
  }
  for (const cell of [...part("map").querySelectorAll("button")].slice(0, 5)) {
    await time("press a cell of the map", () => cell.click());
  }
  for (const head of part("table").querySelectorAll("th button")) {
    await time("sort the table", () => head.click());
  }
  for (const words of ["t", "ta", "tanh", ""]) {
    await time("filter the table", () => {
      part("filter").value = words;
      send(part("filter"), "input");
    });
  }
  return times;
}
"""


def runs_of(count: int, rows: int) -> list[Run]:
    """Return so many runs over length, gain, activation and seed, all with as many rows."""
    grid = itertools.product(
        range(count), np.geomspace(0.25, 4, 10).round(3), _SLOPES, (20, 50, 100, 200, 500)
    )
    return [
        Run(
            Adding(length),
            Network(activation, 64),
            Gaussian(float(gain)),
            Training(updates=(max(rows // length, 1) - 1) * _EVERY + 1),
            Recording(_EVERY),
            seed,
        )
        for seed, gain, activation, length in itertools.islice(grid, count)
    ]


def gradients_of(run: Run, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the gradient table of a run: straight lines in the logarithm, and noise."""
    T = run.task.length
    update, time_step = np.meshgrid(recorded(run), np.arange(1, T + 1), indexing="ij")
    update, time_step = update.ravel(), time_step.ravel()
    lag = T - time_step
    slope = np.log10(rate(run))
    total = -1 + slope * lag + random.normal(0, 0.05, lag.size)
    lost = total < -45
    return {
        "update": update,
        "layer": np.zeros_like(lag),
        "time": time_step,
        "lag": lag,
        "log10_total": np.where(lost, -np.inf, total),
        "log10_direct": np.where(lag == 0, total, -np.inf),
        "log10_contribution": np.where(lost, -np.inf, total - 0.5),
        "saturation": random.uniform(0.2, 0.9, lag.size),
        "state_rms": random.uniform(0.1, 0.8, lag.size),
        **dict.fromkeys(("status", "status_contribution"), np.where(lost, "underflow", "ok")),
        "status_direct": np.where(lag == 0, "ok", "zero"),
    }


def updates_of(run: Run, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Return the table of updates of a run: a falling loss, and noise."""
    update = recorded(run)
    noise = random.uniform(0.9, 1.1, (10, update.size))
    names = (
        "error",
        "grad_norm",
        "recurrent_grad_norm",
        "spectral_radius",
        "largest_singular_value",
        "weight_change",
        "update_norm",
        "update_ratio",
        "learning_rate",
    )
    return {
        "update": update,
        "loss": noise[0] * (0.05 + 0.12 * np.exp(-update / 200)),
        **dict(zip(names, noise[1:], strict=True)),
        "clipped": noise[1] > 1.05,
        "length": np.full_like(update, run.task.length),
        "omega": np.full(update.size, np.nan),
    }


def recorded(run: Run) -> np.ndarray:
    """Return the updates that a run records."""
    return np.arange(0, run.training.updates, _EVERY)


def rate(run: Run) -> float:
    """Return the decay rate that a made-up run has."""
    return _SLOPES[run.network.activation] * run.settings()["init.gain"] ** 0.5


def results_of(run: Run) -> dict[str, Any]:
    """Return what run.json says of a run that has ended."""
    known = {
        "decay_rate": rate(run),
        "half_life": float(np.log(2) / abs(np.log(rate(run)))),
        "verdict": "vanishing" if rate(run) < 1 else "exploding",
    }
    prediction = {"drive": 0.05, "decay_rate": 1.02 * rate(run), "bound": 2 * rate(run)}
    return {
        "status": "finished",
        "diverged": None,
        **known,
        "verdict_rule": RULE,
        "final": known,
        "prediction": prediction,
    }


def generate(study: Path, count: int, rows: int) -> None:
    """Write the folders of a made-up study."""
    random = np.random.default_rng(0)
    for run in runs_of(count, rows):
        folder = study / run.name
        folder.mkdir(parents=True)
        pq.write_table(pa.table(updates_of(run, random)), folder / "updates.parquet")
        pq.write_table(pa.table(gradients_of(run, random)), folder / "gradients.parquet")
        names = ("updates.parquet", "gradients.parquet")
        files = {"files": {name: entry_of(folder / name) for name in names}}
        said = sealed(describe(run) | results_of(run) | files)
        text = json.dumps(said, indent=2, ensure_ascii=False)
        (folder / "run.json").write_text(text, encoding="utf-8")


def report(name: str, unit: str, goal: float, value: float) -> bool:
    """Print one line of the benchmark and say whether its goal is met."""
    met = value <= goal
    print(f"{name:52s} {value:8.2f} {goal:8.2f} {unit:3s} {'met' if met else 'MISSED'}")
    return met


def loaded(study: Path, count: int) -> tuple[float, float]:
    """Return the seconds and the peak gigabytes of a process that loads all of a study."""
    ended = subprocess.run(
        [sys.executable, "-c", _LOADING, study], capture_output=True, text=True, check=True
    )
    rows, updates, runs, broken, seconds, peak = ended.stdout.split()
    print(f"{rows} gradient rows, {updates} updates, {runs} runs, {broken} broken")
    if (int(runs), int(broken)) != (count, 0):
        raise SystemExit("not every run was loaded")
    return float(seconds), float(peak) * 1024 / 1e9


def reported(study: Path) -> tuple[float, float]:
    """Return the seconds that a report takes, and the megabytes of its page."""
    command = "from rnn_exp.commands import report; report()"
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", command, study], capture_output=True, check=True)
    seconds = time.perf_counter() - start
    return seconds, (study / "report" / "index.html").stat().st_size / 1e6


def controlled(page: Path) -> dict[str, float]:
    """Return the milliseconds that each control of the page takes; none without a browser."""
    browser = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        browser = None
    if browser is None:
        print("no browser: the controls of the page are not timed")
        return {}
    plain = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=browser, args=plain)
        window = started.new_page()
        window.goto(page.as_uri())
        times: dict[str, list[float]] = window.evaluate(_ACTIONS)
        started.close()
    return {name: statistics.median(each) for name, each in times.items()}


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description="loading and report of a large study")
    options.add_argument("--runs", type=int, default=1000)
    options.add_argument("--rows", type=int, default=10_000, help="gradient rows of each run")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as place:
        study = Path(place) / "large"
        start = time.perf_counter()
        generate(study, chosen.runs, chosen.rows)
        print(f"{chosen.runs} runs made up in {time.perf_counter() - start:.0f} s")
        seconds, peak = loaded(study, chosen.runs)
        print(f"{'':52s} {'measured':>8s} {'goal':>8s}")
        report("load, all tables read", "s", 10, seconds)
        report("load, peak memory of the process", "GB", 1.5, peak)
        seconds, page = reported(study)
        report("rnn-exp-report", "s", 60, seconds)
        report("its page", "MB", 3 if chosen.runs <= 108 else 15, page)
        for name, median in controlled(study / "report" / "index.html").items():
            report(f"the page: {name} (median)", "ms", 100, median)


if __name__ == "__main__":
    main()
