"""Observing, pinning and varying what a command reads from its surroundings."""
