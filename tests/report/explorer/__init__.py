"""The explorer: what it is given, and what it does in a real browser."""
