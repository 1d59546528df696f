"""Run folders that were changed on purpose, with hashes that say they were written so."""

import json
from pathlib import Path
from typing import Any

from rnn_exp.storage.hashes import entry_of, sealed


def write_sealed(run: Path, said: dict[str, Any]) -> None:
    """Write a run.json with its seal."""
    (run / "run.json").write_text(json.dumps(sealed(said)), encoding="utf-8")


def reseal(run: Path) -> None:
    """Write down the hashes of a run's files as they are now."""
    said = json.loads((run / "run.json").read_text(encoding="utf-8"))
    files = [name for name in said.get("files", {}) if (run / name).exists()]
    write_sealed(
        run, said | {"files": said.get("files", {}) | {f: entry_of(run / f) for f in files}}
    )
