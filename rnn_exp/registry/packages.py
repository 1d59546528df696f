"""Packages that register things: those that name a module in the group of entry points `GROUP`.

What such a package registers comes from the package, by its name, version and hash, whoever has
imported it: `load_plugins`, a script, or a file that is used. So digests are the same either way.
"""

import functools
import hashlib
import importlib.util
import itertools
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final

from rnn_exp.registry.source import Source, hash_of

__all__ = ["GROUP", "installed", "loaded", "source_of_entry", "source_of_package"]

GROUP: Final = "rnn_exp"
"""The group of entry points in which an installed package names the modules that register."""


def installed() -> list[Any]:
    """Return the entry points of all packages that are installed; nothing is imported.

    They are of Python's class, or of another library's that has replaced its finder, as dask does.
    """
    return sorted(entry_points(group=GROUP), key=lambda entry: entry.name)


def source_of_entry(entry: Any) -> Source:  # noqa: ANN401 - of one of two classes
    """Return the package that an entry point belongs to."""
    name, version = (entry.dist.name, entry.dist.version) if entry.dist else (entry.module, "0")
    return _source(name, version, _top(entry.module))


def source_of_package(module: str) -> Source | None:
    """Return the package that a module is part of; None: it is part of none that registers things.

    Args:
        module: its full name.
    """
    same = [entry for entry in installed() if _top(entry.module) == _top(module)]
    if not same:
        return None
    # Several packages may share a first name: the one whose module is the nearest.
    source = source_of_entry(max(same, key=lambda one: _shared(one.module, module)))
    if source not in loaded():
        loaded().append(source)
    return source


@functools.cache
def loaded() -> list[Source]:
    """Return the packages that were imported in this process, which fills it."""
    return []


def _top(module: str) -> str:
    return module.partition(".")[0]


def _shared(one: str, other: str) -> int:
    """Return how many names two modules have in common from the first on."""
    pairs = zip(one.split("."), other.split("."), strict=False)
    return len([*itertools.takewhile(lambda pair: pair[0] == pair[1], pairs)])


@functools.cache
def _source(name: str, version: str, package: str) -> Source:
    """Return a package as it was when it was first asked for: its hash is of what is imported."""
    return Source(name, _hash_of(package), version)


def _hash_of(package: str) -> str:
    """Return the hash of the texts of all modules of an installed package."""
    found = importlib.util.find_spec(package)
    places = [] if found is None else [*(found.submodule_search_locations or [])]
    files = sorted(file for place in places for file in Path(place).rglob("*.py"))
    if not files and found is not None and found.origin is not None:
        files = [Path(found.origin)]
    return hash_of(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files))
