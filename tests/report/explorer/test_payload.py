"""What the page carries of a study is what was recorded, or says what of it was left out."""

import base64
import hashlib
import json
import re

import numpy as np
import pandas as pd
import pytest

from rnn_exp.report import explorer
from rnn_exp.report import page as page_module
from rnn_exp.report.explorer import profiles
from rnn_exp.report.explorer.payload import payload
from rnn_exp.schema import GRADIENT_STATUSES
from rnn_exp.storage.study import Study as StudySaid
from tests.tables import Study, altered, diverged, study


def unpacked(packed: list) -> np.ndarray:
    low, step, text = packed
    codes = np.frombuffer(base64.b64decode(text), dtype="<u2").astype(float)
    known = low + step * codes
    special = {profiles.ZERO: -np.inf, profiles.OVER: np.inf, profiles.NONE: np.nan}
    return np.array([special.get(int(c), v) for c, v in zip(codes, known, strict=True)])


def norms(given: dict, run: int) -> np.ndarray:
    """log10 of the norm of a run, by update and lag."""
    found = given["profiles"][run]
    shape = [len(given["grids"][found[key]]) for key in ("updates", "lags")]
    return unpacked(found["norms"]).reshape(shape)


@pytest.mark.parametrize("spread", [0.0, 1e-3, 45.0, 800.0])
def test_packing_moves_no_number_by_more_than_half_a_step(spread: float) -> None:
    numbers = np.random.default_rng(0).uniform(-spread, 0, 500)
    packed = profiles.pack(numbers)
    assert np.abs(unpacked(packed.as_json()) - numbers).max() <= spread / profiles.STEPS / 2 + 1e-12


def test_infinities_and_missing_numbers_are_packed_as_such() -> None:
    numbers = np.array([-np.inf, np.inf, np.nan, -3.0, 2.0])
    assert np.array_equal(unpacked(profiles.pack(numbers).as_json()), numbers, equal_nan=True)


def test_the_profiles_are_those_that_were_recorded() -> None:
    tables = study(("tanh",), (0.5, 2.0), (10, 30), 2, (0, 10))
    given = payload(tables)
    for place, run in enumerate(tables.runs["run"]):
        rows = tables.gradients[tables.gradients["run"] == run]
        wanted = rows.pivot_table("log10_total", "update", "lag").to_numpy()
        assert np.abs(norms(given, place) - wanted).max() < 1e-3
        assert given["profiles"][place]["T"] == tables.runs["task.length"].iloc[place]


def test_what_training_lost_is_marked_where_it_was_lost() -> None:
    tables = study(("sigmoid",), (0.5,), (100,), 1, (0, 10))
    given = payload(tables)
    rows = tables.gradients[tables.gradients["update"] == 0].sort_values("lag")
    lost = rows.loc[rows["status"] == "underflow", "lag"]
    code = GRADIENT_STATUSES.index("underflow")
    assert given["profiles"][0]["lost"][0] == [[lost.min(), lost.max(), code]]


def test_a_norm_that_is_infinite_or_nan_stays_so() -> None:
    tables = diverged(study(("tanh",), (2.0,), (10,), 1, (0, 20)), "tanh-2.0-10-0", 20, time=4)
    last = norms(payload(tables), 0)[-1]
    assert np.isposinf(last[6])
    assert np.isnan(last[7:]).all()


def test_every_setting_that_varies_can_be_chosen_with_numbers_by_their_size() -> None:
    tables = study(("tanh", "relu"), (0.5, 10.0, 2.0), (10,), 2, (0,))
    runs = tables.runs.assign(**{"training.learning_rate": [0.1, 0.01] * 6})
    given = payload(Study(runs, tables.updates, tables.gradients, tables.broken))
    found = {setting["key"]: setting["values"] for setting in given["settings"]}
    assert found["init.gain"] == ["0.5", "2", "10"]
    assert found["network.activation"] == ["relu", "tanh"]
    assert found["seed"] == ["0", "1"]
    assert found["training.learning_rate"] == ["0.01", "0.1"]


def test_a_run_is_at_the_place_of_its_own_values() -> None:
    tables = study(("tanh", "relu"), (0.5, 2.0), (10,), 2, (0,))
    given = payload(tables)
    for place, run in enumerate(given["runs"]["name"]):
        at = [
            s["values"][k]
            for s, k in zip(given["settings"], given["runs"]["at"][place], strict=True)
        ]
        row = tables.runs[tables.runs["run"] == run].iloc[0]
        assert at == [row["network.activation"], f"{row['init.gain']:g}", str(row["seed"])]


def test_of_many_updates_and_lags_an_even_part_is_kept_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(profiles, "MOST_LAGS", 20)
    monkeypatch.setattr(profiles, "MOST_OF_A_RUN", 60)
    tables = study(("tanh",), (0.5,), (30,), 1, (0, 10, 20, 30, 40))
    given = payload(tables)
    assert given["grids"][given["profiles"][0]["updates"]] == [0, 20, 40]
    lags = given["grids"][given["profiles"][0]["lags"]]
    assert (len(lags), lags[0], lags[-1]) == (20, 0, 29)
    assert "at the least 3 of 5." in given["note"]
    assert "Of 1 run with more than 20 time steps, 20 evenly spread lags are here." in given["note"]


def test_of_a_small_study_nothing_is_left_out_and_nothing_is_said() -> None:
    assert payload(study(("tanh",), (0.5,), (10,), 1, (0, 10)))["note"] == ""


def test_a_study_without_gradients_has_no_explorer() -> None:
    nothing = pd.DataFrame()
    assert explorer.of_study(Study(nothing, nothing, nothing, nothing)) is None


def test_no_text_of_a_study_can_end_the_element_of_the_data() -> None:
    evil = "</script><script>alert(1)</script><!--"
    tables = altered(
        study((evil,), (0.5, 1.0), (10,), 1, (0,)),
        study((evil,), (0.5, 1.0), (10,), 1, (0,)).gradients,
    )
    data = str(explorer.of_study(tables).data)
    assert not set("<>&") & set(data)
    assert evil in json.loads(data)["runs"]["name"][0]


def test_the_policy_allows_the_pages_own_script_and_styles_alone() -> None:
    page = page_module.render(
        study(("tanh",), (0.5, 1.0), (10,), 1, (0,)), [], StudySaid("a study")
    )
    [policy] = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    parts = dict(part.split(" ", 1) for part in policy.split("; "))
    assert parts["default-src"] == "'none'"
    assert "unsafe" not in policy
    for name, pattern in (
        ("style-src", r"<style>(.*?)</style>"),
        ("script-src", r"<script>(.*?)</script>"),
    ):
        texts = re.findall(pattern, page, re.DOTALL)
        digests = [base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in texts]
        assert parts[name] == " ".join(f"'sha256-{digest}'" for digest in digests)
