"""The usual way, to compare with: a Hydra sweep of plain nn.RNN loops, nothing recorded.

    python scripts/plain_sweep.py -m task.length=50 seed=0,1,2

It has this project's configuration, Hydra's own launcher and sweeper, and writes each run's losses.
"""

import json
from pathlib import Path

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from torch import nn

CONF = Path(__file__).resolve().parent.parent / "conf"


class Network(nn.Module):
    """torch's fused RNN and a linear read-out of its last state."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.rnn = nn.RNN(2, hidden_size)
        self.readout = nn.Linear(hidden_size, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the answers to a batch of sequences."""
        answer: torch.Tensor = self.readout(self.rnn(x)[0][-1])
        return answer.squeeze(-1)


def draw(T: int, B: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw a batch of the adding problem."""
    values, markers = torch.rand(T, B), torch.zeros(T, B)
    where = torch.stack([torch.randint(0, T // 2, (B,)), torch.randint(T // 2, T, (B,))])
    markers.scatter_(0, where, 1.0)
    return torch.stack([markers, values], dim=-1), values.gather(0, where).sum(0)


def job(config: DictConfig) -> None:
    """Train one network and write its losses."""
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    model = Network(config.network.hidden_size)
    deviation = config.init.gain / config.network.hidden_size**0.5
    nn.init.normal_(model.rnn.get_parameter("weight_hh_l0"), 0, deviation)
    optimizer = torch.optim.SGD(model.parameters(), lr=config.training.learning_rate)
    losses = []
    for _ in range(config.training.updates):
        x, y = draw(config.task.length, config.training.batch_size)
        optimizer.zero_grad()
        loss = (model(x) - y).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    folder = Path(HydraConfig.get().runtime.output_dir)
    (folder / "losses.json").write_text(json.dumps(losses), encoding="utf-8")


if __name__ == "__main__":
    hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")(job)()
