"""What files beside the package say of it: how to cite it, how to contribute to it."""

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PATH = re.compile(r"`([\w./]+(?:\.py|\.md|\.yaml|\.toml|/))`")


def test_the_citation_names_the_version_and_the_licence_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))

    assert cited["version"] == project["version"]
    assert cited["license"] == project["license"]
    assert cited["title"] == project["name"]
    assert cited["keywords"] == project["keywords"]


def test_every_file_that_is_to_be_written_to_is_there():
    named = PATH.findall((ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    files = {f"/{path.relative_to(ROOT)}" for path in ROOT.glob("[!.]*")}
    for folder in ("rnn_exp", "conf", "docs", "tests", "scripts"):
        files |= {f"/{path.relative_to(ROOT)}" for path in (ROOT / folder).rglob("*")}

    assert len(named) > 20
    for name in named:
        if "NAME" not in name:
            assert any(path.endswith(f"/{name.rstrip('/')}") for path in files), name


def test_the_checks_before_a_commit_are_programs_of_the_environment():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]

    assert [each["repo"] for each in hooks] == ["local"]
    assert {hook["language"] for hook in hooks[0]["hooks"]} == {"system"}
