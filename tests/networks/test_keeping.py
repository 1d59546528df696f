"""What is kept of compiled kernels: one index for each precision, and files that may be damaged."""

import os
from pathlib import Path

import numpy as np
import pytest

from rnn_exp.networks.kernel import compiling, keeping
from rnn_exp.networks.network import Network


def doubled(values):
    return values[0] * 2


def kept_in(folder, monkeypatch):
    """Return the function as a new process has it."""
    monkeypatch.setattr(compiling, "folder", lambda: folder)
    return compiling.kept(doubled)


def files(folder, ending):
    return sorted(folder.rglob(f"*.{ending}"))


def test_precisions_share_no_file(tmp_path, monkeypatch):
    for dtype in (np.float32, np.float64):
        assert kept_in(tmp_path, monkeypatch)(np.ones(1, dtype)) == 2
    for ending in ("nbi", "nbc"):
        assert len({one.parent for one in files(tmp_path, ending)}) == 2


@pytest.mark.parametrize("ending", ["nbi", "nbc"])
@pytest.mark.parametrize("left", [0, 100])
def test_a_kept_file_that_ends_early_is_written_anew(ending, left, tmp_path, monkeypatch):
    assert kept_in(tmp_path, monkeypatch)(np.ones(1)) == 2
    [damaged] = files(tmp_path, ending)
    whole = damaged.stat().st_size
    os.truncate(damaged, left)
    assert kept_in(tmp_path, monkeypatch)(np.ones(1)) == 2
    assert damaged.stat().st_size == pytest.approx(whole, rel=0.1)


def test_a_folder_that_takes_no_file_stops_nothing(tmp_path, monkeypatch):
    place = tmp_path / "a file"
    place.touch()
    assert kept_in(place, monkeypatch)(np.ones(1)) == 2
    assert not files(Path(__file__).parent, "nbi")


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_process_says_once_that_it_compiles(is_kept, tmp_path, monkeypatch):
    monkeypatch.setattr(keeping, "folder", lambda: tmp_path if is_kept else None)
    keeping._compiled_here.cache_clear()
    said = []
    for _ in range(2):
        keeping.compile_for([Network(hidden_size=3, engine="kernel")] * 2, said.append)
    [line] = said
    assert line.startswith("compiling the rnn kernels in float32, some seconds; they ")
    assert line.endswith("they are kept") == is_kept
