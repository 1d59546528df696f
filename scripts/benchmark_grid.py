"""Time updates with all T norms over sizes, precisions and cells, beside torch's, JAX's, the floor.

    python -m pip install jax; python scripts/benchmark_grid.py            all sizes
    python -m pip install jax; python scripts/benchmark_grid.py --quick    a few of them

An update is that of `benchmark` and `benchmark_peers`, of one run alone or of 32 at once. In JAX it
has the adjoint by hand, of many runs by ``lax.map``: the quickest way there. The floor is the time
of the same multiplications at the speed of the best product that is found, and of the same tanh at
the kernel's speed; nothing can be quicker that computes these. Each rival has its turn in every
round; numbers are medians of the processor's time a run. Compile times are apart.
"""

import argparse
import statistics
import time
from collections.abc import Mapping

import jax
import numpy as np
import torch
from benchmark import Update, fused_update, own_update
from benchmark_peers import by_hand, in_jax

from rnn_exp.networks.kernel.functions import activate
from rnn_exp.networks.kernel.tiles import product
from rnn_exp.schema import ACTIVATION_CODES
from rnn_exp.sweeps import process

_B, _MANY = 20, 32
_SIZES = [(T, H) for H in (32, 64, 128, 256) for T in (50, 100, 500)]
_FEW = [(100, 64)]
_GATED = [(50, 32), (100, 64), (100, 128)]
_GOALS = {1: {"fused": 0.18, "jax": 1.0}, _MANY: {"fused": 0.12, "jax": 0.7, "floor": 2.0}}
_LEAST_ROUNDS, _A_TURN = 3, 0.05  # seconds
_LONG = 5.0  # seconds of a row after which one round is enough: updates of 32 runs take seconds


def turn(update: Update, count: int) -> float:
    """Return the processor's seconds of each of so many updates."""
    start = time.process_time()
    for _ in range(count):
        update()
    return (time.process_time() - start) / count


def medians(rivals: Mapping[str, Update], seconds: float) -> dict[str, float]:
    """Return the median milliseconds of each rival, all of which have a turn in every round.

    A turn is several updates, where they are short: each works in its own cache, as in training.
    """
    counts: dict[str, int] = {}
    for name, update in rivals.items():
        update()
        counts[name] = max(1, min(10, int(_A_TURN / turn(update, 1))))
    times: dict[str, list[float]] = {name: [] for name in rivals}
    begun, rounds = time.perf_counter(), 0
    while (spent := time.perf_counter() - begun) < seconds or (
        rounds < _LEAST_ROUNDS and spent < _LONG
    ):
        for name, update in rivals.items():
            times[name].append(turn(update, counts[name]))
        rounds += 1
    return {name: 1e3 * statistics.median(found) for name, found in times.items()}


class Floor:
    """The quickest that products and tanh were found to be, in one precision.

    Args:
        dtype: the precision.
    """

    def __init__(self, dtype: str) -> None:
        size, made = 384, np.ones((384, 384), dtype)
        left = torch.from_numpy(made) / size
        flat = [one.reshape(-1) for one in (np.empty_like(made), made / size, made)]
        nothing, count, states = np.zeros(size, dtype), 1 << 16, np.ones(1 << 16, dtype)

        def of_kernel() -> object:
            C, A, B = flat
            return product(
                (C, 0, size), (nothing, 0, 0), (A, 0, size, 1), (B, 0, size), (size, size, size)
            )

        def squashed() -> object:
            return activate(ACTIVATION_CODES["tanh"], states, 0, count)

        found = medians(
            {"torch": lambda: left @ left, "kernel": of_kernel, "tanh": squashed}, seconds=1.0
        )
        self.flops = 2 * size**3 / (min(found["torch"], found["kernel"]) / 1e3)
        self.tanh = found["tanh"] / 1e3 / count

    def of(self, T: int, H: int) -> float:
        """Return the milliseconds of an update of one run."""
        states = T * _B * H
        return 1e3 * (6 * states * (H + 2) / self.flops + states * self.tanh)


def verdict(ratio: float, goal: float | None) -> str:
    """Return a ratio beside its goal."""
    if goal is None:
        return f"{ratio:6.2f}       "
    return f"{ratio:6.2f}{' met   ' if ratio <= goal else ' MISSED'}"


def plain(dtype: str, runs: int, sizes: list[tuple[int, int]], seconds: float) -> None:
    """Print a table of plain networks."""
    floor, goals = Floor(dtype), _GOALS[runs]
    together = f"{runs} runs" if runs > 1 else "1 run"
    said = ", ".join(f"/ {name} at most {goal:g}" for name, goal in goals.items())
    print(f"\nplain tanh, {dtype}, {together}; goals: {said}")
    print(f"floor: {floor.flops / 1e9:.0f} GFLOPS, tanh {1e9 * floor.tanh:.2f} ns a number")
    names = ("ours", "fused", "jax", "floor")
    head = " ".join(f"{name + '/ms':>9s}" for name in names)
    ratios = " ".join(f"{'/ ' + name:13s}" for name in names[1:])
    print(f"{'':12s} {head}  {ratios} JAX compiled in/s")
    for T, H in sizes:
        jax_update, compiled = in_jax(by_hand, "lax.map", runs, T, _B, H, dtype)
        rivals = {
            "ours": own_update(T, _B, H, runs, dtype=dtype),
            "fused": fused_update(T, _B, H, dtype=dtype),
            "jax": jax_update,
        }
        found = medians(rivals, seconds) | {"floor": floor.of(T, H)}
        found |= {name: found[name] / runs for name in ("ours", "jax")}
        numbers = " ".join(f"{found[name]:9.3f}" for name in names)
        own = " ".join(verdict(found["ours"] / found[name], goals.get(name)) for name in names[1:])
        print(f"T={T:<4d} H={H:<4d} {numbers}  {own} {compiled:6.1f}", flush=True)


def gated(sizes: list[tuple[int, int]], seconds: float) -> None:
    """Print a table of cells with gates."""
    print("\ncells with gates, a run, beside torch's fused modules; goal: less than 1 everywhere")
    print(f"{'':35s} {'ours/ms':>9s} {'fused/ms':>9s}  ratio")
    for cell in ("gru", "lstm"):
        for dtype in ("float32", "float64"):
            for T, H in sizes:
                rivals = {
                    f"{runs} runs": own_update(T, _B, H, runs, cell=cell, dtype=dtype)
                    for runs in (1, 8)
                }
                rivals["fused"] = fused_update(T, _B, H, cell, dtype)
                found = medians(rivals, seconds)
                for runs in (1, 8):
                    mine = found[f"{runs} runs"] / runs
                    name = f"{cell:5s}{dtype} T={T:<4d} H={H:<4d} in {runs}"
                    ratio = verdict(mine / found["fused"], 1.0)
                    print(f"{name:35s} {mine:9.3f} {found['fused']:9.3f} {ratio}", flush=True)


def main() -> None:
    """Run the benchmark and print its tables."""
    options = argparse.ArgumentParser(description="recorded updates over sizes and precisions")
    options.add_argument("--quick", action="store_true", help="one size of each")
    options.add_argument("--seconds", type=float, default=0.5, help="time for each row")
    chosen = options.parse_args()
    jax.config.update("jax_enable_x64", True)
    process.settle()
    process.use_one_thread()
    print(f"an update with all T norms, B={_B}, one thread, milliseconds a run")
    for dtype in ("float32", "float64"):
        for runs in (1, _MANY):
            plain(dtype, runs, _FEW if chosen.quick else _SIZES, chosen.seconds)
    gated(_FEW if chosen.quick else _GATED, chosen.seconds)


if __name__ == "__main__":
    main()
