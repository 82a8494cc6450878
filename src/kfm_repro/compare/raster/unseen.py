"""Reduced pictures and masks in a TIFF that GDAL takes for neither an overview nor a mask of its page."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from kfm_repro.model.finding import Finding, Kind, Rung

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.raster.tiff import Directory, Tiff

__all__ = ["Shown", "shown_by", "unseen_findings"]

Shown = Counter[tuple[int, int, bool]]
"""Width, height, and whether it is a mask, of what is compared by its pixels."""

_WIDTH, _HEIGHT, _SAMPLES, _SUBFILE_TYPE, _MASK = 256, 257, 277, 254, 4
_PLACES = (273, 324)
"""Where blocks lie: they lie elsewhere in another file."""
_DATASET, _ALPHA = 2, 4


def shown_by(file: Any) -> Shown:  # noqa: ANN401  # rasterio is untyped
    """Return the overviews and masks that GDAL shows of an opened page."""
    import rasterio

    found: Shown = Counter()
    if _masked(file):
        found[file.width, file.height, True] += 1
    for level in range(len(file.overviews(1))):
        with rasterio.open(file.name, overview_level=level, driver="GTiff", sharing=False) as overview:
            found[overview.width, overview.height, False] += 1
            if _masked(overview):
                found[overview.width, overview.height, True] += 1
    return found


def _masked(file: Any) -> bool:  # noqa: ANN401  # as above
    flags = {flag.value for flag in file.mask_flag_enums[0]}
    return _DATASET in flags and _ALPHA not in flags


def unseen_findings(
    paths: tuple[Path, Path], files: tuple[Tiff, Tiff], shown: tuple[Shown, Shown]
) -> list[Finding]:
    """Report pictures that nobody compared and whose fields or packed bytes differ: what they show is not known."""
    unseen = [
        [_content(path, directory) for directory in _unseen(file, seen)]
        for path, file, seen in zip(paths, files, shown, strict=True)
    ]
    if unseen[0] == unseen[1]:
        return []
    evidence = "reduced pictures or masks that belong to no page are not read, and differ"
    count = max(map(len, unseen))
    return [Finding(kind=Kind.BYTES, rung=Rung.UNKNOWN, count=count, evidence=evidence)]


def _unseen(file: Tiff, shown: Shown) -> list[Directory]:
    left = Counter(shown)
    samples = {page.numbers(_SAMPLES) or (1,) for page in file.pages}
    found = []
    for directory in file.directories:
        if directory.is_page:
            continue
        mask = bool(next(iter(directory.numbers(_SUBFILE_TYPE)), 0) & _MASK)
        size = tuple(next(iter(directory.numbers(tag)), 0) for tag in (_WIDTH, _HEIGHT))
        key = (size[0], size[1], mask)
        alike = mask or (directory.numbers(_SAMPLES) or (1,)) in samples
        if alike and left[key] > 0:
            left[key] -= 1
        else:
            found.append(directory)
    return found


def _content(path: Path, directory: Directory) -> tuple[dict[int, tuple[int, bytes]], list[bytes]]:
    fields = {tag: field for tag, field in directory.fields.items() if tag not in _PLACES}
    return fields, directory.blocks(path)
