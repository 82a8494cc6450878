"""Unpacked payloads: whether they differ at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kfm_repro.compare.archive.members import BLOCK

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["differ"]


def differ(a: Path, b: Path) -> bool:
    """Return whether two files have different bytes."""
    if a.stat().st_size != b.stat().st_size:
        return True
    with a.open("rb") as left, b.open("rb") as right:
        while block := left.read(BLOCK):
            if block != right.read(BLOCK):
                return True
    return False
