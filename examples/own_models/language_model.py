"""A word language model: windows of one long text, the state is carried on, dropout everywhere.

As Zaremba, Sutskever & Vinyals 2014 ("Recurrent Neural Network Regularization") describe it: two
layers of LSTM, dropout on all connections but the recurrent ones, truncated backpropagation whose
state goes on from window to window, SGD with clipping. The text is made up: after some words
between, a verb agrees with its subject.
"""

import torch
from torch import nn

from rnn_exp import record_gradients

NOUNS, VERBS, BETWEEN = ("dog", "dogs"), ("barks", "bark"), ("near", "the", "old", "house")
WORDS = sorted({*NOUNS, *VERBS, *BETWEEN, "."})


def text(sentences):
    """Return the words of a text, as numbers."""
    said = []
    for _ in range(sentences):
        number, length = torch.randint(2, ()).item(), torch.randint(5, ()).item()
        said += ["the", NOUNS[number], *BETWEEN[:length], VERBS[number], "."]
    return torch.tensor([WORDS.index(word) for word in said])


class LanguageModel(nn.Module):
    """Says the next word, and hands on its state."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.2)
        self.embedding = nn.Embedding(len(WORDS), 12)
        self.lstm = nn.LSTM(12, 12, num_layers=2, dropout=0.2)
        self.readout = nn.Linear(12, len(WORDS))
        self.readout.weight = self.embedding.weight  # tied

    def forward(self, words, state):
        """Return scores of the next words, and the state after the last."""
        output, state = self.lstm(self.dropout(self.embedding(words)), state)
        return self.readout(self.dropout(output)), state


def train(model, optimizer, updates, steps=20, batch=4):
    """Read the text in windows, side by side at several places."""
    words = text(sentences=batch * (updates * steps // 3 + 1))
    columns = words[: len(words) // batch * batch].view(batch, -1).T
    state = None
    for update in range(updates):
        window = columns[update * steps : (update + 1) * steps + 1]
        logits, state = model(window[:-1], state)
        state = tuple(part.detach() for part in state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), window[1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()


def main():
    """Train a little, and say where the gradient goes."""
    torch.manual_seed(0)
    model = LanguageModel()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with record_gradients(model, optimizer=optimizer) as recording:
        train(model, optimizer, updates=20)
    print(recording)
    print(recording.clipping())
    return recording


if __name__ == "__main__":
    main()
