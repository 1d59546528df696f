"""Settings beside those of a run: the objective, the page and trackers, which decide no result."""

from typing import TYPE_CHECKING, Any, Final

from omegaconf import DictConfig, OmegaConf

from rnn_exp.recordings.trackers import Tracking
from rnn_exp.storage.objective import Objective
from rnn_exp.storage.study import StudyPage, built_in_page

if TYPE_CHECKING:
    from rnn_exp.training.run import Run

__all__ = [
    "BESIDES",
    "PAGE",
    "objective_from_config",
    "objective_named",
    "page_from_config",
    "refuse_for_all_jobs",
    "refuse_unknown_figures",
    "refuse_without_number",
    "tracking_from_config",
]

PAGE: Final = "page"
_TESTS: Final = "evaluation"
BESIDES: Final = ("objective", PAGE, "tracking")
"""The sections of a configuration that are read here."""


def objective_named(config: DictConfig) -> Objective:
    """Return the objective in a configuration; a configuration of before has the default.

    Raises:
        SettingError: if there is no such number.
    """
    given: Any = config.get("objective", Objective().objective)
    return Objective(given)


def objective_from_config(config: DictConfig) -> Objective:
    """Return the objective of the run that a configuration describes.

    Raises:
        SettingError: if there is no such number, or the run has no tests and it is one of theirs.
    """
    objective = objective_named(config)
    objective.refuse_for(has_tests=OmegaConf.select(config, "evaluation.every") is not None)
    return objective


def refuse_for_all_jobs(config: DictConfig) -> None:
    """Refuse an objective that no run of a sweep can have, before a search makes a first trial.

    Args:
        config: of the sweep itself, without what differs between its jobs.

    Raises:
        SettingError: if there are no tests, and no word or grid asks for any.
    """
    from rnn_exp._hydra.grammar import bare_key  # which imports Hydra

    said: Any = OmegaConf.to_container(config.hydra, resolve=False)
    grids = [said["sweeper"].get(key) for key in ("params", "paired")]
    typed = [bare_key(word) for word in said["overrides"]["task"]]
    if not any(_TESTS in str(keys) for keys in (typed, grids)):
        objective_from_config(config)


def refuse_without_number(objective: Objective, run: "Run") -> None:
    """Refuse an objective that a run cannot have, before it is trained.

    Raises:
        SettingError: with the setting that it needs.
    """
    objective.refuse_for(
        has_tests=run.evaluation.every is not None, has_memory=run.network.kind.has_memory
    )


def tracking_from_config(config: DictConfig) -> Tracking:
    """Return where a configuration sends curves; one of before has the default.

    Raises:
        SettingError: if there is no such place, or its package is not installed.
    """
    given: Any = config.get("tracking", Tracking().tracking)
    return Tracking(given)


def page_from_config(config: DictConfig) -> StudyPage:
    """Return what a study's page asks and shows, as a configuration declares it.

    Raises:
        SettingError: for what is no declaration of a page.
    """
    said: Any = OmegaConf.to_container(config.get(PAGE) or OmegaConf.create({}), resolve=False)
    return StudyPage.of(said)


def refuse_unknown_figures(page: StudyPage, study: str | None) -> None:
    """Refuse a figure that there is not, before anything is trained.

    Those of this package's own studies are there; to look at others takes two seconds of imports.

    Args:
        page: what a study's page asks and shows.
        study: the study that was chosen; None: none was.

    Raises:
        SettingError: for the first figure that there is not.
    """
    built_in = built_in_page(study or "")
    if (page.figures, page.answer) in ((None, None), (built_in.figures, built_in.answer)):
        return
    from rnn_exp.figures import refuse_unknown

    refuse_unknown(page.figures, page.answer)
