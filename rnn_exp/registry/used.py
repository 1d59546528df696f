"""Where files of users are: one reading of ``use=[mine.py]`` and ``--config-dir`` for all commands.

A path is looked for in the current folder, and then in that of ``--config-dir``.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from rnn_exp.registry.loading import use
from rnn_exp.registry.source import Source, SourceError

__all__ = ["files_in", "folders_in", "use_files"]

_USE: Final = re.compile(r"\+{0,2}use=(.*)", re.DOTALL)
_PATHS: Final = re.compile(r"\"([^\"]*)\"|'([^']*)'|([^,\s][^,]*)")
_FOLDER: Final = ("--config-dir", "-cd")  # as Hydra calls it


def files_in(words: Iterable[str]) -> list[str]:
    """Return the files that words such as ``use=[mine.py,other.py]`` ask for.

    Args:
        words: of a command line that Hydra does not read.

    Example:
        >>> files_in(["use=[mine.py, 'my parts, old.py']", "task=mine"])
        ['mine.py', 'my parts, old.py']
    """
    lists = [found[1] for word in words if (found := _USE.fullmatch(word))]
    inner = [each.strip().removeprefix("[").removesuffix("]") for each in lists]
    return ["".join(path).strip() for each in inner for path in _PATHS.findall(each)]


def folders_in(words: Sequence[str]) -> list[Path]:
    """Return the folder of ``--config-dir``, the last one if it is given twice; else none.

    Args:
        words: of a command line that Hydra does not read.

    Example:
        >>> [path.name for path in folders_in(["--settings", "--config-dir", "my"])]
        ['my']
    """
    given = []
    for word, after in zip(words, [*words[1:], ""], strict=True):
        option, equals, value = word.partition("=")
        if option in _FOLDER:
            given.append(Path(value if equals else after))
    return given[-1:]


def use_files(named: Iterable[str], folders: Sequence[Path] = ()) -> list[Source]:
    """Run the files that are asked for, wherever they lie.

    Args:
        named: their paths, as they were written.
        folders: where they are looked for, after the current folder.

    Returns:
        What each of them is.

    Raises:
        SourceError: if one is not there, there twice, or cannot be run.
    """
    return [use(_place_of(name, folders)) for name in named]


def _place_of(name: str, folders: Sequence[Path]) -> Path | str:
    """Return the path of a file that is used, from the current folder."""
    places = dict.fromkeys((folder / name).resolve() for folder in (Path(), *folders))
    found = [place for place in places if place.is_file()]
    if len({place.read_bytes() for place in found}) > 1:
        both = " and ".join(str(_from_here(place)) for place in found)
        raise SourceError("use", name, f"one file, but there are two: {both}")
    if not found and name.endswith(".py"):
        looked = " or ".join(str(folder) for folder in ("the current folder", *folders))
        allowed = f"the path of a Python file; there is no such file in {looked}"
        raise SourceError("use", name, allowed)
    return _from_here(found[0]) if found else name


def _from_here(path: Path) -> Path:
    """Return a path from the current folder, if it lies below that."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
