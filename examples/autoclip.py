"""AutoClip: gradients are clipped to a percentile of the norms that were seen so far.

    w ← w − η g min(1, c / ‖g‖),   c the p-th percentile of ‖g‖ over all updates until now

(Seetharaman, Wichern, Pardo & Le Roux 2020, "AutoClip: Adaptive gradient clipping for source
separation networks", algorithm 1; p = 10 there.) An optimiser of one's own remembers as many
numbers a run as there are parameters: of that many norms, the latest, the percentile is taken.

    rnn-exp use=[examples/autoclip.py] training.optimizer=autoclip training.learning_rate=0.1
    rnn-exp -m use=[examples/autoclip.py] training.optimizer=autoclip training.percentile=5,10,50
"""

import dataclasses

import torch

import rnn_exp as rx
from rnn_exp.fields import number
from rnn_exp.training.optimizers import Optimizer


@dataclasses.dataclass(frozen=True)
class AutoClip:
    """The settings of AutoClip; they are settings of the training.

    Args:
        percentile: p, of the norms so far, in percent.
    """

    percentile: float = number(10.0, above=0, below=100)


def step(flat, gradient, memory, rate, own):
    """Make one step of every run, in place: ``flat`` and ``gradient`` are (run, parameter)."""
    norms, size = memory["norms"], flat.shape[1]
    seen = int(memory["step"])
    norm = torch.linalg.vector_norm(gradient, dim=1)
    norms[:, seen % size] = norm
    memory["step"] += 1
    known = norms[:, : min(seen + 1, size)].double()
    limit = torch.quantile(known, own.percentile / 100, dim=1).to(norm.dtype)
    scale = torch.where(norm > limit, limit / norm, 1.0)
    flat -= rate * scale.unsqueeze(1) * gradient


rx.register(Optimizer("autoclip", step, remembers=("norms",), options=AutoClip))
