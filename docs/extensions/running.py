"""Pages run as notebooks: two at once, which must not disturb each other."""

import tempfile
import uuid
from pathlib import Path
from typing import Any

import jupyter_client
from jupyter_cache import get_cache
from jupyter_client.manager import AsyncKernelManager
from sphinx.application import Sphinx
from traitlets import CaselessStrEnum, default

_SOCKETS = tempfile.TemporaryDirectory(prefix="pages-")


class SocketManager(AsyncKernelManager):
    """Kernels that are reached through files: of a free port another process may make use first."""

    transport: Any = CaselessStrEnum(["ipc"], default_value="ipc")

    @default("ip")
    def _own_file(self) -> str:
        return str(Path(_SOCKETS.name, uuid.uuid4().hex))


def make_cache(app: Sphinx) -> None:
    """Make the table of pages that have run: two processes would make it at once."""
    get_cache(app.outdir.parent / ".jupyter_cache").db  # noqa: B018 - it is made when it is read


def setup(app: Sphinx) -> dict[str, bool]:
    """Choose how kernels are reached, and tell Sphinx what is done before pages are read."""
    vars(jupyter_client)[AsyncKernelManager.__name__] = SocketManager  # nbclient's default
    app.connect("builder-inited", make_cache)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
