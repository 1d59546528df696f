"""``rnn-exp-verify``: own parts, and those that are built in, against slow computations."""

import sys

from rnn_exp.commands.command import add_config_dir, add_version, command

__all__ = ["verify"]


def verify() -> None:
    """Check parts and print what was compared, a line each; the exit code is 1 if one is off.

    Raises:
        SystemExit: with exit code 1 if something is not as it should be, or is refused.
    """
    with command("rnn-exp-verify", "nothing was written"):
        _verify()


def _verify() -> None:
    from rnn_exp.program import Options, printable

    options = Options(
        "rnn-exp-verify",
        description="Check parts of your own against slow, obvious computations: gradients against "
        "autograd and differences, chance levels by drawing, the same bits alone and together.",
    )
    options.add_argument(
        "words",
        nargs="*",
        metavar="WORD",
        help="use=[mine.py], and what to check: task=…, init=…, network.cell=…, "
        "network.activation=…, training.optimizer=…, penalty=…, figure=…; without these all of the "
        "file, or all that is built in",
    )
    add_config_dir(options)
    add_version(options)
    given = options.parse_intermixed_args()
    from rnn_exp.sweeps import process

    process.settle()  # before a file multiplies matrices, an activation for its largest slope say
    from rnn_exp.registry import files_in
    from rnn_exp.verification import verify as findings
    from rnn_exp.words import plural

    paths = files_in(given.words)
    folders = [given.config_dir] if given.config_dir else []
    words = [word for word in given.words if not word.lstrip("+").startswith("use=")]
    total = off = 0
    for finding in findings(words, paths, folders):
        print(printable(str(finding)), flush=True)
        total, off = total + 1, off + (not finding.holds)
    print(f"{plural(total, 'check')}, {off} off")
    if off:
        sys.exit(1)
