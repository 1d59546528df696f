"""Recipes: what a run is called where series differ in several settings at once.

A figure knows some combinations by name. Runs of any other combination are named by the settings in
which they differ, so that a value given on the command line is seen and never pooled.
"""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import pandas as pd

from rnn_exp.figures.parts.selection import follows, settings_of

__all__ = ["ANY", "Book", "Recipe", "named"]

ANY: Final = "*"
"""Any value but that of the plain network."""
_SILENT: Final = ("task.length", "recording.every", "device")
_NONE: Final = "none"

Recipe = Mapping[str, str]


class Book(NamedTuple):
    """The settings of the plain network, its name, and the recipes that are known by name."""

    plain: Recipe
    name: str
    recipes: Mapping[str, Recipe]

    def known(self, settings: Recipe, differences: Recipe) -> str:
        """The name of the recipe that explains most of the differences."""
        fitting = [
            name
            for name, recipe in self.recipes.items()
            if all(
                key in differences if value == ANY else settings.get(key) == value
                for key, value in recipe.items()
            )
        ]
        return max(fitting, key=lambda name: len(self.recipes[name]), default=self.name)


def named(runs: pd.DataFrame, book: Book, apart: Sequence[str] = ()) -> pd.Series:
    """The name of each run, an ordered category: in order of the book, then of the runs.

    Runs of one name differ in nothing but the seed, the length and the settings held ``apart``.
    """
    everything = settings_of(runs)
    settings = everything[_told(everything, book, [*_SILENT, *apart])]
    usual = {str(key): str(settings[key].value_counts(sort=False).idxmax()) for key in settings}
    usual |= {key: value for key, value in book.plain.items() if key in usual}
    rows = [
        {str(key): str(value) for key, value in row.items()} for row in settings.to_dict("records")
    ]
    names = pd.Series([_name(row, usual, book) for row in rows], index=runs.index, dtype=object)
    lengths = everything.get("task.length", pd.Series("", index=runs.index))
    names = _unpooled(names, settings, lengths)
    known = [name for name in (book.name, *book.recipes) if (names == name).any()]
    order = [*known, *(name for name in names.unique() if name not in known)]
    return names.astype(pd.CategoricalDtype(order, ordered=True))


def _told(settings: pd.DataFrame, book: Book, silent: Sequence[str]) -> list[str]:
    """The settings that a name may speak of: those of the book, and those that vary by themselves.

    What the length or the init already tells (their own number of updates, their own gain) is no
    difference.
    """
    spoken = {*book.plain, *(key for recipe in book.recipes.values() for key in recipe)}
    length = [key for key in ("task.length",) if key in settings]
    keys = [str(key) for key in settings if key not in silent]
    varying = [key for key in keys if not follows(settings, key, length)]
    own = [key for key in varying if not _told_by_init(settings, key)]
    return [key for key in keys if key in own or key in spoken]


def _told_by_init(settings: pd.DataFrame, key: str) -> bool:
    return key.startswith("init.") and "init" in settings and follows(settings, key, ["init"])


def _name(row: Recipe, usual: Recipe, book: Book) -> str:
    differences = {key: value for key, value in row.items() if value != usual[key]}
    best = book.known(row, differences)
    told = book.recipes.get(best, {})
    # What one init has and the other lacks is no difference of its own.
    left = [
        _words(key, value)
        for key, value in differences.items()
        if key not in told and not (key.startswith("init.") and _NONE in (value, usual[key]))
    ]
    return ", ".join([best, *left])


def _words(key: str, value: str) -> str:
    return f"{key.split('.')[-1].replace('_', ' ')} {value}"


def _unpooled(names: pd.Series, settings: pd.DataFrame, lengths: pd.Series) -> pd.Series:
    """Names that would pool different settings of one length get the values of those settings."""
    result = names.to_dict()
    for _, rows in settings.groupby(names, sort=False):
        at = lengths[rows.index]
        for key in (key for key in rows if rows[key].groupby(at).nunique().max() > 1):
            for place, value in rows[key].items():
                result[place] += f", {_words(str(key), str(value))}"
    return pd.Series(result, dtype=object)
