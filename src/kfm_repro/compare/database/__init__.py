"""SQLite databases and GeoPackages, compared table by table; nothing in them is ever run or written."""

from kfm_repro.compare.database.compare import compare

__all__ = ["compare"]
