"""The figures of the studies in conf/study, one of the same name each.

They are on the page of a study that declares them (``page.figures``), and drawn by name.
"""
