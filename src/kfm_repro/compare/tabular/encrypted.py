"""Parquet Modular Encryption: whether a file is encrypted, before a library is asked for what it cannot decrypt.

Arrow ends the whole process when the description of an encrypted column is asked for without its key.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kfm_repro.compare.tabular.thrift import LIST, Fields

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["is_encrypted"]

_PLAIN, _WHOLE = b"PAR1", b"PARE"
"""The last bytes of a file with a plain footer, and of one whose footer is encrypted too."""
_END_BYTES = 8
_GROUPS, _CHUNKS, _CRYPTO = 4, 1, 8
"""Fields of FileMetaData, RowGroup and ColumnChunk in parquet.thrift: what leads to how a column is encrypted."""
_MAY_SAY_SO = re.compile(rb"[\x0c\x1c\x2c\x3c\x4c\x5c\x6c\x7c\x8c][\x0c\x10\x1c\x2c]")
"""How a struct in a struct begins: few footers of plain files have the like, and reading all of one takes time."""


def is_encrypted(path: Path, *, columns: bool = True) -> bool:
    """Return whether a file says that it, or any of its columns, is encrypted; a damaged one says nothing."""
    with path.open("rb") as file:
        size = path.stat().st_size
        file.seek(max(0, size - _END_BYTES))
        end = file.read(_END_BYTES)
        length = int.from_bytes(end[:4], "little")
        if end[4:] != _PLAIN or length + _END_BYTES > size:
            return end[4:] == _WHOLE
        if not columns:
            return False
        file.seek(size - _END_BYTES - length)
        footer = file.read(length)
    if not _MAY_SAY_SO.search(footer):
        return False
    try:
        return _says_so(Fields(footer))
    except (IndexError, ValueError):
        return False


def _says_so(footer: Fields) -> bool:
    for number, kind in footer.fields():
        if number == _GROUPS and kind == LIST:
            if any(_has_encrypted(footer) for _ in footer.items()):
                return True
        else:
            footer.skip(kind)
    return False


def _has_encrypted(footer: Fields) -> bool:
    """Read a row group; return whether it has an encrypted column chunk."""
    for number, kind in footer.fields():
        if number != _CHUNKS or kind != LIST:
            footer.skip(kind)
            continue
        for _ in footer.items():
            for field, inner in footer.fields():
                if field == _CRYPTO:
                    return True
                footer.skip(inner)
    return False
