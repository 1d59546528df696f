"""Files that appear whole or not at all."""

import tempfile
from pathlib import Path


def replace(path: Path, content: bytes) -> Path:
    """Write `content` to `path`; a reader sees the old file or the new one, never a part."""
    # In the same folder: a rename is atomic only within one file system.
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as new:
        temporary = Path(new.name)
        try:
            new.write(content)
            new.close()
            temporary.chmod(0o644)
            return temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
