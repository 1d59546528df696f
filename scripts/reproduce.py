"""Make published results again, and write a table of them beside ours.

    python scripts/reproduce.py                     every claim (up to half an hour on two cores)
    python scripts/reproduce.py --quick             fewer and smaller runs (3 minutes)
    python scripts/reproduce.py --only adding,copy  these alone

`--help` names all groups of claims that `--only` can choose.
The table is in outputs/reproduce (or --out FOLDER): results.md, results.csv.
"""

import sys

from rnn_exp.reproduction.command import main

if __name__ == "__main__":
    sys.exit(main())
