"""Flipped bits: in any file of results or of a checkpoint, each is found or does no harm."""

import json
import os
import random
import shutil
import warnings
from pathlib import Path

import pytest
from pandas.testing import assert_frame_equal

import rnn_exp
from rnn_exp.networks.network import Network
from rnn_exp.storage.loading import DamagedWarning
from rnn_exp.storage.verifying import verify
from rnn_exp.storage.writing import is_done
from rnn_exp.sweeps.jobs import Job
from rnn_exp.sweeps.worker import train_jobs
from rnn_exp.tasks import Adding
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Recording, Training

RUN = Run(
    Adding(5), Network(hidden_size=3), training=Training(6), recording=Recording(2, exponents=1)
)
RESULTS = (
    "run.json",
    "updates.parquet",
    "gradients.parquet",
    "exponents.parquet",
    "weights.safetensors",
    "note.yaml",
)
SAVED = ("checkpoint.safetensors", "00001.gradients.parquet", "00001.updates.parquet")
FLIPS = 8  # `make slow` has hundreds
KILLS = int(os.environ.get("RNN_EXP_KILLS", "4"))  # a dose: `make slow` has 60


def flip(path: Path, seed: int) -> None:
    """Flip one bit of a file."""
    content = bytearray(path.read_bytes())
    bit = random.Random(seed).randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results") / "run"
    train_jobs([Job(RUN, folder, {"note.yaml": "a: 1\n"})])
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "run"

    def stop(update):
        if update.number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_jobs([Job(RUN, folder, {"note.yaml": "a: 1\n"})], stop)
    return folder


def outcome_of_flip(original: Path, name: str, seed: int, folder: Path) -> str:
    """Flip a bit of a file of results; return ``found`` or ``harmless``, or fail."""
    shutil.copytree(original, folder)
    flip(folder / name, seed)
    [verified] = verify(folder)
    loaded = rnn_exp.load(folder)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", DamagedWarning)
        tables = [*list(loaded)[:3], loaded.exponents]
    if not verified.bad:  # a space of run.json that became another space
        assert name == "run.json"
        assert json.loads((folder / name).read_text()) == json.loads((original / name).read_text())
        for ours, whole in zip(
            tables, [*list(rnn_exp.load(original))[:3], loaded.exponents], strict=True
        ):
            assert_frame_equal(ours, whole)
        assert is_done(folder, RUN)
        return "harmless"
    assert [path.name for path in verified.bad] == [name]
    if name.endswith((".parquet", ".json")):
        assert told or len(loaded.broken), "a table that was changed is not read as other numbers"
    assert is_done(folder, RUN) == (name == "note.yaml")
    return "found"


def outcome_of_saved_flip(original: Path, whole: Path, name: str, seed: int, folder: Path) -> str:
    """Flip a bit of a checkpoint or part and go on; the results must be those of a whole run."""
    shutil.copytree(original, folder)
    flip(folder / "unfinished" / name, seed)
    [verified] = verify(folder)
    train_jobs([Job(RUN, folder, {"note.yaml": "a: 1\n"})])
    for each in RESULTS:
        assert (folder / each).read_bytes() == (whole / each).read_bytes()
    assert is_done(folder, RUN)
    put_aside = (folder / "aside-1" / "unfinished" / name).exists()
    assert put_aside == bool(verified.bad)
    return "found" if put_aside else "harmless"


@pytest.mark.parametrize("name", RESULTS)
def test_a_flipped_bit_in_results_is_found_or_does_no_harm(tmp_path, results, name):
    kinds = {outcome_of_flip(results, name, seed, tmp_path / str(seed)) for seed in range(FLIPS)}

    assert "found" in kinds


@pytest.mark.parametrize("name", SAVED)
def test_a_run_goes_on_to_its_own_bits_whatever_bit_of_what_was_saved_is_flipped(
    tmp_path, results, saved, name
):
    for seed in range(3):
        outcome_of_saved_flip(saved, results, name, seed, tmp_path / str(seed))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*RESULTS, *SAVED])
def test_of_hundreds_of_flips_each_is_found_or_does_no_harm(
    tmp_path, results, saved, name, attempts
):
    flips = 5 * KILLS if name in RESULTS else KILLS
    for seed in range(1000, 1000 + flips):
        folder = tmp_path / str(seed)
        with attempts.of("flips in results" if name in RESULTS else "flips in checkpoints"):
            if name in RESULTS:
                outcome_of_flip(results, name, seed, folder)
            else:
                outcome_of_saved_flip(saved, results, name, seed, folder)
        shutil.rmtree(folder)
