"""Files are whole: old or new, never a part, and nothing is left behind."""

import stat
from pathlib import Path

import pytest

from rnn_exp.storage import files
from rnn_exp.storage.files import replace_bytes, replace_file


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    replace_file(path, lambda temporary: temporary.write_text("new"))

    assert path.read_text() == "new"
    assert names(tmp_path) == ["file"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("failure", [ValueError, OSError, KeyboardInterrupt])
@pytest.mark.parametrize("there", [True, False])
def test_a_file_whose_filling_fails_is_as_before_and_leaves_nothing(tmp_path, failure, there):
    path = tmp_path / "file"
    if there:
        path.write_text("old")

    def half(temporary: Path) -> None:
        temporary.write_text("half of")
        raise failure("in the middle")

    with pytest.raises(failure, match="in the middle"):
        replace_file(path, half)

    assert names(tmp_path) == (["file"] if there else [])
    assert not there or path.read_text() == "old"


def test_while_a_file_is_filled_readers_see_the_old_one(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    seen = []

    def fill(temporary: Path) -> None:
        temporary.write_text("new")
        seen.append(path.read_text())
        assert temporary.parent == path.parent  # else the rename would not be atomic

    replace_file(path, fill)

    assert seen == ["old"]


def test_a_file_reaches_the_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    path, synced = tmp_path / "file", []
    monkeypatch.setattr(files.os, "fsync", lambda _: synced.append(path.exists()))

    replace_file(path, lambda temporary: temporary.write_text("new"))

    assert synced == [False]


def test_a_file_that_cannot_get_its_name_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    replace_bytes(path, b"old")

    def fails(self: Path, target: Path) -> Path:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fails)
    with pytest.raises(OSError, match="disk full"):
        replace_bytes(path, b"new")

    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]
