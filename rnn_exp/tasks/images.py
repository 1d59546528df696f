"""Images out of a file, pixel by pixel or several pixels a time step."""

import dataclasses
import functools
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnn_exp.fields import SettingError, check, flag, whole
from rnn_exp.randomness import generator
from rnn_exp.shapes import Shaped
from rnn_exp.tasks.arrays import arrays_of_npz, idx_array, is_npz
from rnn_exp.tasks.files import FileTask, TaskFiles, sha256_field, text
from rnn_exp.tasks.task import Batch, Classification

__all__ = ["Images"]

_WHAT = "an npz file of images and labels, or an idx3-ubyte file"
_SPLIT = ("x_train", "y_train", "x_test", "y_test")  # as Keras' mnist.npz calls them
_ALL = ("images", "labels")
_USES = ("for training", "for tests")


class _Pictures(NamedTuple):
    """Images of all pixels, and their classes by number; the first ones are for training.

    ``low`` and ``high`` are the smallest and the largest pixel of those for training.
    """

    pixels: Shaped[Tensor, "image pixel"]
    classes: Shaped[Tensor, " image"]
    training: int
    low: float
    high: float


@dataclasses.dataclass(frozen=True)
class Images(FileTask, Classification):
    """Say what an image shows, pixel by pixel: sequential MNIST, for whoever has the file.

    ::

        time      1    2    3    4    5   …  784     28 × 28 pixels, one a step
        input    .00  .00  .31  .81  .56      .00     answer: class 7 of 10

    The file is one of

    * npz, as numpy writes it, with ``x_train``, ``y_train``, ``x_test`` and ``y_test`` (Keras'
      mnist.npz), or ``images`` and ``labels``, of which the last fifth is for tests;
    * idx (train-images-idx3-ubyte of MNIST, also as .gz), with the labels beside it
      (train-labels-idx1-ubyte), and images for tests if they are there (t10k-…), else the last
      fifth.

    An image is read row by row; of colours, each channel is a pixel. The pixels of the training
    images go from 0 to 1. ``permuted`` puts the pixels into one fixed random order, the same for
    every image, run and file of that size (Le, Jaitly & Hinton 2015). Every step is a cue.

    `draw` draws training images, with replacement; `held_out` gives each test image once.
    Cross-entropy at the last step. Chance knows how often each class is right in training: its loss
    is their entropy, its error that of the most frequent one.

    Args:
        file: path of the file, seen from the folder of the command. What counts is its content:
            in other places the same file is the same run.
        pixels_per_step: pixels of a time step; those of a row (28) make it row by row.
        permuted: whether the pixels come in a random order.
        length: time steps (0: those that the image has).
        sha256: of the file (null: as it is). A file with another one is refused.

    Raises:
        SettingError: if the file is not there, is another one, or holds no images with labels; if
            the pixels of a step do not divide those of an image.
    """

    file: str | None = text(_WHAT, short="", decides=False)
    pixels_per_step: int = whole(1, least=1, short="pixels")
    permuted: bool = flag(False)
    length: int = whole(0)
    sha256: str | None = sha256_field()

    name: ClassVar[str] = "images"

    def __post_init__(self) -> None:
        """Refuse settings that cannot be, and read the file."""
        check(self)
        self.find_file(_WHAT)
        pixels = self._pictures.pixels.shape[1]
        if pixels % self.pixels_per_step:
            allowed = f"a divisor of {pixels}, the pixels of an image of {self.file}"
            raise SettingError("pixels_per_step", self.pixels_per_step, allowed)
        steps = pixels // self.pixels_per_step
        if self.length not in (0, steps):
            allowed = f"{steps}, the steps of an image of {self.file}"
            raise SettingError("length", self.length, allowed)
        object.__setattr__(self, "length", steps)

    def beside(self, path: Path) -> list[Path]:
        """Return the files of labels, and of test images, that go with one of images in idx."""
        if "images" not in path.name or "idx3" not in path.name:
            return []
        both = [path, path.with_name(path.name.replace("train", "t10k", 1))]
        labels = [
            one.with_name(one.name.replace("images", "labels", 1).replace("idx3", "idx1", 1))
            for one in both
        ]
        has_tests = both[1] != path and both[1].exists()
        return [labels[0], both[1], labels[1]] if has_tests else [labels[0]]

    @property
    def _pictures(self) -> _Pictures:
        return _read(self.source)

    @property
    def input_size(self) -> int:
        """The pixels of a time step."""
        return self.pixels_per_step

    @property
    def output_size(self) -> int:
        """The classes there are in training."""
        return int(self._pictures.classes.max()) + 1

    @property
    def chance_loss(self) -> float:
        """The entropy of the classes in training, in nats."""
        share = self._shares()
        return float(-(share * share.log()).sum())

    @property
    def chance_error(self) -> float:
        """The share of training images that are not of the most frequent class."""
        return 1 - float(self._shares().max())

    def _shares(self) -> Tensor:
        pictures = self._pictures
        counts = torch.bincount(pictures.classes[: pictures.training]).double()
        return counts / pictures.training

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw training images, with replacement."""
        count = self._pictures.training
        return self._batch_of(torch.randint(0, count, (batch_size,), generator=generator))

    def held_out(self) -> Batch:
        """Return each image that is not for training once."""
        return self._batch_of(torch.arange(self._pictures.training, len(self._pictures.classes)))

    def _batch_of(self, which: Shaped[Tensor, " batch"]) -> Batch:
        pictures = self._pictures
        pixels = pictures.pixels[which]
        if self.permuted:
            pixels = pixels[:, _order(pixels.shape[1])]
        scaled = (pixels.float() - pictures.low) / (pictures.high - pictures.low)
        inputs = scaled.view(len(which), self.length, self.pixels_per_step).transpose(0, 1)
        cues = torch.arange(1, self.length + 1).unsqueeze(1).expand(self.length, len(which))
        return Batch(inputs, pictures.classes[which].unsqueeze(0), cues, self.length)


def _order(pixels: int) -> Tensor:
    """Return the order in which permuted pixels come."""
    return torch.randperm(pixels, generator=generator(0, "order of pixels"))


@functools.lru_cache(maxsize=2)
def _read(source: TaskFiles) -> _Pictures:
    """Return the images of a file, and of those beside it."""
    shown, contents = source.shown, source.contents()
    if is_npz(contents[0]):
        arrays = list(arrays_of_npz(contents[0], shown, [_SPLIT, _ALL]).values())
    else:
        arrays = [idx_array(content, shown) for content in contents]
    if len(arrays) == 1:
        allowed = f"{_WHAT}, called …images-idx3-ubyte, with …labels-idx1-ubyte beside it"
        raise SettingError("file", shown, allowed)
    images, labels = arrays[0::2], arrays[1::2]
    training = len(images[0]) if len(images) > 1 else len(images[0]) - len(images[0]) // 5
    for pictures, names in zip(images, labels, strict=True):
        fits = pictures.ndim > 1 and names.ndim == 1 and len(names) == len(pictures)
        if not fits or pictures.shape[1:] != images[0].shape[1:] or names.dtype.kind not in "ui":
            shapes = f"images {pictures.shape}, labels {names.shape} ({names.dtype})"
            raise SettingError("file", shown, f"images of one size, each with a number; {shapes}")
    parts = [_single(part, shown, use) for part, use in zip(images, _USES, strict=False)]
    return _checked(np.concatenate(parts), np.concatenate(labels), training, shown)


def _single(pictures: np.ndarray, shown: str, use: str) -> np.ndarray:
    """Return images as bytes or in single precision, having looked at every pixel.

    Args:
        pictures: of one size.
        shown: the path of their file as it was typed.
        use: what they are for, in words.
    """
    if pictures.dtype == np.uint8:
        return pictures
    with np.errstate(over="ignore"):
        pixels = pictures.astype(np.float32)
    finite = np.isfinite(pixels)
    if not finite.all():
        place = np.unravel_index(int(finite.argmin()), pixels.shape)
        axes = ("row", "column", "channel") if pixels.ndim > 2 else ("pixel",)
        where = ", ".join(f"{axis} {at + 1}" for axis, at in zip(axes, place[1:], strict=False))
        has = f"image {place[0] + 1} {use} has {pictures[place]} in {where}"
        allowed = f"images whose pixels are finite in single precision; {has}"
        raise SettingError("file", shown, allowed)
    return pixels


def _checked(pictures: np.ndarray, names: np.ndarray, training: int, shown: str) -> _Pictures:
    """Return the images, having looked whether something can be learnt of them."""
    pixels = pictures.reshape(len(pictures), -1)
    classes = np.unique(names[:training])
    low, high = float(pixels[:training].min()), float(pixels[:training].max())
    if not low < high:
        raise SettingError("file", shown, "images whose pixels are not all the same")
    if len(classes) < 2 or len(names) <= training or not np.isin(names, classes).all():
        allowed = "images of two classes or more for training, and for tests some of these"
        raise SettingError("file", shown, allowed)
    numbers = torch.tensor(np.searchsorted(classes, names), dtype=torch.int64)
    return _Pictures(torch.from_numpy(pixels.copy()), numbers, training, low, high)
