"""Classification: the answer is one of a few classes, scored by cross-entropy."""

import torch
from torch import Tensor

from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks.lengths import OneLength

__all__ = ["Classification", "one_hot"]


class Classification(OneLength):
    """Scores answers that are classes; a sequence is wrong if any one of its answers is."""

    def loss(
        self,
        outputs: Float[Tensor, "run answer batch output"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return each run's mean cross-entropy, in nats."""
        surprise = torch.nn.functional.cross_entropy(
            outputs.flatten(0, 2), targets.flatten(), reduction="none"
        )
        return surprise.view(targets.shape).flatten(1).mean(-1)

    def error(
        self,
        outputs: Float[Tensor, "run answer batch output"],
        targets: Shaped[Tensor, "run answer batch"],
    ) -> Float[Tensor, " run"]:
        """Return the share of sequences of which any most likely class is not the right one."""
        wrong = (outputs.argmax(-1) != targets).any(1)
        return wrong.to(outputs.dtype).mean(-1)


def one_hot(
    symbols: Shaped[Tensor, "time batch"], symbols_there_are: int
) -> Float[Tensor, "time batch input"]:
    """Return inputs that are 1 in the channel of the symbol, and 0 in all others."""
    inputs = torch.zeros(*symbols.shape, symbols_there_are, dtype=torch.float32)
    return inputs.scatter_(-1, symbols.unsqueeze(-1), 1.0)
