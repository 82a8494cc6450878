"""GeoTIFF and COG: pixels, georeference, bands, palette, tags; then only layout is left."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from kfm_repro.compare.raster.fields import field_findings
from kfm_repro.compare.raster.georeference import place_findings
from kfm_repro.compare.raster.items import item_findings
from kfm_repro.compare.raster.opened import opened_raster
from kfm_repro.compare.raster.picture import at, compare_pictures
from kfm_repro.compare.raster.tiff import read_tiff
from kfm_repro.compare.raster.unseen import Shown, shown_by, unseen_findings
from kfm_repro.model.finding import Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from pathlib import Path

    from kfm_repro.compare.context import Context
    from kfm_repro.compare.raster.tiff import Directory, Tiff

__all__ = ["compare"]

_LAYOUT = {
    256: "width", 257: "height", 258: "bits", 259: "compression", 266: "fill order", 273: "offsets",
    277: "samples", 278: "rows of a strip", 279: "sizes", 284: "interleaving", 317: "predictor",
    322: "tile width", 323: "tile height", 324: "offsets", 325: "sizes", 347: "JPEG tables",
    50674: "LERC parameters",
}  # fmt: skip
_PALETTE = 320
_SHOWN = (259, 266, 278, 284, 317, 322, 323)
_COMPRESSIONS = {
    1: "none", 5: "LZW", 6: "old JPEG", 7: "JPEG", 8: "deflate", 32773: "PackBits", 32946: "deflate (old)",
    34887: "LERC", 34925: "LZMA", 50000: "zstd", 50001: "WebP", 50002: "JPEG XL",
}  # fmt: skip


def compare(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two TIFF files of one or several pages.

    Raises Unreadable, LimitExceeded, and NotInstalled without rasterio.
    """
    files = read_tiff(a), read_tiff(b)
    found: list[Finding] = []
    pages = [len(file.pages) for file in files]
    if pages[0] != pages[1]:
        example = Example(a=pages[0], b=pages[1])
        found.append(
            Finding(kind=Kind.BANDS, rung=Rung.VALUE, examples=(example,), evidence="another number of pages")
        )
    shown: tuple[Shown, Shown] = (Counter(), Counter())
    for page in range(min(pages)):
        where: dict[str, str | int] = {"member": f"page {page + 1}"} if max(pages) > 1 else {}
        names = [_page_name(path, file, page) for path, file in zip((a, b), files, strict=True)]
        with (
            opened_raster(a, "GTiff", name=names[0]) as left,
            opened_raster(b, "GTiff", name=names[1]) as right,
        ):
            told = compare_pictures(left, right, context, where)
            for seen, file in zip(shown, (left, right), strict=True):
                seen.update(shown_by(file))
        sides = files[0].pages[page], files[1].pages[page]
        told += [
            at(finding, where) for finding in (*place_findings(*sides, told), *item_findings(*sides, context))
        ]
        coloured = any(finding.evidence == "palette" for finding in told)
        held = {*_LAYOUT, _PALETTE} if coloured else _LAYOUT
        found += [*told, *field_findings(*sides, held, context, where)]
    if pages[0] == pages[1]:
        found += unseen_findings((a, b), files, shown)
    if not found or all(finding.rung is Rung.CONTAINER for finding in found):
        found.extend(_layout(*files))
    return tuple(found)


def _page_name(path: Path, file: Tiff, page: int) -> str:
    """Return what GDAL calls a page: the number of its directory, from 1."""
    if len(file.pages) == 1:
        return str(path)
    return f"GTIFF_DIR:{file.directories.index(file.pages[page]) + 1}:{path}"


def _layout(a: Tiff, b: Tiff) -> list[Finding]:
    """Say in which order and how packed the same pixels lie in the file."""
    found: list[Finding] = []
    examples = [
        Example(key={"field": name}, a=x, b=y)
        for name, x, y in (
            ("byte order", a.order, b.order),
            ("BigTIFF", a.big, b.big),
            *_shown(a.directories[0], b.directories[0]),
        )
        if x != y
    ]
    moved = any(
        x.fields.get(tag) != y.fields.get(tag)
        for x, y in zip(a.directories, b.directories, strict=False)
        for tag in (273, 324)
    )
    if examples or moved or len(a.directories) != len(b.directories):
        what = ", ".join(str(example.key["field"]) for example in examples if isinstance(example.key, dict))
        evidence = f"the same pixels, stored otherwise: {what or 'the blocks lie elsewhere in the file'}"
        found.append(
            Finding(
                kind=Kind.BLOCK_LAYOUT, rung=Rung.CONTAINER, examples=tuple(examples[:10]), evidence=evidence
            )
        )
    unused = a.unused, b.unused
    blocks = [sum(d.block_bytes for d in file.directories) for file in (a, b)]
    padding = max(a.most_padding, b.most_padding)
    if blocks[0] == blocks[1] and abs(unused[0] - unused[1]) > padding:
        example = Example(key={"field": "bytes outside blocks and directories"}, a=unused[0], b=unused[1])
        evidence = "blocks that were written again leave the old ones in the file"
        found.append(
            Finding(kind=Kind.DEAD_SPACE, rung=Rung.CONTAINER, examples=(example,), evidence=evidence)
        )
    return found


def _shown(a: Directory, b: Directory) -> list[tuple[str, Any, Any]]:
    rows = []
    for tag in _SHOWN:
        values = [list(directory.numbers(tag)) for directory in (a, b)]
        shown: list[Any] = [value[0] if len(value) == 1 else value or None for value in values]
        if tag == 259:  # noqa: PLR2004  # Compression
            shown = [
                _COMPRESSIONS.get(value, str(value)) if isinstance(value, int) else value for value in shown
            ]
        rows.append((_LAYOUT[tag], shown[0], shown[1]))
    return rows
