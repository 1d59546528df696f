"""The words that a page explains: those that it uses, and no others."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from markupsafe import Markup

__all__ = ["Word", "task_words", "word", "words_in"]


class Word(NamedTuple):
    """A word and what it means; ``used`` finds it in the text of a page."""

    word: str
    meaning: str | Markup
    used: str


_WORDS: Final = (
    Word(
        "total gradient",
        Markup("how the loss changes with the state h<sub>t</sub>, through every later step."),
        r"gradient",
    ),
    Word(
        "which gradient is shown",
        Markup(
            "the one that shows how far back a loss reaches: where several steps have a loss, that "
            "of the last answer alone; in an LSTM, the gradient of its memory c<sub>t</sub>."
        ),
        r"last answer|∂L/∂c|LSTM|lstm",
    ),
    Word(
        "direct gradient",
        Markup(
            "the part of the total that does not pass through h<sub>t+1</sub>. With a loss at the "
            "last step alone it is zero at every other step."
        ),
        r"direct",
    ),
    Word(
        "w, σ'(z_t), D_n",
        "the weight of a unit to itself; the slope of its activation at its input z_t; and their "
        "product over n steps, which is ∂h_T/∂h_{T-n} of one unit.",
        r"σ'|D_n",
    ),
    Word("lag", "T - t: how many steps back from the last step of the sequence.", r"\blags?\b"),
    Word(
        "gradient norm",
        Markup(
            "the root mean square over the batch of each sequence's norm, so that it does not "
            "depend on the batch size. It is true at any magnitude; where training lost it to "
            "under- or overflow, figures mark it."
        ),
        r"norm",
    ),
    Word("change", "the norm at the first time step over that at the last, measured.", r"change"),
    Word(
        "rate",
        Markup(
            "the factor by which the norm changes per step back in time, with its 95&nbsp;% "
            "interval. 0.6: keeps 60&nbsp;% per step; 1: keeps its size."
        ),
        r"\brates?\b",
    ),
    Word(
        "half-life, doubling time",
        "after how many lags the norm has halved or, where it grows, doubled. Infinite: the "
        "interval of the rate holds 1.",
        r"half-life|doubling time",
    ),
    Word(
        "units, layers",
        "how many numbers the state of a layer has (network.hidden_size), and how many layers lie "
        "on one another (network.num_layers).",
        r"\b(units?|layers?)\b",
    ),
    Word(
        "W_hh",
        Markup(
            "the recurrent weights: what the state h<sub>t-1</sub> is multiplied by on its way to "
            "h<sub>t</sub>."
        ),
        r"W_hh|\binitial weights\b",
    ),
    Word(
        "gain g",
        "the scale of the initial recurrent weights: their standard deviation is g/√n for n units.",
        r"\bgains?\b|\bg = ",
    ),
    Word(
        "singular-value bound",
        "the largest factor per step that is possible: the largest singular value of W_hh times "
        "the largest slope of the activation. Where it is below 1 the gradient must vanish.",
        r"\bbound\b",
    ),
    Word("decade", "a factor of ten; two decades are a factor of 100.", r"\bdecades?\b"),
    Word(
        "theory",
        "what mean-field theory expects of networks with such weights and inputs, where its "
        "premises hold, and only as far back as it speaks. Its asymptote is the rate that it "
        "tends to at large lags.",
        r"[Tt]heory",
    ),
    Word("chance", "the loss of the best guess that has seen no input.", r"chance"),
    Word(
        "Lyapunov exponent",
        "the mean logarithm of the factor by which a direction of the state grows per step.",
        r"Lyapunov|exponent",
    ),
    Word(
        "regulariser Ω",
        "a term of the loss that asks the gradient to keep its norm from step to step (Pascanu et "
        "al. 2013, equation 9).",
        r"Ω|omega",
    ),
    Word(
        "clipping",
        "where the norm of the gradient of all weights is above a threshold, all of it is made "
        "smaller, so that its norm is the threshold. Clipping binds: the norm is above it.",
        r"[Cc]lip",
    ),
    Word("diverged", "a state, the loss or a gradient was no longer finite.", r"diverged"),
    Word(
        "update",
        "one step of the optimiser; update 0 is the network as initialised.",
        r"updates?\b",
    ),
)


_TASKS: Final = {
    "adding": "to add two marked numbers of a sequence, at its end.",
    "copy": "to say the first symbols again after a delay.",
    "digits": "to say which digit an image shows that is read one pixel a step.",
    "hold": "to be at one value at the end of a sequence without inputs.",
    "images": "to say what an image shows that is read some pixels a step.",
    "latch": "to say at the end which of two classes the first inputs showed.",
    "memorization": "to keep a pattern, and to say it again after a sign.",
    "multiplication": "to multiply two marked numbers of a sequence, at its end.",
    "noise": "nothing can be learned: the answer has nothing to do with the inputs. It is for "
    "measurements before training.",
    "permutation": "to name the first symbol at the end of a random sequence.",
    "series": "to say the next value, or the label, of a window of a time series.",
    "temporal_order": "to name at the end, in their order, two or three symbols seen on the way.",
}


def task_words(tasks: Iterable[str]) -> list[Word]:
    """Return what each task asks of a network; nothing of a user's own.

    Args:
        tasks: their names.
    """
    return [Word(f"task {name}", _TASKS[name], "") for name in tasks if name in _TASKS]


def word(name: str) -> Word:
    """Return a word of every page.

    Args:
        name: the word.
    """
    return next(each for each in _WORDS if each.word == name)


def words_in(texts: Iterable[str]) -> list[Word]:
    """Return the words that are used in a page, or where one of these is explained.

    Args:
        texts: what the page says, without its explanations.
    """
    whole, found = "\n".join(texts), list[Word]()
    while True:
        more = [each for each in _WORDS if re.search(each.used, whole)]
        if more == found:
            return found
        whole, found = "\n".join([whole, *(each.meaning for each in more)]), more
