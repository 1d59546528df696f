"""Time a recorded update of a GRU and an LSTM against torch's fused modules, side by side.

    python scripts/benchmark_cells.py            all sizes (a few minutes)
    python scripts/benchmark_cells.py --quick    one size

Ours is forward, adjoint, log10 of all T norms of ∂L/∂h_t (and ∂L/∂c_t), and Adam; torch's is the
fused module and a linear read-out, forward, backward and Adam, nothing recorded. Rounds are paired
as in benchmark.py. torch's LSTM on a CPU is oneDNN's fused kernel, its GRU a loop of operations.
"""

import argparse

import torch
from benchmark import Update, paired, report
from torch import nn

from rnn_exp import process
from rnn_exp.engines import scan_engine
from rnn_exp.inits import TorchDefault
from rnn_exp.network import Network, Parameters, shapes
from rnn_exp.norms import log10_norm
from rnn_exp.optimizers import OPTIMIZERS, memory_of
from rnn_exp.readout import Asked
from rnn_exp.tasks import Adding

_SIZES = ((50, 16, 32), (100, 20, 50), (100, 32, 64), (100, 64, 128))
_FUSED: dict[str, type[nn.GRU] | type[nn.LSTM]] = {"gru": nn.GRU, "lstm": nn.LSTM}
_RUNS = 8


def recorded_update(cell: str, T: int, B: int, H: int, runs: int = 1) -> Update:
    """Return one recorded update of this package: all T norms, and Adam."""
    network, task = Network(hidden_size=H, cell=cell), Adding(T)
    sizes = shapes(network, task.input_size, task.output_size)
    drawn = [TorchDefault().draw(sizes, seed) for seed in range(runs)]
    parameters = Parameters.stack(drawn, torch.float32)
    move, memory = OPTIMIZERS["adam"], memory_of("adam", parameters.flat)
    views = parameters.views()
    batch = task.draw(B, torch.Generator().manual_seed(0))
    x = batch.inputs.unsqueeze(1).expand(-1, runs, -1, -1).contiguous()
    y = batch.targets.expand(runs, 1, -1)

    def update() -> object:
        asked = Asked(lambda outputs: task.loss(outputs, y))
        gradients = scan_engine(views, x, asked, network)
        [found] = gradients.adjoints
        recorded = [found.total] if found.memory is None else [found.total, found.memory]
        norms = [log10_norm(tensor) for tensor in recorded]
        move(parameters.flat, parameters.pack(gradients.parameters), memory, 1e-4)
        return norms

    return update


class _Fused(nn.Module):
    """The usual way: torch's fused module and a linear read-out."""

    def __init__(self, cell: str, H: int) -> None:
        super().__init__()
        self.recurrent, self.readout = _FUSED[cell](2, H), nn.Linear(H, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.readout(self.recurrent(x)[0][-1])


def fused_update(cell: str, T: int, B: int, H: int) -> Update:
    """Return the same update on torch's fused module, nothing recorded."""
    model, task = _Fused(cell, H), Adding(T)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)
    batch = task.draw(B, torch.Generator().manual_seed(0))

    def update() -> object:
        optimizer.zero_grad()
        loss = (model(batch.inputs).squeeze(-1) - batch.targets[0]).square().mean()
        loss.backward()
        optimizer.step()
        return loss

    return update


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
    for cell in _FUSED:
        for T, B, H in (_SIZES[1],) if chosen.quick else _SIZES:
            fused = fused_update(cell, T, B, H)
            for runs in (1, _RUNS):
                ours = recorded_update(cell, T, B, H, runs)
                mine, other, ratio = paired(ours, fused, chosen.seconds)
                name = f"{cell} T={T} B={B} H={H}, a run of {runs} / fused nn.{cell.upper()}"
                report(name, 1.0, mine / runs, other, ratio / runs)


if __name__ == "__main__":
    main()
