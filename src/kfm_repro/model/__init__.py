"""Frozen documents and results. Imports nothing of ours but errors."""
