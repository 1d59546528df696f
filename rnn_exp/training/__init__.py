"""Training: a run as a value, the loop that trains many at once, and the tables a run leaves."""
