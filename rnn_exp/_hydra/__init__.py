"""Everything that plugs into Hydra."""
