"""What an init is: a frozen description of the weights before training."""

import abc
import dataclasses
from typing import ClassVar

from torch import Tensor

from rnn_exp.inits.draws import Shapes
from rnn_exp.settings import check

__all__ = ["Init"]


@dataclasses.dataclass(frozen=True)
class Init(abc.ABC):
    """Draws named parameters; its fields say what they accept.

    Raises:
        SettingError: for a setting that is not allowed.
    """

    name: ClassVar[str]

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        check(self)

    def mean_field_gain(self, n: int) -> float | None:
        """Return the gain g for which W has variance g²/n; None: the mean field does not apply."""
        del n
        return None

    @abc.abstractmethod
    def draw(self, shapes: Shapes, seed: int) -> dict[str, Tensor]:
        """Draw all parameters."""
