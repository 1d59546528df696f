"""A job of a sweep as plain settings, without composing its configuration, where it has no more.

Most jobs differ in plain values alone (``task.length=10``), which are put into the settings of
their group choices. That takes no torch: so a sweep that is there already is known without it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from omegaconf import OmegaConf

from rnn_exp._hydra.besides import objective_named, tracking_from_config
from rnn_exp._hydra.composition import Composer, Word
from rnn_exp._hydra.hydra_settings import is_the_same_for_all
from rnn_exp._hydra.job import has_own_name, settings_from_config
from rnn_exp._hydra.results import DoneReturn
from rnn_exp._hydra.there import sweep_known_to_be_there
from rnn_exp.recordings.trackers import Tracking
from rnn_exp.storage.objective import Objective

__all__ = ["OBJECTIVE", "TRACKING", "PlainSettings", "Settings", "known_results"]

OBJECTIVE: Final = "objective"
TRACKING: Final = "tracking"

Settings = dict[str, Any]


def known_results(composer: Composer, jobs: Sequence[Sequence[str]]) -> list[DoneReturn] | None:
    """Return the result of each job of a sweep, if all are known to be done; None: train them.

    Args:
        composer: composes the choices.
        jobs: the words of the command line of each job.

    Raises:
        SettingError: for an objective or a tracking that there is not.
    """
    settings, besides = PlainSettings(composer), dict[tuple[str, str], bool]()

    def each() -> Iterator[Settings | None]:
        for job in jobs:
            found = settings.with_values(job)
            if found is not None:
                tested = found["evaluation"]["every"] is not None
                key = found[OBJECTIVE], found[TRACKING]
                besides[key] = besides.get(key, True) and tested
            yield found

    folders = sweep_known_to_be_there(composer.master, each(), len(jobs))
    if folders is None or len(besides) != 1:
        return None
    [((objective, tracking), tested)] = besides.items()
    wanted, _ = Objective(objective), Tracking(tracking)
    wanted.refuse_for(has_tests=tested)
    return [DoneReturn.of(*each, wanted) for each in zip(jobs, folders, strict=True)]


class PlainSettings:
    """The settings of each set of group choices as plain dictionaries, where they are plain.

    Args:
        composer: composes the choices, once each.
    """

    def __init__(self, composer: Composer) -> None:
        self.composer, self.known = composer, dict[int, Settings | None]()

    def with_values(self, overrides: Sequence[str]) -> Settings | None:
        """Return the settings of a job, its objective and tracking; None: they must be composed."""
        base = self.composer.base(overrides)
        if id(base) not in self.known:
            settings = settings_from_config(base, resolve=False)
            settings[OBJECTIVE] = objective_named(base).objective
            settings[TRACKING] = tracking_from_config(base).tracking
            sweep: Any = OmegaConf.to_container(base.hydra.sweep)
            ours = has_own_name(base) and is_the_same_for_all(sweep["dir"])
            has_interpolation = "${" in str(settings)
            self.known[id(base)] = settings if ours and not has_interpolation else None
        settings_of_base = self.known[id(base)]
        if settings_of_base is None:
            return None
        result = {
            key: dict(value) if isinstance(value, dict) else value
            for key, value in settings_of_base.items()
        }
        words = [self.composer.parse(word) for word in overrides]
        all_set = all(_set_value(result, word) for word in words if not word.is_choice)
        return result if all_set else None


def _set_value(settings: Settings, word: Word) -> bool:
    """Replace a plain value by another one; return whether that was possible."""
    override, value = word.override, word.override.value()
    group, _, key = override.key_or_group.rpartition(".")
    place = settings.get(group) if group else settings
    if not word.is_plain or not isinstance(place, dict) or key not in place:
        return False
    if isinstance(place[key], dict) or "${" in str(value):
        return False
    place[key] = value
    return True
