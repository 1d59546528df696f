"""Digits read pixel by pixel: an LSTM sees one of 64 pixels a step and names the digit at the end.

As Le, Jaitly & Hinton 2015 ("A Simple Way to Initialize Recurrent Networks of Rectified Linear
Units") describe the task, with the small images that scikit-learn brings; nothing is downloaded.
One loss, at the last step: the profile shows how far back it reaches.
"""

import sys

import torch
from torch import nn

from rnn_exp import record_gradients

TRAINING = 1437  # of 1,797 images: four in five


def images():
    """Return all images (image, time, 1), from 0 to 1, and their digits."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        sys.exit(
            "the digits come with scikit-learn, which is not installed: pip install scikit-learn"
        )
    bundle = load_digits()
    pixels = torch.tensor(bundle.data / 16, dtype=torch.get_default_dtype()).unsqueeze(-1)
    return pixels, torch.tensor(bundle.target)


class Reader(nn.Module):
    """Names a digit after the last pixel."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 32, batch_first=True)
        self.readout = nn.Linear(32, 10)

    def forward(self, pixels):
        """Return a score a digit, (image, 10)."""
        return self.readout(self.lstm(pixels)[0][:, -1])


def train(model, optimizer, updates, batch=64):
    """Train on images drawn from the first 1,437, with replacement."""
    pixels, digits = images()
    for _ in range(updates):
        drawn = torch.randint(TRAINING, (batch,))
        loss = nn.functional.cross_entropy(model(pixels[drawn]), digits[drawn])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@torch.no_grad()
def error(model):
    """Return the share of the other 360 images that are named wrongly."""
    pixels, digits = images()
    return (model(pixels[TRAINING:]).argmax(1) != digits[TRAINING:]).double().mean().item()


def main(updates=100):
    """Train, and say how far back the gradient reaches before and after."""
    torch.manual_seed(0)
    model = Reader()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with record_gradients(model, every=max(1, updates - 1), optimizer=optimizer) as recording:
        train(model, optimizer, updates)
    print(recording)
    print(f"wrong on images that were not seen: {error(model):.0%}")
    return recording


if __name__ == "__main__":
    main()
