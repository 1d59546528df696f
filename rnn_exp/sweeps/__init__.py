"""Sweeps: chunks of runs go to workers, and how they stand is known from the folder."""
