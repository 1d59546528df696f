"""The number of a run that a search looks at."""

import json
import math

import pytest

from rnn_exp.fields import SettingError
from rnn_exp.networks.inits import Gaussian
from rnn_exp.networks.network import Network
from rnn_exp.storage.loading import load
from rnn_exp.storage.objective import Objective
from rnn_exp.storage.writing import write
from rnn_exp.tasks import Adding
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Training


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A finished run and one that diverged."""
    found = {}
    for word, gain in (("finished", 0.5), ("diverged", 1e30)):
        network = Network(activation="relu", hidden_size=4)
        [outcome] = train_runs([Run(Adding(5), network, Gaussian(gain), Training(3))])
        folder = found[word] = tmp_path_factory.mktemp(word)
        write(folder, outcome)
        assert outcome.status == word
    return found


def test_the_usual_one_is_the_last_recorded_loss(folders):
    loss = load(folders["finished"]).updates["loss"].iloc[-1]

    assert Objective().of(folders["finished"]) == loss
    assert load(folders["finished"]).runs["final_loss"].tolist() == [loss]


def test_every_number_of_the_table_of_runs_can_be_one(folders):
    runs = load(folders["finished"]).runs

    for name in runs.select_dtypes("number"):
        if "." not in name and name not in ("seed",):
            value, expected = Objective(name).of(folders["finished"]), runs[name].iloc[0]
            assert value == expected or (value is None and math.isnan(expected)), name


def test_what_a_run_does_not_have_is_none_and_no_number(folders):
    assert Objective("predicted_rate").of(folders["finished"]) is None
    assert Objective("diverged_update").of(folders["finished"]) is None


def test_of_a_run_that_diverged_loss_and_error_are_infinite_and_the_rest_is_what_it_is(folders):
    assert Objective("final_loss").of(folders["diverged"]) == math.inf
    assert Objective("final_error").of(folders["diverged"]) == math.inf
    assert Objective("diverged_update").of(folders["diverged"]) == 0
    assert Objective("decay_rate").of(folders["diverged"]) is None


def test_in_a_folder_of_an_older_format_the_table_has_it(folders, tmp_path):
    for path in folders["finished"].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    said = json.loads((tmp_path / "run.json").read_text())
    del said["final"]["loss"]
    (tmp_path / "run.json").write_text(json.dumps(said))

    assert Objective().of(tmp_path) == Objective().of(folders["finished"])


def test_what_is_no_number_of_a_run_is_refused_with_the_nearest_one():
    with pytest.raises(SettingError, match=r"^objective=verdict is not possible: allowed is one "):
        Objective("verdict")
    with pytest.raises(SettingError, match=r"\(did you mean final_loss\?\)$"):
        Objective("final_los")


def test_a_number_that_the_settings_of_a_run_do_not_give_is_refused_with_what_it_needs():
    for name in ("final_test_loss", "final_test_error"):
        Objective(name).refuse_for(has_tests=True, has_memory=False)
        with pytest.raises(SettingError, match=rf"^objective={name} .* evaluation\.every="):
            Objective(name).refuse_for(has_tests=False)
    for name in ("decay_rate_h", "log10_change_h"):
        Objective(name).refuse_for(has_tests=False, has_memory=True)
        with pytest.raises(SettingError, match=rf"^objective={name} .* network\.cell=lstm"):
            Objective(name).refuse_for(has_tests=False, has_memory=False)
