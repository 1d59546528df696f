"""Time a recorded update of cells made of a step against hand-written ones, side by side.

    python scripts/benchmark_steps.py    about a minute

Both rivals are ours, in torch: the same recurrence as a step function (`networks.step_cell`) and as
it is built in, once with the norms of ∂L/∂h_t recorded and once with all columns. Rounds are paired
as in benchmark.py. Cells with gates beside torch's fused modules: benchmark_grid.py.
"""

import argparse
from collections.abc import Mapping

import torch
from benchmark import own_update, paired, report
from torch import Tensor

from rnn_exp.networks import CELLS, step_cell
from rnn_exp.sweeps import process

_T, _B, _H, _RUNS = 100, 20, 50, 8


def rnn_step(
    x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    """Return tanh(V x_t + b + W h_{t-1})."""
    (h,) = state
    bias = (weights["bias_ih"] + weights["bias_hh"]).unsqueeze(1)
    return (torch.tanh(x @ weights["weight_ih"].mT + bias + h @ weights["weight_hh"].mT),)


def gru_step(
    x: Tensor, state: tuple[Tensor, ...], weights: Mapping[str, Tensor]
) -> tuple[Tensor, ...]:
    """Return the next state of torch's GRU."""
    (h,) = state
    drive = x @ weights["weight_ih"].mT + weights["bias_ih"].unsqueeze(1)
    hidden = h @ weights["weight_hh"].mT + weights["bias_hh"].unsqueeze(1)
    (r, z, n), (r_h, z_h, m) = drive.chunk(3, -1), hidden.chunk(3, -1)
    z, n = torch.sigmoid(z + z_h), torch.tanh(n + torch.sigmoid(r + r_h) * m)
    return (n + z * (h - n),)


def steps(seconds: float) -> None:
    """Print how much slower a cell made of a step is than the hand-written one."""
    CELLS.register(step_cell("rnn_step", rnn_step))
    CELLS.register(step_cell("gru_step", gru_step, gates=3, candidate=2))
    for cell in ("rnn", "gru"):
        for runs in (1, _RUNS):
            for everything in (False, True):
                mine, other, ratio = paired(
                    own_update(_T, _B, _H, runs, everything, f"{cell}_step"),
                    own_update(_T, _B, _H, runs, everything, cell, engine="scan"),
                    seconds,
                )
                what = "all columns" if everything else "T norms"
                name = f"{cell} step / hand-written, a run of {runs}, {what}"
                report(name, 2.5, mine / runs, other / runs, ratio)


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description="cells made of a step")
    options.add_argument("--seconds", type=float, default=2.0, help="time for each ratio")
    chosen = options.parse_args()
    process.settle()
    process.use_one_thread()
    head = f"{'one update of a run, float32, one thread':52s}"
    print(f"{head} {'ours/ms':>8s} {'its/ms':>8s} {'ratio':>7s} {'goal':>7s}")
    steps(chosen.seconds)


if __name__ == "__main__":
    main()
