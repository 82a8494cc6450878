"""Telling noise from data: clocks, identifiers, paths, float noise, spelling."""
