"""Launcher and sweeper of rnn-exp. Hydra scans these modules at each start: no torch at import."""
