"""CITATION.cff says of the package what pyproject.toml says."""

import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_the_citation_names_the_version_and_the_licence_of_the_package():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))

    assert cited["version"] == project["version"]
    assert cited["license"] == project["license"]
    assert cited["title"] == project["name"]
    assert cited["keywords"] == project["keywords"]
