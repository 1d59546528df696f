"""Time updates of a network of one's own with and without `record_gradients`, side by side.

    python scripts/benchmark_recorder.py            all sizes (a few minutes)
    python scripts/benchmark_recorder.py --quick    one size

The network is torch's fused module with a linear read-out of the last state, trained by Adam. Ours
records every column of every time step, and its table is read at the end of a round; the rival is
the same update, nothing recorded. Rounds of both alternate in one process on one thread. Times are
those of the processor and not of the clock, and of each place in a round the quickest of all rounds
counts: so what else runs on the machine matters less. Beside them a loop over nn.GRUCell that is
recorded by `steps_of`; the usual way to see ∂L/∂h_t, a loop over nn.RNNCell with `retain_grad`; and
TorchLens's record of such a loop, if it is installed.
"""

import argparse
import functools
import importlib
import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from benchmark import Update, cell_update, report
from torch import Tensor, nn

from rnn_exp import record_gradients
from rnn_exp.sweeps import process

_SIZES = ((50, 16, 32), (100, 20, 50), (100, 64, 128))
_KINDS = (nn.RNN, nn.GRU, nn.LSTM)
_GOALS = ((1, 2.0), (100, 1.02))  # recorded every so many updates: the highest ratio
_FEWEST, _FEWEST_ROUNDS = 20, 5  # updates a round, and rounds


class Model(nn.Module):
    """A fused module and a linear read-out of its last state."""

    def __init__(self, kind: type[nn.RNN | nn.GRU | nn.LSTM], hidden: int) -> None:
        super().__init__()
        self.recurrent, self.readout = kind(10, hidden), nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the answer of each sequence."""
        output: Tensor = self.readout(self.recurrent(x)[0][-1])
        return output


class Loop(nn.Module):
    """The same with a cell that is called once a time step."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.cell, self.readout = nn.GRUCell(10, hidden), nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the answer of each sequence."""
        h = x.new_zeros(x.shape[1], self.cell.hidden_size)
        for x_t in x:
            h = self.cell(x_t, h)
        output: Tensor = self.readout(h)
        return output


def update_of(model: nn.Module, T: int, B: int) -> Update:
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


Recording = Callable[[], AbstractContextManager[object]]


def paired(
    ours: Update, theirs: Update, recording: Recording, updates: int, s: float
) -> tuple[float, float, float]:
    """Return the milliseconds of an update of both that nothing has held up, and their ratio.

    Of each place in a round it is the quickest of all rounds, and of these the mean.
    """
    rivals, end, rounds = [(ours, recording), (theirs, nullcontext)], time.perf_counter() + s, 0
    quickest = [[math.inf] * (updates + 1) for _ in rivals]
    while time.perf_counter() < end or rounds < _FEWEST_ROUNDS:
        for place in (0, 1) if rounds % 2 else (1, 0):
            quickest[place] = [*map(min, quickest[place], _round(*rivals[place], updates))]
        rounds += 1
    mine, other = (1e3 * sum(times) / updates for times in quickest)
    return mine, other, mine / other


def _round(update: Update, recording: Recording, updates: int) -> list[float]:
    """Return the seconds of the processor of each update, and of the end of the recording."""
    update()
    times = []
    with recording():
        times.append(time.process_time())
        for _ in range(updates):
            update()
            times.append(time.process_time())
    times.append(time.process_time())
    return [after - before for before, after in itertools.pairwise(times)]


@contextmanager
def _recorded(model: nn.Module, every: int, steps_of: Sequence[str]) -> Iterator[None]:
    with record_gradients(model, every=every, steps_of=steps_of) as recording:
        yield
    recording.to_frame()


def compare(
    name: str,
    make: Callable[[], nn.Module],
    size: tuple[int, int],
    s: float,
    steps_of: Sequence[str],
) -> None:
    """Print what recording costs, each time of an update."""
    for every, goal in _GOALS:
        model = make()
        update = update_of(model, *size)
        found = paired(
            update,
            update,  # of the same model: where its numbers lie in memory matters too
            functools.partial(_recorded, model, every, steps_of),
            max(every, _FEWEST),
            s,
        )
        report(f"{name}, every={every}", goal, *found)


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
    lens.trace(Loop(), x)  # its name since 2.0
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
    s = chosen.seconds
    for T, B, H in _SIZES[1:2] if chosen.quick else _SIZES:
        size = f"T={T} B={B} H={H}"
        for kind in _KINDS:
            make = functools.partial(Model, kind, H)
            compare(f"nn.{kind.__name__} {size}", make, (T, B), s, ())
        compare(f"nn.GRUCell {size}", functools.partial(Loop, H), (T, B), s, ("cell",))
        unrolled, plain = cell_update(T, B, H), update_of(Model(nn.RNN, H), T, B)
        found = paired(unrolled, plain, nullcontext, _FEWEST, s)
        report(f"nn.RNNCell and retain_grad {size}", float("inf"), *found)
        lens = torchlens(T, B, H)
        said = "not installed" if lens is None else f"{lens:.0f} ms for one forward pass"
        print(f"TorchLens, {size}: {said}")


if __name__ == "__main__":
    main()
