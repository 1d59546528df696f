"""Files in the current folder that a refused name may have meant, and the words that bring them."""

import re
import sys
from pathlib import Path

__all__ = ["file_here"]

_FOLDERS = ("--config-dir", "-cd")
_USE = re.compile(r"\+*use=")


def file_here(name: object, group: str = "") -> str:
    """Return " (echo.py is here: add use=[echo.py])" for the name ``echo``; "" without such a file.

    Args:
        name: of a part that there is not.
        group: what it was to be; that of a study is a file study/NAME.yaml.
    """
    if not isinstance(name, str) or not re.fullmatch(r"\w{1,100}", name):
        return ""
    typed = sys.argv[1:]
    if group == "study":
        file, is_used = f"study/{name}.yaml", any(word.startswith(_FOLDERS) for word in typed)
        word = "--config-dir ."
    else:
        file = f"{name}.py"
        is_used = any(_USE.match(each) and file in each for each in typed)
        word = f"use=[{file}]"
    return f" ({file} is here: add {word})" if not is_used and Path(file).is_file() else ""
