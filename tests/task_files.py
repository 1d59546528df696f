"""An example of every task: those that are made from a file get one."""

import atexit
import functools
import math
import shutil
import tempfile
from pathlib import Path

import numpy as np

from rnn_exp.fields import as_typed
from rnn_exp.tasks import TASKS, Task


@functools.cache
def folder() -> Path:
    """A folder for the files of this process."""
    path = Path(tempfile.mkdtemp(prefix="rnn-exp-examples-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


@functools.cache
def series_file(rows: int = 500) -> str:
    """A CSV file with a column of dates, two of numbers, and one of labels."""
    path = folder() / f"series-{rows}.csv"
    lines = [
        f"2020-{row},{math.sin(row / 5) + row % 7 / 10:.6f},{math.cos(row * row):.6f},"
        f"{'abacabad'[row % 8]}"
        for row in range(rows)
    ]
    path.write_text("\n".join(["date,wave,noise,label", *lines]) + "\n")
    return str(path)


@functools.cache
def images_file() -> str:
    """The bundled digits as an npz file with the names that Keras' mnist.npz has."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    pictures, labels = bundle.images.astype(np.uint8), bundle.target.astype(np.uint8)
    path = folder() / "digits.npz"
    train, test = slice(1437), slice(1437, None)
    np.savez_compressed(
        path,
        x_train=pictures[train],
        y_train=labels[train],
        x_test=pictures[test],
        y_test=labels[test],
    )
    return str(path)


def needs(name: str) -> dict[str, object]:
    """What a task has to be given."""
    given = {
        "images": lambda: {"file": images_file()},
        "series": lambda: {"file": series_file(), "column": "wave"},
    }
    return given.get(name, dict)()


def words(name: str) -> list[str]:
    """The words of a command line that give it."""
    return [f"task.{key}={as_typed(value)}" for key, value in needs(name).items()]


def example(name: str, **settings: object) -> Task:
    """A task with nothing but what it has to be given."""
    return TASKS[name](**{**needs(name), **settings})
