"""Draw one figure of a results folder: python scripts/draw.py decay outputs/decay decay.png."""

from rnn_exp.commands import draw

if __name__ == "__main__":
    draw()
