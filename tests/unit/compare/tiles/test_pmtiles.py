"""PMTiles with directories of our own making: what readers would find, and nothing else, is compared."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest
from compared import brief, compared

NONE, GZIP = 1, 2
PNG = b"\x89PNG no more than its first bytes "
Entry = tuple[int, int, int, int]
"""Number of the tile, run (0 leads to a leaf), offset, size."""


def varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes((*found, value))


def directory(*entries: Entry) -> bytes:
    steps = [
        number - before for (number, *_), before in zip(entries, [0, *(e[0] for e in entries)], strict=False)
    ]
    columns = (steps, [e[1] for e in entries], [e[3] for e in entries], [e[2] + 1 for e in entries])
    return varint(len(entries)) + b"".join(varint(value % 2**64) for column in columns for value in column)


def archive(
    root: Sequence[Entry], tiles: bytes, leaves: bytes = b"", *, packing: int = NONE, **metadata: str
) -> bytes:
    listed, said = directory(*root), json.dumps(metadata).encode()
    places, at = [], 127
    for part in (listed, said, leaves, tiles):
        places += [at, len(part)]
        at += len(part)
    head = struct.pack(
        "<7sB11Q6B4iB2i", b"PMTiles", 3, *places, 0, 0, 0, 1, NONE, packing, 2, 0, 3, 0, 0, 0, 0, 0, 0, 0
    )
    return head + listed + said + leaves + tiles


def leaf(*entries: Entry) -> bytes:
    return directory(*entries)


TWO = [(0, 1, 0, 4), (1, 1, 4, 4)]


def verdict(tmp_path: Path, a: bytes, b: bytes) -> tuple[str, set[str]]:
    result = compared(tmp_path, a, b, "x.pmtiles")
    return str(result.verdict), brief(result)


def test_the_same_tiles_by_leaves_by_runs_and_with_dead_ones_are_the_same(tmp_path: Path) -> None:
    plain = archive([(1, 1, 0, 4), (2, 1, 0, 4), (3, 1, 0, 4), (9, 1, 4, 4)], b"aaaabbbb")
    run = archive([(1, 3, 0, 4), (9, 1, 4, 4)], b"aaaabbbb")
    dead = archive([(1, 3, 4, 4), (9, 1, 8, 4)], b"deadaaaabbbb")
    below = leaf((1, 3, 0, 4))
    other = leaf((9, 1, 4, 4))
    deep = archive([(1, 0, 0, len(below)), (9, 0, len(below), len(other))], b"aaaabbbb", below + other)
    for side in (run, dead, deep):
        assert verdict(tmp_path, plain, side) == ("equivalent", {"layout:container"})
        assert verdict(tmp_path, side, plain) == ("equivalent", {"layout:container"})


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (archive(TWO, b"aaaabbbb"), archive(TWO, b"aaaabbbc")),
        (archive([(0, 2, 0, 4)], b"aaaa"), archive([(0, 3, 0, 4)], b"aaaa")),
        (archive([(0, 5, 0, 4)], b"aaaa"), archive([(0, 2, 0, 4), (3, 2, 0, 4)], b"aaaa")),
        (archive(TWO, b"aaaabbbb"), archive([(0, 1, 4, 4), (1, 1, 0, 4)], b"aaaabbbb")),
        (archive(TWO, b"aaaabbbb", a="1"), archive(TWO, b"aaaabbbb", a="2")),
    ],
)
def test_another_tile_at_an_address_is_a_difference(tmp_path: Path, a: bytes, b: bytes) -> None:
    assert verdict(tmp_path, a, b)[0] == "different"
    assert verdict(tmp_path, b, a)[0] == "different"


def test_the_tiles_of_long_runs_are_counted_and_not_spread_out(tmp_path: Path) -> None:
    a, b = archive([(0, 1_000_000, 0, 4)], b"aaaa"), archive([(5, 1, 0, 4)], b"aaaa")
    result = compared(tmp_path, a, b, "x.pmtiles")
    (finding,) = result.findings
    assert (finding.count, finding.evidence) == (999_999, "tiles only in A")


@pytest.mark.parametrize(
    "hidden",
    [
        [(0, 1, 4, 4), (0, 1, 0, 4)],
        [(0, 2, 0, 4), (1, 1, 4, 4)],
    ],
)
def test_directories_in_which_readers_find_different_tiles_are_refused(
    tmp_path: Path, hidden: list[Entry]
) -> None:
    a, b = archive(hidden, b"aaaabbbb"), archive(hidden, b"aaaabbbc")
    assert verdict(tmp_path, a, b)[0] == "unknown"


def test_a_tile_in_a_leaf_in_which_nobody_looks_for_it_is_refused(tmp_path: Path) -> None:
    below = leaf((1, 1, 4, 4))
    root = [(5, 0, 0, len(below)), (6, 1, 0, 4)]
    sides = [archive(root, tiles, below) for tiles in (b"aaaabbbb", b"aaaabbbc")]
    assert verdict(tmp_path, *sides)[0] == "unknown"


def test_leaves_that_lead_to_each_other_end(tmp_path: Path) -> None:
    looped = leaf((1, 0, 0, 5))
    many = leaf(*((n, 0, 0, 2) for n in range(1, 1_000)))
    for below in (looped, many):
        a = archive([(1, 0, 0, len(below))], b"aaaa", below)
        assert verdict(tmp_path, a, a + b"\0")[0] == "unknown"
    endless = archive([(n * 20_000_000, 20_000_000, 0, 4) for n in range(50)], b"aaaa")
    assert verdict(tmp_path, endless, endless + b"\0")[0] == "unknown"


def test_tiles_packed_as_the_header_says_are_packed_otherwise_and_no_more(tmp_path: Path) -> None:
    tile = b"\x1a\x05\x0a\x01n\x78\x02"
    packed = gzip.compress(tile, mtime=0)
    plain = archive([(0, 1, 0, len(tile))], tile)
    honest = archive([(0, 1, 0, len(packed))], packed, packing=GZIP)
    lying = archive([(0, 1, 0, len(packed))], packed)
    assert verdict(tmp_path, plain, honest) == (
        "equivalent", {"layout:container", "layout:container@/header/tile compression"},
    )  # fmt: skip
    assert verdict(tmp_path, plain, lying)[0] == "different"
    unknown = archive([(0, 1, 0, len(tile))], tile, packing=3)
    assert verdict(tmp_path, plain, unknown)[0] == "different"


def test_a_name_that_stands_twice_in_the_metadata_hides_nothing(tmp_path: Path) -> None:
    a = archive(TWO, b"aaaabbbb", n="1", m="2").replace(b'"m"', b'"n"')
    b = archive(TWO, b"aaaabbbb", n="3", m="2").replace(b'"m"', b'"n"')
    assert verdict(tmp_path, a, b)[0] == "different"


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("damage", ["cut", "empty", "head", "text", "version", "beyond"])
def test_trouble_is_said(tmp_path: Path, damage: str, *, swapped: bool) -> None:
    whole = archive(TWO, b"aaaabbbb")
    broken = {
        "cut": whole[:-2],
        "empty": b"",
        "head": whole[:60],
        "text": b"no tiles",
        "version": whole[:7] + b"\x02" + whole[8:],
        "beyond": archive([(0, 1, 1 << 40, 4)], b"aaaa"),
    }[damage]
    sides = (broken, whole) if swapped else (whole, broken)
    result = compared(tmp_path, *sides, "x.pmtiles")
    assert result.verdict in ("different", "unknown")
    assert all("Traceback" not in finding.evidence for finding in result.findings)
