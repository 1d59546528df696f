"""What differs between two folders of results that should be the same: files, then what is in them.

Bytes are compared first. Where they differ, tables and weights are told apart column by column,
and run.json key by key.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import yaml
from safetensors import SafetensorError
from safetensors.numpy import load_file

__all__ = ["RENAMED", "Change", "Compared", "changes", "compared", "only_in", "page_text"]

RENAMED: Final[Mapping[str, str]] = {
    "moved": "weight_change",
    "median": "log10_median",
    "low": "log10_low",
    "high": "log10_high",
    "ratio": "log10_ratio",
    "predicted": "log10_predicted",
    "measured": "log10_measured",
    "formula": "log10_formula",
}
"""Columns and keys that have another name since some commit: the old one, and the new one.

The base is read under the new names, and asked under the old ones where it knows no others.
"""

Columns = Mapping[str, np.ndarray]
# What a run says of its machine and its clock, and files that hold paths and times.
_EXEMPT_KEYS: Final = ("versions", "started", "ended", "seconds")
_RUN_JSON: Final = "run.json"
_SEAL: Final = "sha256"
_EXEMPT_FILES: Final = ("run.log", ".hydra/hydra.yaml")
_OF_REPORTS: Final = (".csv", ".svg", ".html")
_EXAMPLE: Final = 50


class Change(NamedTuple):
    """One thing that differs between two files.

    ``values``: how many. ``largest``: their largest difference, infinity where one of two is not
    finite, None where they are no numbers. ``example``: one of them. ``weighs``: whether this makes
    the results different.
    """

    what: str
    values: int = 0
    largest: float | None = None
    example: str = ""
    weighs: bool = True


class Compared(NamedTuple):
    """A file of a run, or of a report (``file`` is report/…), and how its sides differ.

    ``part``: what it belongs to, runs or studies. ``folder``: the run's, or the report's study.
    """

    part: str
    file: str
    folder: str
    changes: list[Change]


def compared(part: str, base: Path, head: Path) -> Iterator[Compared]:
    """Compare all files of two sweeps: those of their runs, and those of their reports.

    Args:
        part: what the sweeps belong to, runs or studies.
        base: the folder of the one whose results are to come again.
        head: the folder of the other.
    """
    for name, old, new in _matched(_runs(base), _runs(head)):
        folder = f"{base.name}/{name}"
        if old is None or new is None:
            yield Compared(part, "folder", folder, [only_in("HEAD" if old is None else "base")])
            continue
        for file, found in _files(old, new):
            if file not in _EXEMPT_FILES:
                yield Compared(part, file, folder, found)
    for file, found in _files(base / "report", head / "report"):
        if Path(file).suffix in _OF_REPORTS:
            yield Compared(part, f"report/{file}", base.name, found)


def _files(old: Path, new: Path) -> Iterator[tuple[str, list[Change]]]:
    """Return every file of two folders, and how it differs."""
    before, after = (
        {str(file.relative_to(place)) for file in place.rglob("*") if file.is_file()}
        for place in (old, new)
    )
    for name in sorted(before | after):
        if name in before and name in after:
            yield name, changes(old / name, new / name)
        else:
            yield name, [only_in("base" if name in before else "HEAD")]


def only_in(side: str) -> Change:
    """Return what is said of a file, a run or a study that the other side lacks."""
    return Change(f"only in {side}")


def _runs(sweep: Path) -> dict[str, Path]:
    """Return the folders of a sweep's runs by their names."""
    places = sorted(sweep.iterdir()) if sweep.is_dir() else []
    return {place.name: place for place in places if (place / ".hydra").is_dir()}


def _matched(
    base: Mapping[str, Path], head: Mapping[str, Path]
) -> Iterator[tuple[str, Path | None, Path | None]]:
    """Return which runs belong together: by their names, their digests, or what was asked for.

    What a run is called may change from commit to commit; so does its digest where a setting is
    new.
    """
    others = {name: place for name, place in head.items() if name not in base}
    digests = {_digest(place): name for name, place in others.items()}
    asked = {_asked(place): name for name, place in others.items()}
    left = dict(head)
    for name, place in base.items():
        other = name if name in head else digests.get(_digest(place))
        yield name, place, left.pop(other or asked.get(_renamed(_asked(place)), ""), None)
    for name, place in left.items():
        yield name, None, place


def _digest(place: Path) -> str:
    """Return the digest of a run, or its folder where it has none."""
    try:
        return str(json.loads((place / _RUN_JSON).read_text("utf-8"))["digest"])
    except (OSError, ValueError, LookupError, TypeError):
        return str(place)


def _asked(place: Path) -> str:
    file = place / ".hydra" / "overrides.yaml"
    return file.read_text("utf-8") if file.exists() else str(place)


def _renamed(text: str) -> str:
    """Return a text of the base with the new names in it, where they are names and not values."""
    for old, new in RENAMED.items():
        text = re.sub(rf"\b{re.escape(old)}\b(?=\"?[:=.])", new, text)
    return text


def _new_key(key: str) -> str:
    """Return a dotted key of the base with the new names in it."""
    return ".".join(RENAMED.get(part, part) for part in key.split("."))


def changes(old: Path, new: Path) -> list[Change]:
    """Return what differs between two files, the base's and HEAD's; nothing if all bytes agree."""
    if old.read_bytes() == new.read_bytes():
        return []
    if new.suffix == ".svg":
        return [Change("other picture", weighs=False)]
    try:
        return list(_KINDS.get(new.suffix, _texts)(old, new))
    except (ValueError, OSError, SafetensorError, yaml.YAMLError) as error:
        return [Change("cannot be read", example=str(error)[:_EXAMPLE])]


def _parquet(path: Path) -> Columns:
    table = pq.read_table(path)
    return {name: table[name].to_numpy() for name in table.column_names}


def _csv(path: Path) -> Columns:
    """Read every value as the text that it is, so that no digit is lost."""
    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    return {str(name): table[name].to_numpy(dtype=object) for name in table.columns}


def _tables(read: Callable[[Path], Columns], noun: str) -> Callable[[Path, Path], Iterator[Change]]:
    """Return what compares two files of columns (of tensors, if that is the noun)."""

    def compare(before: Path, after: Path) -> Iterator[Change]:
        first, new = read(before), read(after)
        declared = [name for name in first if name in RENAMED and name not in new]
        old = {RENAMED[name] if name in declared else name: first[name] for name in first}
        for name in declared:
            yield Change(f"{noun} {name} is {RENAMED[name]} now, as declared", weighs=False)
        found = [*_missing(old, new, noun), *_values(old, new, noun)]
        if not found and list(old) != list(new):
            found = [Change(f"{noun}s in another order")]
        if not found and not declared:
            found = [Change("equal content in other bytes")]
        yield from found

    return compare


def _missing(old: Columns, new: Columns, noun: str) -> Iterator[Change]:
    """Tell of columns that one side lacks: removed, added, or the same under another name."""
    added = [name for name in new if name not in old]
    for name in (name for name in old if name not in new):
        again = [other for other in added if _equal(old[name], new[other])]
        if again:
            added.remove(again[0])
            yield Change(f"{noun} {name} renamed to {again[0]}")
        else:
            yield Change(f"{noun} {name} removed")
    for name in added:
        yield Change(f"{noun} {name} added")


def _values(old: Columns, new: Columns, noun: str) -> Iterator[Change]:
    """Tell of columns that both sides have: other types, other sizes, other values."""
    for name in (name for name in old if name in new):
        one, two = old[name], new[name]
        if one.shape != two.shape:
            example = f"{one.shape} → {two.shape}"
            yield Change(f"{noun} {name}: another size", example=example)
        elif one.dtype != two.dtype:
            largest = _largest(one, two)
            yield Change(f"{noun} {name}: {one.dtype} is {two.dtype} now", largest=largest)
        elif not _equal(one, two):
            other = _differ(one, two)
            largest = _largest(one[other], two[other])
            example = "" if largest is not None else _arrow(one[other][0], two[other][0])
            yield Change(f"{noun} {name}: other values", int(other.sum()), largest, example)


def _equal(one: np.ndarray, two: np.ndarray) -> bool:
    same = (one.shape, one.dtype) == (two.shape, two.dtype)
    return same and not _differ(one, two).any()


def _differ(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """Say where two arrays of one type differ; NaN is itself, and 0.0 is not -0.0."""
    if one.dtype.kind == "f":
        bits = f"u{one.dtype.itemsize}"
        one, two = np.ascontiguousarray(one).view(bits), np.ascontiguousarray(two).view(bits)
    return np.asarray(one != two)


def _largest(one: np.ndarray, two: np.ndarray) -> float | None:
    """Return the largest difference of two arrays of numbers, or of texts that are numbers."""
    if one.dtype.kind == "b":
        return None
    try:
        first, second = one.astype(np.float64), two.astype(np.float64)
    except (ValueError, TypeError):
        return None
    with np.errstate(invalid="ignore"):
        apart = np.abs(first - second)
    apart[first == second] = 0.0
    apart[np.isnan(first) & np.isnan(second)] = 0.0
    return float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max(initial=0.0))


def _arrow(old: object, new: object) -> str:
    one, two = (str(value)[:_EXAMPLE] for value in (old, new))
    return f"{one} → {two}"


def _json(before: Path, after: Path) -> Iterator[Change]:
    """Tell of keys that were removed or have another value; new ones are no difference."""
    old, new = (dict(_flat(json.loads(file.read_text("utf-8")))) for file in (before, after))
    # Keys alone: a sentence may have a word that was a name.
    old = {key if key in new else _new_key(key): value for key, value in old.items()}
    for key in (key for key in new if key not in old):
        yield Change(f"key {key} added", weighs=False)
    for key, value in old.items():
        if key not in new:
            yield Change(f"key {key} removed")
        elif key == "run" and value != new[key] and old.get("digest") == new.get("digest"):
            example = _arrow(value, new[key])
            yield Change("key run: another name of the same digest", 1, None, example, False)
        elif json.dumps(value) != json.dumps(new[key]):
            largest = _largest(np.array([value], dtype=object), np.array([new[key]], dtype=object))
            yield Change(f"key {key}: other values", 1, largest, _arrow(value, new[key]))


def _flat(value: Mapping[str, object], path: str = "") -> Iterator[tuple[str, object]]:
    """Return the values of nested objects by their dotted paths, without those that may differ."""
    for key, inner in value.items():
        is_seal = not path and key == _SEAL  # of all else, what may differ included
        if key in (*_EXEMPT_KEYS, *_EXEMPT_FILES) or is_seal:
            continue
        if isinstance(inner, dict) and inner:
            yield from _flat(inner, f"{path}{key}.")
        else:
            yield f"{path}{key}", inner


def page_text(path: Path) -> list[str]:
    """Return the lines of a report's page without the pictures that are in it."""
    return re.sub(r'src="data:[^"]*"', "", path.read_text("utf-8")).splitlines()


def _pages(before: Path, after: Path) -> Iterator[Change]:
    if page_text(before) != page_text(after):
        yield Change("other words (--captions shows them)", weighs=False)


def _yaml(before: Path, after: Path) -> Iterator[Change]:
    """Tell of settings that were added; of any other difference as of a text's."""
    old, new = (yaml.safe_load(file.read_text("utf-8")) for file in (before, after))
    added = [key for key in new if key not in old] if isinstance(new, dict) else []
    if isinstance(old, dict) and added and {**old, **{key: new[key] for key in added}} == new:
        for key in added:
            yield Change(f"key {key} added", weighs=False)
    else:
        yield from _texts(before, after)


def _texts(before: Path, after: Path) -> Iterator[Change]:
    """Tell of the first line that differs."""
    old, new = _renamed(before.read_text("utf-8")), after.read_text("utf-8")
    if old == new:
        yield Change("other names, as declared", weighs=False)
        return
    lines = zip([*old.splitlines(), "(end)"], [*new.splitlines(), "(end)"], strict=False)
    first = next(((one, two) for one, two in lines if one != two), ("", ""))
    yield Change("other text", example=_arrow(first[0].strip(), first[1].strip()))


_KINDS: Final[Mapping[str, Callable[[Path, Path], Iterable[Change]]]] = {
    ".parquet": _tables(_parquet, "column"),
    ".safetensors": _tables(load_file, "tensor"),
    ".csv": _tables(_csv, "column"),
    ".json": _json,
    ".yaml": _yaml,
    ".html": _pages,
}
