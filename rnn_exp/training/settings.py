"""What is chosen about training, recording and tests: frozen values that refuse what cannot be."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import torch

from rnn_exp.fields import (
    SettingError,
    as_typed,
    check,
    choice,
    flag,
    more,
    number,
    settings_of,
    whole,
)
from rnn_exp.networks import CELLS, Network
from rnn_exp.networks.network import Refusal
from rnn_exp.networks.truncation import Truncation
from rnn_exp.registry import Registry
from rnn_exp.training.optimizers import OPTIMIZERS, own_settings_of
from rnn_exp.training.own_penalties import OwnPenalty, own_penalties, own_settings
from rnn_exp.training.schedules import SCHEDULES
from rnn_exp.words import listing

__all__ = ["OMEGA_FORMS", "Evaluation", "Recording", "Training", "beyond_precision"]

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
        omega: weight of the regulariser Ω of Pascanu, Mikolov & Bengio (2013), a term of the loss
            that is 0 where each step back keeps the gradient's norm.
        omega_form: ``ratio`` (their eq. 9) or ``squared`` (eq. 10, and their code).
        orthogonality: weight of ‖W_hhᵀ W_hh − I‖² (Vorontsov et al. 2017, eq. 7).
        truncate_every: k1 of truncated backpropagation: after every k1 time steps the losses of
            these steps go back (null: not truncated).
        truncate_back: k2: how many time steps the gradient then goes back, at least k1.
        stop_when_solved: end a run at the first recorded update at which its task is solved: fewer
            than 1 % of 10,000 fresh sequences are answered wrong.
        momentum: μ of sgd (v ← μ v + g, and w ← w − η v) and of rmsprop, where g is the
            gradient over its root mean square.
        nesterov: sgd steps by g + μ v instead of v.
        weight_decay: λ: λ w is added to the gradient after clipping, also in adam (it is not
            AdamW); w is every number that is trained, biases and the read-out as well.
        rmsprop_alpha: α, the share of the mean square that rmsprop keeps at each step.
        adam_beta1: β₁, the share of the mean gradient that adam keeps.
        adam_beta2: β₂, the share of the mean square that adam keeps.
        schedule: how the learning rate goes on: ``constant``; ``step`` multiplies it by
            ``schedule_factor`` after every ``schedule_every`` updates; ``cosine`` lets it fall
            towards 0 at the end of the updates, as half a period of a cosine.
        schedule_every: updates between two steps of the schedule ``step``.
        schedule_factor: what each of them multiplies the learning rate by.
        warm_up: in how many updates (W) the learning rate first rises, in equal steps from
            η / (W + 1) to η; the schedule begins after that.
        more: the settings of an optimiser and of penalties of your own.

    Raises:
        SettingError: for a value out of range, an unknown optimiser, or a setting that it does not
            have.
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
    momentum: float = number(0.0, least=0, below=1)
    nesterov: bool = flag(False)
    weight_decay: float = number(0.0, least=0, short="decay")
    rmsprop_alpha: float = number(0.99, least=0, below=1, short="alpha")
    adam_beta1: float = number(0.9, least=0, below=1, short="beta1")
    adam_beta2: float = number(0.999, least=0, below=1, short="beta2")
    schedule: str = choice("constant", SCHEDULES, short="")
    schedule_every: int | None = whole(None, least=1, short="every")
    schedule_factor: float = number(0.1, above=0, short="factor")
    warm_up: int = whole(0)
    more: Iterable[tuple[str, Any]] | Mapping[str, Any] = more()

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        of_optimizer, others = own_settings_of(self.optimizer, dict(self.more))
        object.__setattr__(self, "more", (*of_optimizer, *own_settings(others)))
        self._refuse_untaken("optimizer", OPTIMIZERS)
        if self.nesterov and not self.momentum:
            raise SettingError("nesterov", as_typed(True), "false without momentum")
        self._refuse_untaken("schedule", SCHEDULES)
        for key in SCHEDULES[self.schedule].needs:
            if getattr(self, key) is None:
                allowed = f"a whole number of at least 1 with schedule={self.schedule}"
                raise SettingError(key, as_typed(None), allowed)
        if self.warm_up >= self.updates:
            allowed = f"a whole number below updates={self.updates}"
            raise SettingError("warm_up", self.warm_up, allowed)
        self._refuse_windows()

    def _refuse_untaken(self, key: str, things: Registry[Any]) -> None:
        """Refuse settings that others of the things have, and the one that was chosen has not."""
        chosen = getattr(self, key)
        for field in dataclasses.fields(self):
            able = [name for name, thing in things.items() if field.name in thing.takes]
            value = getattr(self, field.name)
            if able and chosen not in able and value != field.default:
                allowed = f"{as_typed(field.default)} with {key}={chosen}"
                reason = f"{allowed}: it is a setting of {listing(able)}"
                raise SettingError(field.name, as_typed(value), reason)

    def _refuse_windows(self) -> None:
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
        jacobian_lags: the largest k for which the singular values of ∂h_T/∂h_{T−k} are recorded, of
            the top layer and the first sequence, beside k = 1, 2, 4, … (0: none). Of a cell with a
            memory c they are of h and c side by side.
        spectrum_every: updates from one spectrum of W_hh (spectral radius and largest singular
            value) to the next, a multiple of ``every`` (null: at every recorded update; 0: never,
            but for the largest singular value at update 0). Eigenvalues take n³ operations: of wide
            networks they are most of what recording costs.

    Raises:
        SettingError: if ``every`` is below 1, one of the others below 0, or ``spectrum_every`` no
            multiple.
    """

    every: int = whole(10, least=1, short="record")
    exponents: int = whole(0)
    jacobian_lags: int = whole(0)
    spectrum_every: int | None = whole(None)

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        if (self.spectrum_every or 0) % self.every:
            allowed = f"null, 0 or a multiple of every={self.every}: a spectrum is part of a row"
            raise SettingError("spectrum_every", as_typed(self.spectrum_every), allowed)

    def refusals(self, network: Network, shortest: int) -> Iterator[Refusal]:
        """Yield what cannot be recorded of a run, with the reason.

        Args:
            network: what the network is.
            shortest: the time steps of the task's shortest sequence.
        """
        if self.exponents and not network.kind.is_plain:
            plain = " or ".join(CELLS.where(lambda cell: cell.is_plain))
            reason = f"the Lyapunov exponents here are those of network.cell={plain}"
            allowed = f"0 with network.cell={network.cell}: {reason}"
            yield "recording.exponents", self.exponents, allowed
        if self.exponents > network.hidden_size:
            most = f"at most {network.hidden_size} with network.hidden_size={network.hidden_size}"
            yield "recording.exponents", self.exponents, most
        if self.jacobian_lags > shortest:
            most = f"at most {shortest}, the time steps of the shortest sequence"
            yield "recording.jacobian_lags", self.jacobian_lags, most

    @property
    def lags(self) -> list[int]:
        """The k for which singular values are recorded, in ascending order.

        Example:
            >>> Recording(jacobian_lags=10).lags, Recording().lags
            ([1, 2, 4, 8, 10], [])
        """
        powers = (2**power for power in range(self.jacobian_lags.bit_length()))
        return sorted({*powers, self.jacobian_lags} - {0})

    def wanted(self, update: int, updates: int) -> bool:
        """Say whether an update, by its number from 0, is recorded of so many."""
        return update % self.every == 0 or update == updates - 1

    def spectrum_wanted(self, update: int, updates: int) -> bool:
        """Say whether the spectrum of W_hh is part of what is recorded of an update.

        Args:
            update: its number, from 0; one that is recorded.
            updates: how many there are.

        Example:
            >>> recording = Recording(every=10, spectrum_every=100)
            >>> [number for number in range(0, 260, 10) if recording.spectrum_wanted(number, 251)]
            [0, 100, 200, 250]
        """
        if not self.spectrum_every:
            return self.spectrum_every is None
        return update % self.spectrum_every == 0 or update == updates - 1

    def records(self, updates: int) -> int:
        """Return about how many of so many updates are recorded."""
        return 1 + updates // self.every

    def spectra(self, updates: int) -> int:
        """Return about how many spectra are recorded of so many updates."""
        if self.spectrum_every == 0:
            return 0
        return 1 + updates // (self.spectrum_every or self.every)


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Tests on sequences that training never sees: those that a task holds out, or fresh ones.

    A test is made at every ``every``-th update, at the last one, and where a run has solved its
    task. A task with a held-out set (digits) is tested on all of it, each sequence once. Any other
    is tested on fresh sequences, drawn by a generator of their own, the same at every test.

    Args:
        every: updates from one test to the next, a multiple of recording.every (null: no tests).
        length: nominal length L of the test sequences (null: that of the task).
        sequences: how many fresh sequences, where the task has no held-out set.

    Raises:
        SettingError: for a value out of range, or a length without tests.
    """

    every: int | None = whole(None, least=1, short="test")
    length: int | None = whole(None, least=1, short="test_T")
    sequences: int = whole(1000, least=1, short="test_sequences")

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)
        if self.every is None and self.length is not None:
            allowed = (
                "a whole number: evaluation.length is given, and without tests it says nothing"
            )
            raise SettingError("every", as_typed(None), allowed)

    def wanted(self, update: int, updates: int) -> bool:
        """Say whether a test is made at an update, by its number from 0, of so many."""
        return self.every is not None and (update % self.every == 0 or update == updates - 1)


def beyond_precision(groups: Mapping[str, object], network: Network) -> Iterator[Refusal]:
    """Yield the numbers that are too large for the precision of a network, with the reason.

    Args:
        groups: settings that are used in that precision, by their group.
        network: what the network is.
    """
    most = torch.finfo(network.torch_dtype).max
    for group, part in groups.items():
        for key, value in settings_of(part).items():
            if isinstance(value, float) and abs(value) > most:
                allowed = f"a number of size at most {most:.4g} with network.dtype={network.dtype}"
                yield f"{group}.{key}", value, allowed
