"""Training: what is chosen about it."""

import dataclasses

from rnn_exp.optimizers import OPTIMIZERS
from rnn_exp.settings import check, choice, flag, number, whole

__all__ = ["Training"]


@dataclasses.dataclass(frozen=True)
class Training:
    """How to train: fresh sequences at every update, one of torch's optimisers, clipping.

    ``clip_norm``: the gradient of a run is scaled so that its norm over all parameters is at most
    this (null: never). Unlike torch's clip_grad_norm_, no 1e-6 is added to the norm.
    ``stop_when_solved``: end a run at the first recorded update at which its task is solved.

    Raises:
        SettingError: for a value out of range or an unknown optimiser.
    """

    updates: int = whole(300, least=1)
    batch_size: int = whole(16, least=1)
    optimizer: str = choice("sgd", list(OPTIMIZERS))
    learning_rate: float = number(0.01, above=0)
    clip_norm: float | None = number(None, above=0)
    stop_when_solved: bool = flag(False)

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
