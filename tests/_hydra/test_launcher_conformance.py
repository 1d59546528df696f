"""Hydra's own conformance suite for launchers: with any task function, ours behaves as Hydra's."""

import copy
import os
import sys
from pathlib import Path

import pytest
import yaml
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.singleton import Singleton
from hydra.test_utils.launcher_common_tests import IntegrationTestSuite, LauncherTestSuite
from hydra.version import VersionBase

ROOT = Path(__file__).parents[2]
PLUGINS = str(ROOT / "rnn_exp" / "_hydra")


@pytest.fixture(autouse=True)
def launcher_is_known(monkeypatch):
    """The launcher and its configuration, where another application would look for them."""
    before = Singleton.get_state()
    monkeypatch.setattr(sys, "path", [*sys.path, PLUGINS])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), PLUGINS]))
    own = copy.deepcopy(before)
    own["instances"].pop(Plugins, None)  # plugins are looked for anew
    own["instances"].pop(VersionBase, None)  # what another test composed with is forgotten
    Singleton.set_state(own)
    node = yaml.safe_load((ROOT / "conf" / "hydra" / "launcher" / "rnn_exp.yaml").read_text())
    ConfigStore.instance().store(group="hydra/launcher", name="rnn_exp", node=node)
    Plugins.instance()
    yield
    Singleton.set_state(before)


# The suite is of Hydra 1.1's time, whose jobs changed the working directory.
@pytest.mark.filterwarnings("ignore:.*Future Hydra versions will no longer change:UserWarning")
@pytest.mark.parametrize(("launcher_name", "overrides"), [("rnn_exp", [])])
class TestLauncher(LauncherTestSuite):
    """Jobs, overrides, folders, resolvers, batches: what a launcher owes a sweep."""


@pytest.mark.parametrize(
    ("task_launcher_cfg", "extra_flags"),
    [({}, [f"--config-dir={ROOT / 'conf'}", "-m", "hydra/launcher=rnn_exp"])],
)
class TestIntegration(IntegrationTestSuite):
    """The same from a command line, in a process of its own."""
