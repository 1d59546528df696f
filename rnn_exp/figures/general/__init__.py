"""The figures that any study may have, one module each."""
