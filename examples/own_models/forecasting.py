"""Forecasting: a window of a series in, its next values out, from the last state of a GRU.

What a first program for time series looks like: sliding windows (batch, time, 1), ``batch_first``,
``output[:, -1]`` into a linear layer, mean squared error, Adam. The series is made up: two waves
and noise.
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from rnn_exp import record_gradients

AHEAD = 3


def windows(length=100, steps=20):
    """Return windows (window, time, 1) of a series, and what follows each."""
    time = torch.arange(length, dtype=torch.get_default_dtype())
    series = torch.sin(time / 4) + 0.5 * torch.sin(time / 11) + 0.1 * torch.randn(length)
    both = series.unfold(0, steps + AHEAD, 1)
    return TensorDataset(both[:, :steps].unsqueeze(-1), both[:, steps:])


class Forecaster(nn.Module):
    """Says the next values."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 16, batch_first=True)
        self.head = nn.Linear(16, AHEAD)

    def forward(self, window):
        """Return the next values, (window, ahead)."""
        output, _ = self.gru(window)
        return self.head(output[:, -1])


def train(model, optimizer, epochs):
    """Train on all windows, in any order."""
    loader = DataLoader(windows(), batch_size=16, shuffle=True)
    for _ in range(epochs):
        for window, target in loader:
            loss = nn.functional.mse_loss(model(window), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()


def main():
    """Train a little, and say where the gradient goes."""
    torch.manual_seed(0)
    model = Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with record_gradients(model, every=5, optimizer=optimizer) as recording:
        train(model, optimizer, epochs=3)
    print(recording)
    return recording


if __name__ == "__main__":
    main()
