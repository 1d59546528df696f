"""A block with the same weights called again and again: depth is time.

As Dehghani et al. 2019 ("Universal Transformers") describe it: one transformer block, applied to
its own output a number of times. It is named in ``steps_of``, as it is no recurrent module
of torch. The sequences are made up: is a letter there an even or an odd number of times?
"""

import torch
from torch import nn

from rnn_exp import record_gradients

LETTERS, WIDTH = 4, 8


class Universal(nn.Module):
    """Says how often the first letter is there, even or odd."""

    def __init__(self, times=12):
        super().__init__()
        self.times = times
        self.embedding = nn.Embedding(LETTERS, WIDTH)
        self.block = nn.TransformerEncoderLayer(
            WIDTH, nhead=2, dim_feedforward=16, dropout=0.0, batch_first=True, norm_first=True
        )
        self.readout = nn.Linear(WIDTH, 2)

    def forward(self, letters):
        """Return scores of even and odd."""
        state = self.embedding(letters)
        for _ in range(self.times):
            state = self.block(state)
        return self.readout(state.mean(dim=1))


def train(model, optimizer, updates, batch=16, length=6):
    """Train on new sequences each time."""
    for _ in range(updates):
        letters = torch.randint(LETTERS, (batch, length))
        loss = nn.functional.cross_entropy(model(letters), (letters == 0).sum(dim=1) % 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main():
    """Train a little, and say where the gradient goes."""
    torch.manual_seed(0)
    model = Universal()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.001)
    with record_gradients(model, steps_of=["block"], optimizer=optimizer) as recording:
        train(model, optimizer, updates=10)
    print(recording)
    print(f"calls where the gradient is cut: {len(recording.cuts)}")
    return recording


if __name__ == "__main__":
    main()
