"""What is chosen about training and recording: frozen values that refuse what cannot be."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rnn_exp.fields import SettingError, as_typed, check, choice, flag, more, number, whole
from rnn_exp.networks.truncation import Truncation
from rnn_exp.training.optimizers import OPTIMIZERS
from rnn_exp.training.own_penalties import OwnPenalty, own_penalties, own_settings

__all__ = ["OMEGA_FORMS", "Recording", "Training"]

OMEGA_FORMS: Final = ("ratio", "squared")
"""The forms of Ω: eq. 9 of Pascanu, Mikolov & Bengio (2013), and their eq. 10 and code."""


@dataclasses.dataclass(frozen=True)
class Training:
    """How to train: fresh sequences at every update, one of torch's optimisers, and remedies.

    Args:
        updates: how many steps of the optimiser.
        batch_size: B, sequences of an update.
        optimizer: the rule of an update, with torch's defaults.
        learning_rate: η, the step size.
        clip_norm: the gradient of a run is scaled so that its norm over all parameters is at most
            this (null: never). Unlike torch's clip_grad_norm_, no 1e-6 is added to the norm.
        clip_value: every number of the gradient is cut to at most this size, after ``clip_norm``.
        loss_at: ``task`` reads the answers where the task asks for them, ``every`` asks for the
            answer at every time step.
        omega: weight of the regulariser Ω of Pascanu, Mikolov & Bengio (2013).
        omega_form: ``ratio`` (their eq. 9) or ``squared`` (eq. 10, and their code).
        orthogonality: weight of ‖W_hhᵀ W_hh − 1‖² (Vorontsov et al. 2017, eq. 7).
        truncate_every: k1 of truncated backpropagation, in time steps (null: none).
        truncate_back: k2, at least k1.
        stop_when_solved: end a run at the first recorded update at which its task is solved.
        more: the settings of penalties of your own.

    Raises:
        SettingError: for a value out of range or an unknown optimiser.
    """

    updates: int = whole(300, least=1)
    batch_size: int = whole(16, least=1, short="batch")
    optimizer: str = choice("sgd", OPTIMIZERS, short="")
    learning_rate: float = number(0.01, above=0, short="lr")
    clip_norm: float | None = number(None, above=0, short="clip")
    clip_value: float | None = number(None, above=0)
    loss_at: str = choice("task", ["task", "every"])
    omega: float = number(0.0, least=0)
    omega_form: str = choice("squared", OMEGA_FORMS)
    orthogonality: float = number(0.0, least=0)
    truncate_every: int | None = whole(None, least=1, short="truncate")
    truncate_back: int | None = whole(None, least=1, short="back")
    stop_when_solved: bool = flag(False, short="until_solved")
    more: Iterable[tuple[str, Any]] | Mapping[str, Any] = more()

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        object.__setattr__(self, "more", own_settings(dict(self.more)))
        k1, k2 = self.truncate_every, self.truncate_back
        if (k1 is None) != (k2 is None):
            missing = "truncate_every" if k1 is None else "truncate_back"
            raise SettingError(
                missing,
                as_typed(None),
                "a whole number: the other one of truncate_every and truncate_back is given",
            )
        if k1 is not None and k2 is not None and k2 < k1:
            raise SettingError(
                "truncate_back",
                k2,
                f"a whole number of at least truncate_every={k1}: else the gradient would leave "
                "out some losses",
            )

    @property
    def own_penalties(self) -> list[OwnPenalty]:
        """The penalties of users that are in use."""
        return own_penalties(dict(self.more))

    @property
    def truncation(self) -> Truncation | None:
        """The windows of truncated backpropagation."""
        if self.truncate_every is None or self.truncate_back is None:
            return None
        return Truncation(self.truncate_every, self.truncate_back)


@dataclasses.dataclass(frozen=True)
class Recording:
    """How often to record: at every ``every``-th update, and always at the first and the last.

    Args:
        every: updates from one record to the next.
        exponents: how many Lyapunov exponents of the top layer, the largest first (0: none).

    Raises:
        SettingError: if ``every`` is below 1, or ``exponents`` below 0.
    """

    every: int = whole(10, least=1, short="record")
    exponents: int = whole(0)

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    def wanted(self, update: int, updates: int) -> bool:
        """Say whether an update, by its number from 0, is recorded of so many."""
        return update % self.every == 0 or update == updates - 1
