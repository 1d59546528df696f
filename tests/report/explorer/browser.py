"""A headless Chromium for tests of the page, where this machine has one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_ABSENT = (
    "no browser: install Debian's chromium-headless-shell, and the extra 'test', to test the page"
)


@contextmanager
def chromium() -> Iterator[Any]:
    """Start the browser of this machine; skip where it has none."""
    path = next(filter(None, map(shutil.which, _NAMES)), None)
    if path is None:
        pytest.skip(_ABSENT)
    api = pytest.importorskip("playwright.sync_api", reason=_ABSENT)
    # Chromium refuses to run as root with its sandbox.
    plain = ["--no-sandbox"] if os.geteuid() == 0 else []
    with api.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=plain)
        yield browser
        browser.close()
