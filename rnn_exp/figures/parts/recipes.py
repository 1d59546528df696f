"""Recipes: what a run is called where series differ in several settings at once.

A figure knows some combinations by name. Runs of any other combination are named by the settings in
which they differ, so that a value given on the command line is seen and never pooled.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import pandas as pd

from rnn_exp.figures.parts.axes import by_size, is_determined_by, setting_words, settings_of
from rnn_exp.words import listing

__all__ = ["ANY", "Recipe", "Recipes", "about_all", "in_list", "name_runs"]

ANY: Final = "*"
"""Any value but that of the plain network."""
_NEVER_NAMED: Final = ("task.length", "recording.every", "device")
_NONE: Final = "none"
_ACTIVATION: Final = "network.activation"

Recipe = Mapping[str, str]
"""Settings as text, by their configuration key."""


class Recipes(NamedTuple):
    """The combinations of settings that a figure knows by name.

    Args:
        plain: the settings of the plain network, with which all others are compared.
        plain_name: what runs with these settings are called.
        known: every other combination by its name; of settings that differ from the plain ones.
        plain_activation: the word of the plain name that is an activation, which is no setting of
            the plain network: one with another activation has that word in its place.
    """

    plain: Recipe
    plain_name: str
    known: Mapping[str, Recipe]
    plain_activation: str = ""

    def plain_with(self, activation: str) -> str:
        """Return what a plain network with this activation is called."""
        if not self.plain_activation:
            return self.plain_name
        return self.plain_name.replace(self.plain_activation, activation)

    def best_match(self, settings: Recipe, differences: Recipe) -> str:
        """Return the name of the recipe that explains most of a run's differences.

        Args:
            settings: of the run.
            differences: those of its settings that are not the plain network's.
        """
        fitting = [
            name
            for name, recipe in self.known.items()
            if all(
                key in differences if value == ANY else settings.get(key) == value
                for key, value in recipe.items()
            )
        ]
        return max(fitting, key=lambda name: len(self.known[name]), default=self.plain_name)


def name_runs(runs: pd.DataFrame, recipes: Recipes, apart: Sequence[str] = ()) -> pd.Series:
    """Name each run. Runs of one name differ in nothing but seed, length and what is kept apart.

    Args:
        runs: the table of runs.
        recipes: the names that the figure knows.
        apart: settings that the figure shows in another way, such as in panels of their own.

    Returns:
        An ordered category: the names that are known in their order, then any others by name, and
        numbers in them by size.
    """
    everything = settings_of(runs)
    settings = everything[_settings_to_name(everything, recipes, [*_NEVER_NAMED, *apart])]
    parts = _parts(settings, recipes, _shared(settings, recipes))
    names = pd.Series(map(", ".join, parts), index=runs.index, dtype=object)
    lengths = everything.get("task.length", pd.Series("", index=runs.index))
    names = _part_pooled(names, settings, lengths)
    plain = map(recipes.plain_with, sorted(set(everything.get(_ACTIVATION, ()))))
    first = dict.fromkeys((recipes.plain_name, *plain, *recipes.known))
    known = [name for name in first if (names == name).any()]
    order = [*known, *sorted(set(names) - set(known), key=by_size)]
    return names.astype(pd.CategoricalDtype(order, ordered=True))


def about_all(runs: pd.DataFrame, recipes: Recipes) -> tuple[str, ...]:
    """Say which settings all runs have beside the plain network's, where no name says them.

    Args:
        runs: the table of runs.
        recipes: the names that the figure knows.
    """
    everything = settings_of(runs)
    shared = _shared(everything[_settings_to_name(everything, recipes, _NEVER_NAMED)], recipes)
    words = [setting_words(key, value) for key, value in shared.items()]
    return (f"All runs have {listing(words)}.",) if words else ()


def _shared(settings: pd.DataFrame, recipes: Recipes) -> dict[str, str]:
    """The settings of training that all runs have, where these make names worse.

    With a clipped gradient in all runs an LSTM would be "clipping by norm, lstm cell": a remedy and
    a rest. What all have is then no difference. Where every name is known it is a recipe.
    """
    values = {str(key): list(settings[key].unique()) for key in settings}
    same = {key: str(found[0]) for key, found in values.items() if len(found) == 1}
    shared = {
        key: same[key]
        for key, value in recipes.plain.items()
        if key.startswith("training.") and same.get(key, value) != value
    }
    apart, together = (
        sum(len(parts) for parts in _parts(settings, recipes, each)) for each in ({}, shared)
    )
    return shared if together < apart else {}


def in_list(name: object) -> str:
    """Return the name of a recipe as it stands in a list: one with a comma would be two.

    Example:
        >>> in_list("LSTM, chrono init")
        'LSTM with chrono init'
    """
    return str(name).replace(", ", " with ")


def _settings_to_name(settings: pd.DataFrame, recipes: Recipes, never: Sequence[str]) -> list[str]:
    """The settings that a name may mention: those of recipes, and those that vary by themselves.

    What the length or the init decides (their own number of updates, their own gain) is no
    difference.
    """
    of_recipes = {_ACTIVATION} if recipes.plain_activation else set()
    of_recipes |= {*recipes.plain, *(key for recipe in recipes.known.values() for key in recipe)}
    length = [key for key in ("task.length",) if key in settings]
    keys = [str(key) for key in settings if key not in never]
    varying = [key for key in keys if not is_determined_by(settings, key, length)]
    own = [key for key in varying if not _follows_from_init(settings, key)]
    return [key for key in keys if key in own or key in of_recipes]


def _follows_from_init(settings: pd.DataFrame, key: str) -> bool:
    of_init = key.startswith("init.") and "init" in settings
    return of_init and is_determined_by(settings, key, ["init"])


def _parts(settings: pd.DataFrame, recipes: Recipes, shared: Recipe) -> list[list[str]]:
    """The name of each run in parts: the best recipe, and what it leaves unexplained."""
    usual = {str(key): str(settings[key].value_counts(sort=False).idxmax()) for key in settings}
    usual |= {key: value for key, value in recipes.plain.items() if key in usual} | {**shared}
    return [
        _name({str(key): str(value) for key, value in row.items()}, usual, recipes)
        for row in settings.to_dict("records")
    ]


def _name(row: Recipe, usual: Recipe, recipes: Recipes) -> list[str]:
    differences = {key: value for key, value in row.items() if value != usual[key]}
    best = recipes.best_match(row, differences)
    explained = recipes.known.get(best, {})
    if best == recipes.plain_name and recipes.plain_activation and _ACTIVATION in row:
        best, explained = recipes.plain_with(row[_ACTIVATION]), {_ACTIVATION: ""}
    # What one init has and the other lacks is no difference of its own.
    left = [
        setting_words(key, value)
        for key, value in differences.items()
        if key not in explained and not (key.startswith("init.") and _NONE in (value, usual[key]))
    ]
    return [best, *left]


def _part_pooled(names: pd.Series, settings: pd.DataFrame, lengths: pd.Series) -> pd.Series:
    """Names that would pool different settings of one length get the values of those settings."""
    result = names.to_dict()
    for _, rows in settings.groupby(names, sort=False):
        at = lengths[rows.index]
        for key in (key for key in rows if rows[key].groupby(at).nunique().max() > 1):
            for place, value in rows[key].items():
                result[place] += f", {setting_words(str(key), str(value))}"
    return pd.Series(result, dtype=object)
