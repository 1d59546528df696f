"""Sequence to sequence with attention: a GRU reads, a cell writes a step at a time, with a teacher.

As Bahdanau, Cho & Bengio 2015 ("Neural Machine Translation by Jointly Learning to Align and
Translate") describe it: the state of the decoder asks, the outputs of the encoder are weighed, and
what comes of it is read together with the word before, in half of the sequences the right one (the
teacher), else its own. The sequences are made up: write what was read, backwards. The encoder is
found; the cell of the decoder, which is called once a step, is named.
"""

import torch
from torch import nn

from rnn_exp import record_gradients

START, LETTERS, H = 0, 6, 10


class Attention(nn.Module):
    """Weighs the outputs of the encoder by a score with the state of the decoder."""

    def __init__(self):
        super().__init__()
        self.asked, self.there = nn.Linear(H, H, bias=False), nn.Linear(2 * H, H)
        self.score = nn.Linear(H, 1, bias=False)

    def forward(self, state, outputs):
        """Return what was read, weighed."""
        scores = self.score(torch.tanh(self.asked(state).unsqueeze(1) + self.there(outputs)))
        return (scores.softmax(dim=1) * outputs).sum(dim=1)


class Decoder(nn.Module):
    """Writes one letter after the other."""

    def __init__(self):
        super().__init__()
        self.embedding, self.attention = nn.Embedding(LETTERS, H), Attention()
        self.cell = nn.GRUCell(H + 2 * H, H)
        self.readout = nn.Linear(H, LETTERS)

    def forward(self, outputs, state, targets, has_teacher):
        """Return scores of all letters, (batch, time, letter)."""
        letter, written = torch.full_like(targets[:, 0], START), []
        for target in targets.T:
            seen = self.attention(state, outputs)
            state = self.cell(torch.cat([self.embedding(letter), seen], dim=1), state)
            written.append(self.readout(state))
            letter = target if has_teacher else written[-1].argmax(dim=1)
        return torch.stack(written, dim=1)


class Translator(nn.Module):
    """Reads a sequence in both directions and writes another."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(LETTERS, H)
        self.encoder = nn.GRU(H, H, bidirectional=True, batch_first=True)
        self.bridge, self.decoder = nn.Linear(H, H), Decoder()

    def forward(self, read, targets, has_teacher):
        """Return scores of all letters, (batch, time, letter)."""
        outputs, last = self.encoder(self.embedding(read))
        state = torch.tanh(self.bridge(last[1]))
        return self.decoder(outputs, state, targets, has_teacher)


def train(model, optimizer, updates, length=8, batch=8):
    """Train on new sequences each time."""
    for _ in range(updates):
        read = torch.randint(1, LETTERS, (batch, length))
        targets, has_teacher = read.flip(1), torch.rand(()).item() < 0.5
        logits = model(read, targets, has_teacher)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


def main():
    """Train a little, and say where the gradient goes."""
    torch.manual_seed(0)
    model = Translator()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with record_gradients(model, steps_of=["decoder.cell"], optimizer=optimizer) as recording:
        train(model, optimizer, updates=10)
    print(recording)
    print(f"calls where the gradient is cut: {len(recording.cuts)}")
    return recording


if __name__ == "__main__":
    main()
