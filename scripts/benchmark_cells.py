"""Time a recorded update of a GRU and an LSTM against torch's fused modules, side by side.

    python scripts/benchmark_cells.py            all sizes (a few minutes)
    python scripts/benchmark_cells.py --quick    one size
    python scripts/benchmark_cells.py --steps    cells made of a step against hand-written ones

Ours is forward, adjoint, log10 of all T norms of ∂L/∂h_t (and ∂L/∂c_t), and Adam; torch's is the
fused module and a linear read-out, forward, backward and Adam, nothing recorded. Rounds are paired
as in benchmark.py. torch's LSTM on a CPU is oneDNN's fused kernel, its GRU a loop of operations.

With --steps both rivals are ours: the same recurrence as a step function (`networks.step_cell`) and
as it is built in, once with the norms of ∂L/∂h_t recorded and once with all columns.
"""

import argparse
from collections.abc import Mapping

import torch
from benchmark import fused_update, own_update, paired, report
from torch import Tensor

from rnn_exp.networks import CELLS, step_cell
from rnn_exp.sweeps import process

_SIZES = ((50, 16, 32), (100, 20, 50), (100, 32, 64), (100, 64, 128))
_CELLS, _RUNS = ("gru", "lstm"), 8


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
    T, B, H = _SIZES[1]
    for cell in ("rnn", "gru"):
        for runs in (1, _RUNS):
            for everything in (False, True):
                mine, other, ratio = paired(
                    own_update(T, B, H, runs, everything, f"{cell}_step"),
                    own_update(T, B, H, runs, everything, cell, engine="scan"),
                    seconds,
                )
                what = "all columns" if everything else "T norms"
                name = f"{cell} step / hand-written, a run of {runs}, {what}"
                report(name, 2.5, mine / runs, other / runs, ratio)


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description="recorded updates of gated cells")
    options.add_argument("--quick", action="store_true", help="only T=100 B=20 H=50")
    options.add_argument("--seconds", type=float, default=2.0, help="time for each ratio")
    options.add_argument("--steps", action="store_true", help="cells made of a step, at one size")
    chosen = options.parse_args()
    process.settle()
    process.use_one_thread()
    head = f"{'one update of a run, float32, one thread':52s}"
    print(f"{head} {'ours/ms':>8s} {'its/ms':>8s} {'ratio':>7s} {'goal':>7s}")
    if chosen.steps:
        steps(chosen.seconds)
        return
    for cell in _CELLS:
        for T, B, H in (_SIZES[1],) if chosen.quick else _SIZES:
            fused = fused_update(T, B, H, cell)
            for runs in (1, _RUNS):
                ours = own_update(T, B, H, runs, cell=cell)
                mine, other, ratio = paired(ours, fused, chosen.seconds)
                name = f"{cell} T={T} B={B} H={H}, a run of {runs} / fused nn.{cell.upper()}"
                report(name, 1.0, mine / runs, other, ratio / runs)


if __name__ == "__main__":
    main()
