"""Tagging: packed sentences of different lengths through a bidirectional LSTM.

As Huang, Xu & Yu 2015 ("Bidirectional LSTM-CRF Models for Sequence Tagging") describe their
BI-LSTM: an embedding, one LSTM that reads forwards and one that reads backwards, a tag a word.
The words are made up: the tag says whether the same word comes again later in the sentence.
"""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

from rnn_exp import record_gradients

NO_TAG = -100  # what cross_entropy leaves out


def sentences(number, words=8, longest=12):
    """Return sentences (batch, time) and their tags, padded, and their lengths."""
    lengths = torch.randint(3, longest + 1, (number,))
    read = [torch.randint(1, words, (length,)) for length in lengths.tolist()]
    tags = [
        torch.tensor([int(word in each[place + 1 :]) for place, word in enumerate(each)])
        for each in read
    ]
    padded = pad_sequence(read, batch_first=True)
    return padded, pad_sequence(tags, batch_first=True, padding_value=NO_TAG), lengths


class Tagger(nn.Module):
    """Scores two tags a word."""

    def __init__(self, words=8):
        super().__init__()
        self.embedding = nn.Embedding(words, 6, padding_idx=0)
        self.lstm = nn.LSTM(6, 8, num_layers=2, bidirectional=True, batch_first=True)
        self.readout = nn.Linear(2 * 8, 2)

    def forward(self, words, lengths):
        """Return scores of the tags, (batch, time, tag)."""
        packed = pack_padded_sequence(
            self.embedding(words), lengths, batch_first=True, enforce_sorted=False
        )
        output, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.readout(output)


def train(model, optimizer, updates, batch=8):
    """Train on new sentences each time."""
    for _ in range(updates):
        words, tags, lengths = sentences(batch)
        loss = nn.functional.cross_entropy(
            model(words, lengths).flatten(0, 1), tags.flatten(), ignore_index=NO_TAG
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def main():
    """Train a little, and say where the gradient goes."""
    torch.manual_seed(0)
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    with record_gradients(model, optimizer=optimizer) as recording:
        train(model, optimizer, updates=10)
    print(recording)
    return recording


if __name__ == "__main__":
    main()
