"""Theory: what mathematics says of a network before it trains."""
