"""Storage: run folders, written whole or not at all, resumed to the bit, read without trust."""
