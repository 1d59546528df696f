"""Time a recorded update of a GRU and an LSTM against torch's fused modules, side by side.

    python scripts/benchmark_cells.py            all sizes (a few minutes)
    python scripts/benchmark_cells.py --quick    one size

Ours is forward, adjoint, log10 of all T norms of ∂L/∂h_t (and ∂L/∂c_t), and Adam; torch's is the
fused module and a linear read-out, forward, backward and Adam, nothing recorded. Rounds are paired
as in benchmark.py. torch's LSTM on a CPU is oneDNN's fused kernel, its GRU a loop of operations.
"""

import argparse

from benchmark import fused_update, paired, report, scan_update

from rnn_exp.sweeps import process

_SIZES = ((50, 16, 32), (100, 20, 50), (100, 32, 64), (100, 64, 128))
_CELLS, _RUNS = ("gru", "lstm"), 8


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description="recorded updates of gated cells")
    options.add_argument("--quick", action="store_true", help="only T=100 B=20 H=50")
    options.add_argument("--seconds", type=float, default=2.0, help="time for each ratio")
    chosen = options.parse_args()
    process.settle()
    process.use_one_thread()
    head = f"{'one update of a run, float32, one thread':52s}"
    print(f"{head} {'ours/ms':>8s} {'its/ms':>8s} {'ratio':>7s} {'goal':>7s}")
    for cell in _CELLS:
        for T, B, H in (_SIZES[1],) if chosen.quick else _SIZES:
            fused = fused_update(T, B, H, cell)
            for runs in (1, _RUNS):
                ours = scan_update(T, B, H, runs, cell=cell)
                mine, other, ratio = paired(ours, fused, chosen.seconds)
                name = f"{cell} T={T} B={B} H={H}, a run of {runs} / fused nn.{cell.upper()}"
                report(name, 1.0, mine / runs, other, ratio / runs)


if __name__ == "__main__":
    main()
