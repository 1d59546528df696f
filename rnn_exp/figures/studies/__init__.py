"""The figures of the studies in conf/study, one of the same name each.

They are drawn for a study's own folder (or by name, with scripts/draw.py). Beside what every figure
has, `GENERAL_FIGURES` names the figures of `rnn_exp.figures` that belong on the study's page too.
"""
