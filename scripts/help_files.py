"""Write what ``rnn-exp --help`` and completion read, so that both need neither Hydra nor torch.

python scripts/help_files.py
"""

import json

from rnn_exp._hydra.help import catalogue, plain_help
from rnn_exp._hydra.quick import CATALOGUE, SETTINGS


def main() -> None:
    """Make both files from the dataclasses and registries."""
    CATALOGUE.write_text(json.dumps(catalogue(), indent=1) + "\n", encoding="utf-8")
    SETTINGS.write_text(plain_help(), encoding="utf-8")
    print(CATALOGUE, SETTINGS, sep="\n")


if __name__ == "__main__":
    main()
