"""What a recorder records, and how often."""

import dataclasses

from rnn_exp.fields import SettingError

__all__ = ["Watching"]


@dataclasses.dataclass(frozen=True)
class Watching:
    """What is recorded, and how often.

    Args:
        every: the first update of so many.
        is_mean: whether the loss is a mean over the batch.
        stop_on_nonfinite: raise an error at the first value that is not finite.
    """

    every: int = 1
    is_mean: bool = True
    stop_on_nonfinite: bool = False

    def __post_init__(self) -> None:
        """Refuse an interval that is none."""
        if not isinstance(self.every, int) or isinstance(self.every, bool) or self.every < 1:
            raise SettingError("every", self.every, "a whole number from 1 on")

    def wanted(self, update: int) -> bool:
        """Say whether an update is recorded."""
        return self.stop_on_nonfinite or update % self.every == 0
