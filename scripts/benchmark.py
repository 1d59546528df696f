"""Time a recorded update against torch's own, side by side in one process on one thread.

    python scripts/benchmark.py

Other sizes, precisions and cells are in `benchmark_grid`.

Every number is the median of paired rounds: a round times a few updates of one rival, then as many
of the other, so that a change in the machine's speed hits both and each works in its own cache, as
it does in training. Ratios are taken round by round. What is counted is the processor's time.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from rnn_exp.networks.cells import Cell
from rnn_exp.networks.gradients import Gradients
from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.network import DTYPES, ENGINES, Network, shapes
from rnn_exp.networks.parameters import Parameters
from rnn_exp.networks.readout import Objective
from rnn_exp.sweeps import process
from rnn_exp.tasks import Adding, TaskLoss
from rnn_exp.theory.edge import initial_weights
from rnn_exp.training.batch import RunBatch
from rnn_exp.training.columns import profile
from rnn_exp.training.loop import find_divergences
from rnn_exp.training.measured import log10_norms
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.recorder import Recorder, of_step
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training

Update = Callable[[], object]
_UPDATES_A_ROUND = 5
_FUSED: dict[str, type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]] = {
    "rnn": nn.RNN,
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}


def own_update(
    T: int,
    B: int,
    H: int,
    runs: int = 1,
    everything: bool = False,
    cell: str = "rnn",
    engine: str = "auto",
    dtype: str = "float32",
) -> Update:
    """Return one recorded update of this package: all T norms (of c too), and Adam."""
    network = Network(hidden_size=H, cell=cell, engine=engine, dtype=dtype).decided("cpu")
    task = Adding(T)
    sizes = shapes(network, task.input_size, task.output_size)
    drawn = [Gaussian(0.9).draw(sizes, seed) for seed in range(runs)]
    parameters = Parameters.stack(drawn, network.torch_dtype)
    optimizer = OPTIMIZERS["adam"]
    training = Training(optimizer="adam")
    memory = optimizer.memory(parameters.flat, training)
    own = optimizer.arguments(training, parameters.layout)
    step = optimizer.step_of(network.engine)
    views = parameters.views()
    batch = task.draw(B, torch.Generator().manual_seed(0))
    x = batch.inputs.unsqueeze(1).expand(-1, runs, -1, -1).contiguous().to(network.torch_dtype)
    y = batch.targets.expand(runs, 1, -1).to(network.torch_dtype)

    def update() -> object:
        asked = Objective(TaskLoss(task, y))
        gradients = ENGINES[network.engine].run(views, x, asked, network)
        layer = network.make_cell()
        norms = profile(gradients, layer) if everything else norms_of(gradients, layer)
        gradient = parameters.pack(gradients.parameters)
        step(parameters.flat, gradient, memory, 1e-4, **own)
        return norms

    return update


def norms_of(gradients: Gradients, cell: Cell) -> list[torch.Tensor]:
    """Return log10 of the norms of ∂L/∂h_t and, of an LSTM, of ∂L/∂c_t; of one layer."""
    [totals] = gradients.whole.totals
    recorded = [totals.total] if totals.memory is None else [totals.total, totals.memory]
    return [log10_norms(tensor, cell) for tensor in recorded]


class _Fused(nn.Module):
    """The usual way: torch's fused module and a linear read-out."""

    def __init__(self, cell: str, H: int) -> None:
        super().__init__()
        self.recurrent, self.readout = _FUSED[cell](2, H), nn.Linear(H, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.readout(self.recurrent(x)[0][-1])


def fused_update(T: int, B: int, H: int, cell: str = "rnn", dtype: str = "float32") -> Update:
    """Return the same update on torch's fused module, nothing recorded."""
    model, task = _Fused(cell, H).to(DTYPES[dtype]), Adding(T)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    batch = task.draw(B, torch.Generator().manual_seed(0))
    x, y = batch.inputs.to(DTYPES[dtype]), batch.targets[0].to(DTYPES[dtype])

    def update() -> object:
        optimizer.zero_grad()
        loss = (model(x).squeeze(-1) - y).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    return update


def cell_update(T: int, B: int, H: int) -> Update:
    """Return the same update on an RNNCell loop that retains the gradient of every state."""
    cell, readout, task = nn.RNNCell(2, H), nn.Linear(H, 1), Adding(T)
    optimizer = torch.optim.Adam([*cell.parameters(), *readout.parameters()], lr=1e-4)
    batch = task.draw(B, torch.Generator().manual_seed(0))

    def update() -> object:
        optimizer.zero_grad()
        h, states = torch.zeros(B, H), []
        for x in batch.inputs:
            h = cell(x, h)
            h.retain_grad()
            states.append(h)
        (readout(h).squeeze(-1) - batch.targets[0]).square().mean().backward()
        norms = torch.stack([state.grad.norm() for state in states if state.grad is not None])
        optimizer.step()
        return norms

    return update


def training_update(T: int, B: int, H: int, runs: int, *, recorded: bool) -> Update:
    """Return an update as training makes it, with every column but the spectrum, or none."""
    training, recording = Training(10**6, B, learning_rate=1e-4), Recording(1, spectrum_every=0)
    network = Network(hidden_size=H)
    members = [
        Run(Adding(T), network, Gaussian(0.9), training, recording, seed=seed)
        for seed in range(runs)
    ]
    drawn = [initial_weights(run.network, run.init, run.task, run.seed) for run in members]
    batch, recorder = RunBatch(members, Parameters.stack(drawn, torch.float32)), Recorder(members)

    def update() -> object:
        number, data = batch.begin(), batch.draw()
        gradients = batch.gradients(data)
        find_divergences(number, batch, data, gradients)
        found = recorder.measure(max(1, number), batch, data, gradients) if recorded else {}
        before = batch.packed() if recorded else None
        batch.step(gradients)
        if before is not None:
            found |= of_step(before, batch.packed(), batch.runs, batch.runs)
        batch.end()
        return found

    return update


def paired(ours: Update, theirs: Update, seconds: float) -> tuple[float, float, float]:
    """Return the median milliseconds of both, and the median of the paired ratios."""
    for update in (ours, theirs):
        update()
    times: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 5:
        pair = []
        for update in (ours, theirs):
            start = time.process_time()
            for _ in range(_UPDATES_A_ROUND):
                update()
            pair.append((time.process_time() - start) / _UPDATES_A_ROUND)
        times.append((pair[0], pair[1]))
    mine, other = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
    return mine, other, statistics.median(a / b for a, b in times)


def report(name: str, goal: float, mine: float, other: float, ratio: float) -> bool:
    """Print one line of the benchmark and say whether its goal is met."""
    met = ratio <= goal
    verdict = "met" if met else "MISSED"
    print(f"{name:52s} {mine:8.2f} {other:8.2f} {ratio:7.2f} {goal:7.2f}  {verdict}")
    return met


def main() -> None:
    """Run the benchmark and print its table."""
    options = argparse.ArgumentParser(description="recorded updates against torch's own")
    options.add_argument("--seconds", type=float, default=2.0, help="time for each ratio")
    chosen = options.parse_args()
    process.settle()
    process.use_one_thread()
    s = chosen.seconds
    head = f"{'one update, float32, one thread':52s}"
    print(f"{head} {'ours/ms':>8s} {'its/ms':>8s} {'ratio':>7s} {'goal':>7s}")
    main_size = (100, 20, 50)
    fused = fused_update(*main_size)
    for name, goal, ours, theirs, runs in (
        ("T norms / fused nn.RNN, none", 0.18, own_update(*main_size), fused, 1),
        ("T norms, 32 runs, a run / fused", 0.12, own_update(*main_size, runs=32), fused, 32),
        ("all columns / fused nn.RNN", 0.5, own_update(*main_size, everything=True), fused, 1),
        (
            "T norms / RNNCell + retain_grad",
            0.18,
            own_update(*main_size),
            cell_update(*main_size),
            1,
        ),
        (
            "T norms, engine=scan / fused nn.RNN",
            0.6,
            own_update(*main_size, engine="scan"),
            fused,
            1,
        ),
    ):
        mine, other, ratio = paired(ours, theirs, s)
        report(f"T=100 B=20 H=50, {name}", goal, mine / runs, other, ratio / runs)
    for cell in ("gru", "lstm"):
        ours, theirs = own_update(*main_size, cell=cell), fused_update(*main_size, cell=cell)
        report(f"T=100 B=20 H=50, T norms / fused {cell}", 1.0, *paired(ours, theirs, s))
    mine, other, ratio = paired(own_update(100, 16, 32, runs=32), own_update(100, 16, 32), s)
    report("T=100 B=16 H=32, 32 runs, a run / 1 run", 0.5, mine / 32, other, ratio / 32)
    for H in (32, 64, 128):
        size = (100, 20, H, 8)
        recorded, plain = (training_update(*size, recorded=which) for which in (True, False))
        report(
            f"T=100 B=20 H={H} in 8, all but spectrum / nothing",
            1.5,
            *paired(recorded, plain, s),
        )


if __name__ == "__main__":
    main()
