"""Sequential digits: a hand-written digit, one pixel a time step."""

import dataclasses
import functools
import importlib.util
import math
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from rnn_exp.fields import SettingError
from rnn_exp.shapes import Float, Shaped
from rnn_exp.tasks.task import Batch, Classification

__all__ = ["Digits"]

_PIXELS = 64
_TRAINING_IMAGES = 1437  # of 1,797: four in five


class _Images(NamedTuple):
    """Pixels from 0 to 1, one a time step, and the digit that each image shows."""

    pixels: Float[Tensor, "time image"]
    digits: Shaped[Tensor, " image"]


@functools.cache
def _images() -> _Images:
    """Return all images in the file's order; scikit-learn is imported here, as that is slow."""
    from sklearn.datasets import load_digits

    bundle = load_digits()
    pixels = torch.tensor(bundle.data.T / 16, dtype=torch.float32)
    return _Images(pixels, torch.tensor(bundle.target, dtype=torch.int64))


@dataclasses.dataclass(frozen=True)
class Digits(Classification):
    """Say which digit was shown, one pixel a step: real data, bundled with scikit-learn.

    ::

        time      1    2    3    4    5   …   64
        input    .00  .00  .31  .81  .56      .00      answer: class 0 of 10

    The 1,797 images of 8 × 8 pixels that scikit-learn brings (the test set of the UCI optical
    recognition of handwritten digits), row by row, scaled from 0–16 to 0–1; nothing is downloaded.
    Every pixel is a cue. Cross-entropy at the last step; the ten digits are about equally frequent,
    so guessing scores ln 10 and is wrong 90 % of the time, to half a per cent.

    The first 1,437 images of the file are for training, and `draw` draws from these alone, with
    replacement: to have solved the task is to err on fewer than 1 % of draws of the *training*
    images, so to have learnt them by heart. The other 360 are never drawn; `held_out` gives them,
    for an error on images that were not seen.

    Args:
        length: the number of time steps, 64: the pixels of an image.

    Raises:
        SettingError: if the length is not 64, or scikit-learn is not installed.
    """

    length: int = _PIXELS

    name: ClassVar[str] = "digits"
    input_size: ClassVar[int] = 1
    output_size: ClassVar[int] = 10
    chance_loss: ClassVar[float] = math.log(10)
    chance_error: ClassVar[float] = 0.9

    def __post_init__(self) -> None:
        """Refuse settings that cannot be."""
        if type(self.length) is not int or self.length != _PIXELS:
            raise SettingError("length", self.length, f"{_PIXELS}, the pixels of an image")
        if importlib.util.find_spec("sklearn") is None:
            allowed = "what is installed; pip install 'rnn-exp[digits]' brings scikit-learn"
            raise SettingError("name", self.name, allowed)

    def draw(self, batch_size: int, generator: torch.Generator) -> Batch:
        """Draw training images, with replacement."""
        return self._batch_of(
            torch.randint(0, _TRAINING_IMAGES, (batch_size,), generator=generator)
        )

    def held_out(self) -> Batch:
        """Return each image that is not for training once."""
        return self._batch_of(torch.arange(_TRAINING_IMAGES, len(_images().digits)))

    def _batch_of(self, which: Shaped[Tensor, " batch"]) -> Batch:
        pixels, digits = _images()
        cues = torch.arange(1, self.length + 1).unsqueeze(1).expand(self.length, len(which))
        return Batch(pixels[:, which].unsqueeze(-1), digits[which].unsqueeze(0), cues, self.length)
