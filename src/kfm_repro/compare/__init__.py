"""The differ: bytes first, then what the bytes mean. Knows nothing of runs being executed."""
