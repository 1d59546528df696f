"""What figures share: style, panels, marks, words, captions, and the selection of runs."""
