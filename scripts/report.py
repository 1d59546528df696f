"""Write the report of a results folder: python scripts/report.py outputs/decay."""

from rnn_exp.commands import report

if __name__ == "__main__":
    report()
