"""Run folders as they are found: what run.json says, and what the tables' footers promise."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import NoneType
from typing import Any, Final, NamedTuple

from rnn_exp.schema import (
    CARRIERS,
    FORMAT,
    HASHES_SINCE,
    RUN_JSON,
    RUN_KEYS,
    TABLES,
    WITHOUT_RESULTS,
    kernel_of,
    tables_of,
    with_added,
    with_its_engine,
)
from rnn_exp.storage.hashes import damage_of, is_unbroken
from rnn_exp.storage.parquet import Source, promised
from rnn_exp.storage.trust import check_row, check_rows, check_settings, read_json
from rnn_exp.storage.unfinished import parts_of

__all__ = ["NUMBERS", "RESULTS", "TEXTS", "TRUTHS", "RunFolder", "read"]

RESULTS: Final = {key.column: key.path for key in RUN_KEYS if key.column}
"""Columns of the table of runs that are no settings, and where run.json has them."""
NUMBERS: Final = [key.column for key in RUN_KEYS if key.column and key.type == "number"]
TEXTS: Final = [key.column for key in RUN_KEYS if key.column and key.type in ("text", "texts")]
TRUTHS: Final = [key.column for key in RUN_KEYS if key.column and key.type == "truth"]
_LISTS: Final = [key.column for key in RUN_KEYS if key.column and key.type == "texts"]
_CARRIERS: Final = {None, *CARRIERS}
_NEEDED: Final = [key.path for key in RUN_KEYS if key.needed]
_BOTH_ENDS: Final = 2
_ATTEMPTS: Final = 5  # to read a run that goes on meanwhile
_LARGEST: Final = 2**63
_NOT_NEGATIVE: Final = (
    "decay_rate",
    "half_life",
    "final_decay_rate",
    "predicted_rate",
    "theory_rate",
)
_NOT_SETTINGS: Final = {*RESULTS, "run"}
_TAKEN: Final = {*RESULTS, *(name for table in TABLES.values() for name in table.names)}


class RunFolder(NamedTuple):
    """A run that could be read.

    Args:
        row: its row in the table of runs.
        tables: its tables by name, if it is done; each is one file, or the parts of a run that
            has not ended.
        rule: the rule by which its verdicts were given; None: it has none.
        versions: of what made it, in words; None: it does not say.
        kernel: the version of the kernels that made it; None: it was made without.
    """

    row: dict[str, Any]
    tables: dict[str, list[Source]]
    rule: str | None = None
    versions: str | None = None
    kernel: int | None = None

    @property
    def settings(self) -> str:
        """All its settings, as a text that is the same for the same settings."""
        own = {key: value for key, value in self.row.items() if key not in _NOT_SETTINGS}
        return repr(sorted(own.items()))

    def in_memory(self) -> "RunFolder":
        """Return the same with its tables read, so that the folder may be removed.

        Raises:
            OSError: if one cannot be read, or is not as it was written.
        """
        return self._replace(
            tables={
                name: [source.in_memory() for source in sources]
                for name, sources in self.tables.items()
            }
        )


def read(place: Path, name: str, *, unfinished: bool = False) -> RunFolder:
    """Read a run's description and, if it is done, the footers of its tables.

    Args:
        place: the run's folder.
        name: what the run is called in the tables.
        unfinished: whether to read the rows so far of a run that has not ended.

    Raises:
        OSError, ValueError or pyarrow.ArrowException: if either is not as it should be.
    """
    for _ in range(_ATTEMPTS - 1 if unfinished else 0):
        with suppress(FileNotFoundError):  # it went on, or ended, while it was read
            return _read(place, name, unfinished=True)
    return _read(place, name, unfinished=unfinished)


def _read(place: Path, name: str, *, unfinished: bool) -> RunFolder:
    said = read_json(place / RUN_JSON)
    row, rule = _row(said) | {"run": name}, said.get("verdict_rule")
    if not isinstance(rule, str | None):
        raise ValueError(f"{RUN_JSON}: verdict_rule is not text")
    names, version = tables_of(said["settings"]), said.get("format", 1)
    if said["status"] in WITHOUT_RESULTS:
        tables = _parts(place, names, version) if unfinished else {}
        if unfinished and read_json(place / RUN_JSON)["status"] != said["status"]:
            raise FileNotFoundError(f"{place.name} ended while it was read")
        return RunFolder(row, tables, rule, _versions(said), _kernel(said))
    files = said.get("files")
    entries = files if isinstance(files, dict) else {}
    if version >= HASHES_SINCE and not {TABLES[name].file for name in names} <= set(entries):
        raise ValueError(f"{RUN_JSON}: files has no hash of a table")
    ends = {
        name: promised(place / TABLES[name].file, name, version, entries.get(TABLES[name].file))
        for name in names
    }
    rows = {name: table.rows for name, table in ends.items()}
    check_rows(said, rows, {name: table.path.stat().st_size for name, table in ends.items()})
    _agree(said, ends)
    sources = {name: [source] for name, source in ends.items()}
    return RunFolder(row, sources, rule, _versions(said), _kernel(said))


def _kernel(said: Mapping[str, Any]) -> int | None:
    found = kernel_of(said)
    return found if isinstance(found, int) else None


def _versions(said: Mapping[str, Any]) -> str | None:
    """Return the versions that made a run in words; None: it does not say."""
    found = said.get("versions")
    if not isinstance(found, dict):
        return None
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items()))


def _parts(place: Path, names: tuple[str, ...], version: int) -> dict[str, list[Source]]:
    """Read the parts of a run that has not ended; none where it has no checkpoint yet.

    They are read now, and not when they are wanted: the run may go on, and its parts with it.

    Raises:
        FileNotFoundError: if the run went on while they were read.
        ValueError: if one is not as it was written.
    """
    parts = parts_of(place, names)
    found: dict[str, list[Source]] = {name: [] for name in names}
    for name, path, entry in parts.files():
        content = path.read_bytes()
        if wrong := damage_of(content, entry):
            raise ValueError(f"{path.name}: {wrong}")
        found[name].append(promised(path, name, version, entry, content))
    return found


def _row(said: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    missing = [key for key in _NEEDED if not isinstance(said, dict) or key not in said]
    if missing:
        raise ValueError(f"run.json has no {', '.join(missing)}")
    version = said.get("format", 1)
    if not isinstance(version, int) or version > FORMAT:
        raise ValueError(f"{RUN_JSON}: format {version!r}, where this version reads up to {FORMAT}")
    if not is_unbroken(said):
        raise ValueError(f"{RUN_JSON} was changed after it was written (SHA-256)")
    settings = said["settings"]
    if not isinstance(settings, dict):
        raise ValueError("run.json: settings is not an object")
    taken = sorted(_TAKEN & set(settings))
    if taken:
        raise ValueError(f"run.json: a setting has the name of a result: {', '.join(taken)}")
    row = {name: _at(said, path) for name, path in RESULTS.items()}
    row |= {name: _joined(name, row[name]) for name in _LISTS}
    for names, types, what in (
        (NUMBERS, (int, float), "a number"),
        (TEXTS, (str,), "text"),
        (TRUTHS, (bool,), "true or false"),
    ):
        for name in names:
            value = row[name]
            wrong = isinstance(value, bool) and types != (bool,)
            if wrong or not isinstance(value, (*types, NoneType)):
                raise ValueError(f"run.json: {name} is not {what}")
            if isinstance(value, int) and abs(value) > _LARGEST:
                raise ValueError(f"run.json: {name} is too large a number")
            if name.startswith(_NOT_NEGATIVE) and isinstance(value, int | float) and value < 0:
                raise ValueError(f"run.json: {name} is negative")
    check_row(row)
    check_settings(settings)
    if row["carrier"] not in _CARRIERS:
        raise ValueError(f"run.json: carrier is no column of gradients: {row['carrier']}")
    row["command"] = row["command"] and with_its_engine(row["command"], settings)
    return row | with_added(settings)


def _joined(name: str, value: object) -> str | None:
    """Return a list of texts as one text, with commas between them; None for none."""
    texts = [] if value is None else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{RUN_JSON}: {name} is no list of texts")
    return ",".join(texts) or None


def _agree(said: dict[str, Any], tables: Mapping[str, Source]) -> None:
    """Refuse tables that are not of the same updates: there is a row a layer and time of each."""
    steps, layers = said.get("steps"), said["settings"].get("network.num_layers")
    if not isinstance(layers, int) or not isinstance(steps, list) or len(steps) != _BOTH_ENDS:
        return
    if not all(isinstance(step, int) for step in steps):
        return
    updates, rows = tables["updates"].rows, tables["gradients"].rows
    least, most = (updates * layers * step for step in steps)
    if not least <= rows <= most:
        times = " to ".join(str(step) for step in dict.fromkeys(steps))
        raise ValueError(
            f"gradients.parquet has {rows} rows, updates.parquet {updates}: not {layers} "
            f"(layers) times {times} (steps) as many"
        )


def _at(said: dict[str, Any], path: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value at a dotted path, None where there is none."""
    value: Any = said
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value
