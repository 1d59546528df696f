"""What is believed of the files in a results folder, which anybody may have written: little.

JSON is read whole or refused; what it says is of a size and kind that tables, figures and pages can
show; tables have no more rows than their run can have recorded.
"""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from rnn_exp.schema import RUN_STATUSES, VERDICTS

__all__ = ["check_row", "check_rows", "check_settings", "read_json", "without_place"]

_MOST_BYTES: Final = 64 * 2**20  # of a JSON file; the list of a million runs has less
_LONGEST_SETTING, _LONGEST_TEXT = 1000, 50_000
_LARGEST: Final = 2**128  # a seed may be as large
# Two thousand zeros a step make 1.7 rows a byte; a file that unpacks to much more is made to.
_MOST_ROWS_A_BYTE: Final = 16
_WORDS: Final = {
    "status": RUN_STATUSES,
    # A run that diverged had this verdict in formats 1 and 2.
    **dict.fromkeys(("verdict", "final_verdict", "verdict_h"), (*VERDICTS, "diverged")),
}


def read_json(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """Return what a JSON file says.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is no file, too large, no JSON, or has NaN, infinity, or values nested so
            deeply that Python cannot read them.
    """
    if not path.is_file():
        # A folder, or a pipe, whose reader would wait for ever.
        raise (ValueError if path.exists() else FileNotFoundError)(f"{path.name} is no file")
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError(f"{path.name} has more than {_MOST_BYTES >> 20} MiB")
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError(f"{path.name} is nested too deeply") from None


def check_settings(settings: Mapping[str, object]) -> None:
    """Refuse settings that no run has: endless numbers and lists, endless or unprintable text.

    Raises:
        ValueError: naming the first one.
    """
    for key, value in settings.items():
        why = _why_no_setting(key) or _why_no_setting(value)
        if why:
            raise ValueError(f"run.json: the setting {key[:60]!a} {why}")


def check_row(row: Mapping[str, object]) -> None:
    """Refuse results that no run has: unknown statuses and verdicts, endless numbers and texts.

    Raises:
        ValueError: naming the first one.
    """
    for name, value in row.items():
        if name in _WORDS and value is not None and value not in _WORDS[name]:
            raise ValueError(f"run.json: {name} is none of {', '.join(_WORDS[name])}")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"run.json: {name} is too large a number")
        if isinstance(value, str):
            if len(value) > _LONGEST_TEXT:
                raise ValueError(f"run.json: {name} has {len(value)} letters")
            value.encode()  # a UnicodeEncodeError is a ValueError


def check_rows(said: Mapping[str, Any], rows: Mapping[str, int], sizes: Mapping[str, int]) -> None:
    """Refuse tables that are longer than their run, or that unpack to much more than they are.

    Args:
        said: of run.json.
        rows: of each table, as its footer promises.
        sizes: of each table's file, in bytes.

    Raises:
        ValueError: naming the first one.
    """
    for name, count in rows.items():
        if count > _MOST_ROWS_A_BYTE * sizes[name]:
            raise ValueError(f"{name}.parquet: {count} rows in {sizes[name]} bytes")
    settings = said["settings"]
    updates, every = settings.get("training.updates"), settings.get("recording.every")
    if _is_whole(updates) and _is_whole(every):
        most = (updates - 1) // every + 2  # every so many from 0 on, and the last
        if rows["updates"] > most:
            raise ValueError(
                f"updates.parquet has {rows['updates']} rows, where its run records at most {most}"
            )
    for name, each in _rows_a_record(settings):
        most = rows["updates"] * each
        if rows.get(name, 0) > most:
            raise ValueError(
                f"{name}.parquet has {rows[name]} rows, where its run records at most {most}"
            )


def _rows_a_record(settings: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield how many rows some tables have at most for a recorded update, where that is known."""
    keys = ("recording.exponents", "recording.jacobian_lags", "network.hidden_size")
    exponents, largest, units = (_whole_or_none(settings.get(key)) for key in keys)
    if exponents is not None:
        yield "exponents", exponents
    if largest is not None and units is not None:  # at the powers of 2, and at the largest
        yield "jacobians", (largest.bit_length() + 1) * 2 * units  # some cells have c beside h


def _whole_or_none(value: object) -> int | None:
    return value if isinstance(value, int) and _is_whole(value) else None


def _why_no_setting(value: object) -> str:
    """Return why a value cannot be a setting, or a key of one; "" if it can."""
    if isinstance(value, str):
        if len(value) > _LONGEST_SETTING:
            return f"has {len(value)} letters"
        return "" if value.isprintable() else "has signs that cannot be shown"
    if isinstance(value, float) and not math.isfinite(value):
        return "is too large a number"
    if isinstance(value, int) and abs(value) > _LARGEST:
        return "is too large a number"
    if isinstance(value, (list, dict)):
        if len(value) > _LONGEST_SETTING:
            return f"has {len(value)} values"
        inside = [*value, *value.values()] if isinstance(value, dict) else value
        return next(filter(None, map(_why_no_setting, inside)), "")
    return ""


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def without_place(place: Path, why: str) -> str:
    """Return a reason with names instead of paths: where a folder lies is nobody's business."""
    return why.replace(f"{place}/", "").replace(str(place), place.name)
