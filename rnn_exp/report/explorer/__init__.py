"""What the page adds where scripts may run: one run's gradient at any update, map and table.

`of_study` makes it from the tables of a study. It is data in a compact form, one style and one
script, all of which the page carries itself; `policy` says that nothing else may run or be loaded.
Without scripts, and in print, none of it is seen: the page says everything by itself.
"""

from rnn_exp.report.explorer.embedding import Explorer, of_study, policy

__all__ = ["Explorer", "of_study", "policy"]
