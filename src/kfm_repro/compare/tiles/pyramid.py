"""Two sets of tiles by (zoom, column, row): which there are, and what differs in those that both have."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from kfm_repro.compare.context import Context, reading
from kfm_repro.compare.samples import scalar
from kfm_repro.compare.tiles.mvt import Tile, features_differ, read_tile, unpacked
from kfm_repro.model.finding import MAX_EXAMPLES, Example, Finding, Kind, Rung

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Address", "Lone", "compare_tile_pair", "compare_tiles", "settled"]

Address = tuple[int, int, int]
"""Zoom, column, row from the top."""


@dataclass
class Lone:
    """The tiles that one side alone has: how many, and the first of them."""

    count: int = 0
    first: list[Address] = field(default_factory=list)

    def add(self, *addresses: Address, count: int = 1) -> None:
        """Count tiles; ``addresses`` are the first of them."""
        self.first += addresses[: MAX_EXAMPLES - len(self.first)]
        self.count += count


@dataclass
class _Seen:
    """What was met over all tiles: the tiles of one kind, how many features it concerned, an example."""

    tiles: list[Address] = field(default_factory=list)
    count: int = 0
    note: str = ""


def compare_tiles(
    common: Iterable[tuple[Address, bytes, bytes]],
    only_a: Lone,
    only_b: Lone,
    context: Context,
) -> tuple[Finding, ...]:
    """Compare tiles pair by pair; findings are counted over all tiles, with the first ones as examples.

    What only one side has may be counted while ``common`` is read.
    """
    found: dict[tuple[Kind, Rung, str], _Seen] = {}
    total = 0
    for address, a, b in common:
        total += 1
        if a == b:
            continue
        for kind, rung, layer, count, note in _tile(a, b, context):
            seen = found.setdefault((kind, rung, layer), _Seen())
            seen.tiles.append(address)
            seen.count += count
            seen.note = seen.note or note
    one_sided = [
        Finding(
            kind=Kind.VALUE,
            rung=Rung.VALUE,
            where={"tile": _name(only.first[0])} if only.count == 1 else {},
            count=only.count,
            examples=tuple(Example(key={"tile": _name(address)}) for address in only.first),
            evidence=f"tiles only in {side}",
            detail={"missing": "b" if side == "A" else "a"},
        )
        for only, side in ((only_a, "A"), (only_b, "B"))
        if only.count
    ]
    return (*one_sided, *(_finding(key, seen, total) for key, seen in found.items()))


def settled(metadata: Iterable[Finding], tiles: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Return all findings; statistics of the tiles say nothing more where all tiles mean the same.

    They list the first values that were met (``tilestats`` of mapbox-geostats), by the order of the features.
    """
    changed = any(finding.rung in (Rung.VALUE, Rung.UNKNOWN) for finding in tiles)
    found = []
    for finding in metadata:
        derived = "/tilestats/" in f"{finding.where.get('pointer', '')}/"
        if derived and not changed:
            evidence = f"statistics that follow from the features: {finding.evidence}".removesuffix(": ")
            finding = msgspec.structs.replace(  # noqa: PLW2901  # the same finding, as what it follows from
                finding, kind=Kind.EXTENT_METADATA, rung=Rung.CONTAINER, evidence=evidence
            )
        found.append(finding)
    return (*found, *tiles)


def compare_tile_pair(a: Path, b: Path, context: Context) -> tuple[Finding, ...]:
    """Compare two vector tiles in files of their own. Raises Unreadable."""
    tiles = []
    for path in (a, b):
        with reading(path, "a vector tile"):
            data = path.read_bytes()
            read_tile(unpacked(data))
            tiles.append(data)
    return tuple(
        Finding(kind=kind, rung=rung, where={"layer": layer} if layer else {}, count=count, evidence=note)
        for kind, rung, layer, count, note in _tile(tiles[0], tiles[1], context)
    )


def _name(address: Address) -> str:
    return "/".join(map(str, address))


def _finding(key: tuple[Kind, Rung, str], seen: _Seen, total: int) -> Finding:
    kind, rung, layer = key
    where: dict[str, str | int] = {"layer": layer} if layer else {}
    if len(seen.tiles) == 1:
        where["tile"] = _name(seen.tiles[0])
    return Finding(
        kind=kind,
        rung=rung,
        where=where,
        count=seen.count,
        examples=tuple(Example(key={"tile": _name(address)}) for address in seen.tiles[:MAX_EXAMPLES]),
        evidence=f"{seen.note}; in {len(seen.tiles)} of {total} tiles",
    )


Said = tuple[Kind, Rung, str, int, str]
"""Kind, rung, layer, how many, why."""


def _tile(a: bytes, b: bytes, context: Context) -> Iterator[Said]:
    try:
        plain = unpacked(a), unpacked(b)
        if plain[0] == plain[1]:
            yield Kind.LAYOUT, Rung.CONTAINER, "", 1, "the same tile, packed otherwise"
            return
        tiles = read_tile(plain[0]), read_tile(plain[1])
    except ValueError:
        yield from _other(a, b, context)
        return
    said = list(_layers(*tiles))
    yield from said or [(Kind.ENCODING, Rung.CONTAINER, "", 1, "the same features, encoded otherwise")]


def _layers(a: Tile, b: Tile) -> Iterator[Said]:
    for name in sorted(a.keys() | b.keys()):
        if name not in a or name not in b:
            yield Kind.SCHEMA, Rung.VALUE, name, 1, f"a layer only in {'A' if name in a else 'B'}"
            continue
        left, right = a[name], b[name]
        if (left.extent, left.version) != (right.extent, right.version):
            yield Kind.SCHEMA, Rung.VALUE, name, 1, "another extent or version of the layer"
        removed, added, ordered = features_differ(left, right)
        if removed or added:
            note = "features that the other side does not have"
            yield Kind.VALUE, Rung.VALUE, name, max(removed, added), note
        elif ordered:
            yield (
                Kind.FEATURE_ORDER,
                Rung.ORDER,
                name,
                len(left.features),
                "the same features in another order",
            )
    if list(a) != list(b) and sorted(a) == sorted(b):
        yield Kind.LAYER_ORDER, Rung.ORDER, "", 1, "the same layers in another order"


def _other(a: bytes, b: bytes, context: Context) -> Iterator[Said]:
    """Compare tiles that are no vector tiles by what they are: pictures mostly."""
    if context.inner is None:
        yield Kind.BYTES, Rung.VALUE, "", 1, "tiles with other bytes"
        return
    with tempfile.TemporaryDirectory(prefix="kfm-repro-") as folder:
        paths = [Path(folder) / side / "tile" for side in ("a", "b")]
        for path, data in zip(paths, (a, b), strict=True):
            path.parent.mkdir()
            path.write_bytes(data)
        for finding in context.inner(paths[0], paths[1], "tile", context):
            yield finding.kind, finding.rung, "", finding.count, str(scalar(finding.evidence))
