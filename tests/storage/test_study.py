"""What a sweep's folder says of its study: its page, and the command that makes it again."""

import functools
import json

import pytest

from rnn_exp.fields import SettingError
from rnn_exp.storage.study import StudyPage, compared, study_of
from rnn_exp.storage.walk import study_names

COURSE = "Is ∂h_T/∂h_{T-n} the product of σ'(z_t) w over n steps, and does w > 1 make it explode?"


def said(folder, **content):
    folder.mkdir(exist_ok=True)
    (folder / "sweep.json").write_text(json.dumps(content), encoding="utf-8")
    return study_of(folder)


def test_a_folder_says_what_its_study_declared(tmp_path):
    page = {"question": "Why?", "figures": ["decay"]}
    found = said(tmp_path / "a", begun=1.6e9, command="rnn-exp -m seed=0,1", page=page)
    assert (found.name, found.command, found.day) == ("a", "rnn-exp -m seed=0,1", "2020-09-13")
    assert found.page == StudyPage("Why?", ("decay",))


def test_a_folder_of_before_has_the_declaration_of_the_study_that_its_command_names(tmp_path):
    found = said(tmp_path / "a", command="rnn-exp study=course hydra.sweep.dir=a")
    assert found.page == StudyPage(COURSE, ("course",), ("course",))
    assert said(tmp_path / "a", command="rnn-exp study=nothing").page == StudyPage()
    assert said(tmp_path / "a", command="rnn-exp my_study=course").page == StudyPage()


@pytest.mark.parametrize(
    "content",
    [
        {"page": {"question": "a\nb", "figures": "decay"}},
        {"page": {"color": 1}},
        {"page": [1]},
        {"command": {"a": ["study=course"]}},
        {"command": "x" * 200_000},
        {"begun": "yesterday"},
        {"begun": 1e300},
    ],
    ids=range(7),
)
def test_nonsense_in_the_list_of_runs_is_as_if_it_were_not_there(tmp_path, content):
    found = said(tmp_path / "a", **content)
    assert (found.page, found.command, found.day) == (StudyPage(), "", "")


def test_a_folder_without_a_list_of_runs_says_nothing(tmp_path):
    assert study_of(tmp_path).page == StudyPage()


def test_a_single_run_says_its_command_and_the_day_of_its_log(tmp_path):
    run = tmp_path / "sweep" / "run"
    run.mkdir(parents=True)
    (run / "run.json").write_text('{"command": "rnn-exp seed=3"}')
    assert (study_of(run).command, study_of(run).day) == ("rnn-exp seed=3", "")
    said(tmp_path / "sweep", begun=1.6e9, command="rnn-exp -m seed=3,4")
    assert study_of(run).day == "2020-09-13"
    (run / "run.log").write_text("[2026-11-26 18:26:43,475][rnn_exp][INFO] - rnn-exp seed=3\n")
    assert study_of(run).day == "2026-11-26"
    (run / "run.log").write_bytes(b"\xff\x00 nothing")
    assert study_of(run).day == "2020-09-13"


OF_BEFORE = {
    "network.engine": "scan",
    "network.cell": "rnn",
    "network.activation": "tanh",
    "device": "cpu",
}


def test_a_run_from_before_there_were_kernels_says_the_engine_that_made_it(tmp_path):
    for seed, kernels in ((3, {}), (4, {"kernel": 1})):
        run = tmp_path / f"{seed}"
        run.mkdir()
        engine = {"network.engine": "kernel"} if kernels else {}
        content = {"settings": OF_BEFORE | engine, "network": kernels}
        content |= {"command": f"rnn-exp seed={seed}"}
        (run / "run.json").write_text(json.dumps(content))
    assert study_of(tmp_path / "3").command == "rnn-exp seed=3 network.engine=scan"
    assert study_of(tmp_path / "4").command == "rnn-exp seed=4"
    listed = functools.partial(said, tmp_path, command="rnn-exp -m seed=3,4")
    assert listed(runs=["none", "3"]).command == "rnn-exp -m seed=3,4 network.engine=scan"
    assert listed(runs=["none", "4", "3"]).command == "rnn-exp -m seed=3,4"
    assert listed(runs=["none", "\0", 7]).command == "rnn-exp -m seed=3,4"


def test_a_sweep_of_before_is_made_again_in_the_folder_that_its_words_named(tmp_path):
    folder = tmp_path / "sweep-0123abcd"
    (folder / "3").mkdir(parents=True)
    (folder / "3" / "run.json").write_text(json.dumps({"settings": OF_BEFORE}))
    found = said(folder, command="rnn-exp -m seed=3", runs=["3"]).command
    assert found == "rnn-exp -m seed=3 network.engine=scan hydra.sweep.dir=outputs/sweep-0123abcd"


def test_a_question_is_one_line_and_figures_are_names():
    for question in ("two\nlines", "", "x" * 301, "${seed}"):
        with pytest.raises(SettingError, match=r"page\.question"):
            StudyPage.of({"question": question})
    for figures in ([], ["a-b"], "decay"):
        with pytest.raises(SettingError, match=r"page\.figures"):
            StudyPage.of({"figures": figures})


def test_a_page_of_before_is_answered_as_the_study_that_it_is_of(tmp_path):
    of_before = {"question": COURSE, "figures": ["course"]}
    command = "rnn-exp study=course"
    assert said(tmp_path / "a", command=command, page=of_before).page.answer == ("course",)
    fewer = of_before | {"figures": ["decay"]}
    assert said(tmp_path / "c", command=command, page=fewer).page.answer == ("course",)
    own = of_before | {"question": "Why?"}
    assert said(tmp_path / "b", command=command, page=own).page == StudyPage("Why?", ("course",))


def test_studies_that_are_compared_are_named_in_the_question(tmp_path):
    folders = [tmp_path / name for name in ("x/depth", "y/depth", "y/width")]
    assert study_names(folders) == ["x/depth", "y/depth", "y/width"]
    assert study_names(folders[1:]) == ["depth", "width"]
    assert study_names([folders[0], folders[0]]) == ["depth", "depth"]
    both = compared(study_names(folders[:2]))
    assert both.page.question == "What differs between x/depth and y/depth?"
    assert compared(["x" * 150, "y" * 150]).page.question == "What differs between 2 studies?"
