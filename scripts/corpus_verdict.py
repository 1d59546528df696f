"""What is printed of a comparison: a table, a line for each kind of difference, a verdict."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from corpus_compare import Change, Compared

__all__ = ["Verdict", "verdict"]

_MOST_LINES: Final = 40


class Verdict(NamedTuple):
    """The lines to print, of which the last is the verdict, and whether both sides are the same."""

    lines: list[str]
    same: bool


class _Kind(NamedTuple):
    """What makes two differences one kind."""

    part: str
    file: str
    what: str
    weighs: bool

    @property
    def unit(self) -> str:
        """What the file is one of."""
        return "report" if self.file.startswith("report/") else "run"


_Kinds = dict[_Kind, list[tuple[str, Change]]]


def verdict(files: Sequence[Compared], problems: Sequence[str]) -> Verdict:
    """Say what differs.

    Args:
        files: every file that was compared.
        problems: what failed on either side, and figures that were not drawn.
    """
    kinds: _Kinds = {}
    for one in files:
        for change in one.changes:
            kind = _Kind(one.part, one.file, change.what, change.weighs)
            kinds.setdefault(kind, []).append((one.folder, change))
    ordered = sorted(kinds, key=lambda kind: (not kind.weighs, -len(kinds[kind])))
    told = [*problems, *(_line(kind, kinds[kind]) for kind in ordered)]
    if len(told) > _MOST_LINES:
        told[_MOST_LINES:] = [f"… and {len(told) - _MOST_LINES} more"]
    same = bool(files) and not problems and not any(kind.weighs for kind in kinds)
    last = _the_same(files, kinds) if same else _different(kinds, problems)
    return Verdict([*_table(files), "", *told, last], same)


def _table(files: Sequence[Compared]) -> list[str]:
    """Return how many files of each kind were compared, and how many differ."""
    all_files = Counter((one.part, _pattern(one.file)) for one in files)
    other = Counter((one.part, _pattern(one.file)) for one in files if one.changes)
    rows = [("", "file", "compared", "same", "different")]
    for (part, file), count in sorted(all_files.items()):
        differ = other[part, file]
        rows.append((part, file, str(count), str(count - differ), str(differ)))
    return [f"{a:8s} {b:24s} {c:>9s} {d:>9s} {e:>10s}" for a, b, c, d, e in rows]


def _pattern(file: str) -> str:
    return f"report/*{Path(file).suffix}" if file.startswith("report/") else file


def _line(kind: _Kind, found: Sequence[tuple[str, Change]]) -> str:
    """Say in a line which difference it is, where it is, and how large."""
    folders = dict.fromkeys(folder for folder, _ in found)
    values = sum(change.values for _, change in found)
    sizes = [change.largest for _, change in found if change.largest is not None]
    example = found[0][1].example
    parts = [
        f"{'' if kind.weighs else 'noted: '}{kind.part}: {kind.file} {kind.what}"
        + f" in {_counted(len(folders), kind.unit)}"
        + (f" ({_counted(values, 'value')})" if values else ""),
        f"largest difference {max(sizes):.3g}" if sizes else "",
        f"e.g. {example} in {found[0][0]}" if example else f"e.g. {found[0][0]}",
    ]
    return ", ".join(filter(None, parts))


def _the_same(files: Sequence[Compared], kinds: _Kinds) -> str:
    runs = len({one.folder for one in files if not one.file.startswith("report/")})
    sizes = f"({_counted(len(files), 'file')} of {_counted(runs, 'run')})"
    if kinds:
        return f"the same, but for what is noted above {sizes}"
    return f"the same, byte for byte {sizes}"


def _different(kinds: _Kinds, problems: Sequence[str]) -> str:
    """Count the kinds of difference, and the runs and reports that have one."""
    said = [_counted(len(problems), "failure")] if problems else []
    weighing = [kind for kind in kinds if kind.weighs]
    places = {(kind.unit, folder) for kind in weighing for folder, _ in kinds[kind]}
    units = Counter(unit for unit, _ in places)
    where = " and ".join(_counted(count, unit) for unit, count in sorted(units.items()))
    if weighing:
        said.append(f"{_counted(len(weighing), 'kind')} of difference in {where}")
    return f"different: {', '.join(said) or 'nothing was compared'}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count != 1 else ''}"
