"""Notes and tags on disk: kept when a run goes on, replaced when the same command brings others."""

import dataclasses
import shlex
from pathlib import Path
from typing import Any

from rnn_exp.fields import SettingError
from rnn_exp.schema import RUN_JSON
from rnn_exp.storage.trust import read_json
from rnn_exp.training.labels import label_words
from rnn_exp.training.run import Run

__all__ = ["described", "relabelled", "with_label"]


def with_label(folder: Path, run: Run) -> Run:
    """Return the run with the note and the tags that run.json has, where the run itself has none.

    So a run that is stopped and started again without its note keeps it. What cannot be read, or
    cannot be a note, is not kept.

    Args:
        folder: the run's.
        run: the run.
    """
    if run.note is not None and run.tags is not None:
        return run
    try:
        said = read_json(folder / RUN_JSON)
        return _filled(run, said) if said["digest"] == run.digest else run
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return run


def described(run: Run) -> dict[str, Any]:
    """Return what run.json says of a run's note and tags."""
    return {"note": run.note or None, "tags": list(run.tags or ())}


def relabelled(said: dict[str, Any], run: Run) -> dict[str, Any]:
    """Return a run.json with the note and the tags of the run, in its command as well.

    Args:
        said: what run.json says now.
        run: the run; what it has no word about stays as it is.
    """
    before = _filled(dataclasses.replace(run, note=None, tags=None), said)
    after = _filled(run, said)
    command = str(said["command"]).removesuffix(_words(before)) + _words(after)
    return said | {"command": command} | described(after)


def _filled(run: Run, said: dict[str, Any]) -> Run:
    note = said.get("note") if run.note is None else run.note
    tags = said.get("tags") if run.tags is None else run.tags
    try:
        return dataclasses.replace(run, note=note, tags=tags)
    except SettingError:  # somebody else wrote it
        return run


def _words(run: Run) -> str:
    return "".join(f" {shlex.quote(word)}" for word in label_words(run.note, run.tags))
