"""The files that belong to a file: what readers take into account besides it, by where it lies."""

from __future__ import annotations

from pathlib import Path

from kfm_repro.runs.paths import kind_of

__all__ = ["belonging"]

_OF_SHAPES = (".dbf", ".shx", ".prj", ".cpg", ".qix", ".sbn", ".sbx")
_LOGS = (
    # SQLite file format, 3 and 4.1: a log that was reset or played back has no such beginning, or no bytes.
    (0, b"SQLite format 3\x00", "-wal", (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")),
    (0, b"SQLite format 3\x00", "-journal", (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7",)),
    (8, b"DUCK", ".wal", (b"",)),
)
"""What a database holds at which byte, and the log of its newest transactions: what is added to its name, and how
the log begins."""
_HEAD_BYTES = 16


def belonging(path: Path, called: Path) -> dict[str, Path]:
    """Return the files that belong to a file, by what they are named where the file itself is ``called`` so.

    The parts of a Shapefile bear another suffix; the logs of a database are read by whoever opens it, and hold
    rows that its own bytes do not have. Files that cannot be opened are the caller's to report: of these, none.
    """
    if path.suffix.lower() == called.suffix.lower() == ".shp":
        return {called.stem + suffix: part for suffix, part in _parts(path).items()}
    head = _head(path)
    found = {}
    for at, magic, end, begins in _LOGS:
        log = path.with_name(path.name + end)
        if head.startswith(magic, at) and kind_of(log) == "file":
            begun = _head(log)
            if begun and begun.startswith(begins):
                found[called.name + end] = log
    return found


def _parts(path: Path) -> dict[str, Path]:
    found = {}
    for suffix in _OF_SHAPES:
        spelled = (path.with_suffix(s) for s in (suffix, suffix.upper()))
        file = next((part for part in spelled if kind_of(part) == "file"), None)
        if file is not None:
            found[suffix] = file
    return found


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD_BYTES)
    except OSError:
        return b""
