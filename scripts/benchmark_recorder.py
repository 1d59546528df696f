"""Time updates of a network of one's own with and without `record_gradients`, side by side.

    python scripts/benchmark_recorder.py            all sizes (a few minutes)
    python scripts/benchmark_recorder.py --quick    one size

The network is torch's fused module with a linear read-out of the last state, trained by Adam. Ours
records every column of every time step; the rival is the same update, nothing recorded. Rounds of
100 updates are paired in one process on one thread. Beside them the usual way to see ∂L/∂h_t: a
loop over nn.RNNCell with `retain_grad`; and TorchLens's record of such a loop, if it is installed.
"""

import argparse
import functools
import importlib
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from benchmark import Update, cell_update, report
from torch import Tensor, nn

from rnn_exp import record_gradients
from rnn_exp.sweeps import process

_SIZES = ((50, 16, 32), (100, 20, 50), (100, 64, 128))
_KINDS = (nn.RNN, nn.GRU, nn.LSTM)
_ROUND = 100


class Model(nn.Module):
    """A fused module and a linear read-out of its last state."""

    def __init__(self, kind: type[nn.RNN | nn.GRU | nn.LSTM], hidden: int) -> None:
        super().__init__()
        self.recurrent, self.readout = kind(10, hidden), nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the answer of each sequence."""
        output: Tensor = self.readout(self.recurrent(x)[0][-1])
        return output


def update_of(model: Model, T: int, B: int) -> Update:
    """Return one update of a model on fixed sequences."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    x, y = torch.randn(T, B, 10), torch.randn(B, 1)

    def update() -> object:
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    return update


def paired(
    ours: Update, theirs: Update, recording: Callable[[], AbstractContextManager[object]], s: float
) -> tuple[float, float, float]:
    """Return the median milliseconds of both in rounds of updates, and of the paired ratios."""
    times: list[tuple[float, float]] = []
    end = time.perf_counter() + s
    while time.perf_counter() < end or len(times) < 5:
        pair = [
            _round(ours, recording, _ROUND),
            _round(theirs, nullcontext, _ROUND),
        ]
        times.append((pair[0], pair[1]))
    mine, other = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
    return mine, other, statistics.median(a / b for a, b in times)


def _round(
    update: Update, recording: Callable[[], AbstractContextManager[object]], updates: int
) -> float:
    with recording():
        update()
        start = time.perf_counter()
        for _ in range(updates):
            update()
        return (time.perf_counter() - start) / updates


@contextmanager
def _recorded(model: Model, every: int) -> Iterator[None]:
    with record_gradients(model, every=every):
        yield


def torchlens(T: int, B: int, H: int) -> float | None:
    """Return the milliseconds of TorchLens's record of a forward pass; None: it is not there."""
    try:
        lens = importlib.import_module("torchlens")
    except ImportError:
        return None
    cell, x = nn.RNNCell(10, H), torch.randn(T, B, 10)

    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = cell

        def forward(self, x: Tensor) -> Tensor:
            h = torch.zeros(B, H)
            for x_t in x:
                h = self.cell(x_t, h)
            return h

    start = time.perf_counter()
    lens.log_forward_pass(Loop(), x)
    return 1e3 * (time.perf_counter() - start)


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description="a network of one's own, recorded and not")
    options.add_argument("--quick", action="store_true", help="only T=100 B=20 H=50")
    options.add_argument("--seconds", type=float, default=3.0, help="time for each ratio")
    chosen = options.parse_args()
    process.settle()
    process.use_one_thread()
    head = f"{'one update, float32, one thread':52s}"
    print(f"{head} {'with/ms':>8s} {'without':>8s} {'ratio':>7s} {'goal':>7s}")
    for T, B, H in _SIZES[1:2] if chosen.quick else _SIZES:
        for kind in _KINDS:
            for every, goal in ((1, 2.0), (100, 1.02)):
                model, other = Model(kind, H), Model(kind, H)
                found = paired(
                    update_of(model, T, B),
                    update_of(other, T, B),
                    functools.partial(_recorded, model, every),
                    chosen.seconds,
                )
                report(f"nn.{kind.__name__} T={T} B={B} H={H}, every={every}", goal, *found)
        unrolled = cell_update(T, B, H)
        plain = update_of(Model(nn.RNN, H), T, B)
        found = paired(unrolled, plain, nullcontext, chosen.seconds)
        report(f"nn.RNNCell and retain_grad T={T} B={B} H={H}", float("inf"), *found)
        lens = torchlens(T, B, H)
        said = "not installed" if lens is None else f"{lens:.0f} ms for one forward pass"
        print(f"TorchLens, T={T} B={B} H={H}: {said}")


if __name__ == "__main__":
    main()
