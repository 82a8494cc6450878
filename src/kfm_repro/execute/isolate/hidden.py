"""Folders of this machine that no place may show, though one may hold them: the project and its records."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from kfm_repro.execute.isolate.cell import Mount

__all__ = ["around", "covers"]


def covers(mounts: Iterable[Mount], hidden: Sequence[Path]) -> tuple[Path, ...]:
    """Return where a command would see folders of ``hidden`` through ``mounts``, sorted; none lies in another."""
    seen = {
        mount.at / folder.relative_to(source)
        for mount in mounts
        for source in (Path(os.path.realpath(mount.source)),)
        for folder in _real(hidden)
        if folder.is_relative_to(source)
    }
    return tuple(sorted(path for path in seen if seen.isdisjoint(path.parents)))


def around(folder: Path, hidden: Sequence[Path]) -> tuple[Path, ...]:
    """Return what of ``folder`` can be shown one by one: its children, but those of ``hidden`` and all links.

    Where it holds nothing of ``hidden`` that is ``folder`` itself. What a link leads to counts where it lies.
    """
    real = Path(os.path.realpath(folder))
    inside = tuple(path for path in _real(hidden) if path.is_relative_to(real))
    if not inside:
        return (folder,)
    if real in inside:
        return ()
    try:
        children = sorted(path for path in real.iterdir() if not path.is_symlink())
    except OSError:
        return ()
    return tuple(path for child in children for path in around(child, inside))


def _real(hidden: Iterable[Path]) -> tuple[Path, ...]:
    real = {Path(os.path.realpath(path)) for path in hidden}
    return tuple(sorted(path for path in real if path.is_dir()))
