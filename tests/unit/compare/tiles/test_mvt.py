"""Vector tiles of our own making: what a reader may take from them in two ways is not read in one."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from compared import compared


def message(*fields: tuple[int, bytes | int]) -> bytes:
    made = b""
    for number, value in fields:
        if isinstance(value, int):
            made += bytes((number << 3, value))
        else:
            made += bytes((number << 3 | 2, len(value))) + value
    return made


def tile(feature: bytes) -> bytes:
    layer = message(
        (1, b"wells"), (2, feature), (3, b"a"), (4, message((5, 1))), (4, message((5, 2))), (15, 2)
    )
    return message((3, layer))


POINT = bytes((9, 2, 2))
OTHER = bytes((9, 4, 4))


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (message((3, 1), (4, POINT)), message((3, 1), (4, OTHER))),
        (message((3, 1), (4, POINT), (4, OTHER)), message((3, 1), (4, OTHER), (4, OTHER))),
        (message((2, bytes((0, 0, 0, 1))), (4, POINT)), message((2, bytes((0, 1, 0, 0))), (4, POINT))),
        (message((1, 1), (1, 2), (4, POINT)), message((1, 3), (1, 2), (4, POINT))),
    ],
)
def test_what_may_be_read_in_two_ways_is_a_difference(tmp_path: Path, a: bytes, b: bytes) -> None:
    assert compared(tmp_path, tile(a), tile(b), "x.mvt").verdict in ("different", "unknown")


def test_what_follows_a_packed_tile_is_not_passed_over(tmp_path: Path) -> None:
    plain = tile(message((3, 1), (4, POINT)))
    packed = gzip.compress(plain, mtime=0)
    more = packed + gzip.compress(tile(message((3, 1), (4, OTHER))), mtime=0)
    assert compared(tmp_path, packed, gzip.compress(plain, 1, mtime=7), "x.mvt").verdict == "equivalent"
    assert compared(tmp_path, packed, more, "x.mvt").verdict in ("different", "unknown")
