"""TOML, PDF, PostScript, RDF, compressed streams, dBASE, tiles: one test per claim."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sqlite3
import struct
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import zstandard
from compared import Write, brief, compared

from kfm_repro.model.finding import OutputVerdict


def test_postscript_date_is_packaging_and_the_drawing_is_not(tmp_path: Path) -> None:
    lines = "%!PS-Adobe-3.0\n%%CreationDate: {}\n0 {} moveto\n"
    dates = "Tue Feb  3 21:14:08 2026", "Sun Nov 22 10:00:01 2026"
    a, dated, drawn = (lines.format(*v).encode() for v in ((dates[0], 0), (dates[1], 0), (dates[0], 1)))
    assert brief(compared(tmp_path, a, dated, "x.ps")) == {"timestamp:container@/CreationDate"}
    assert brief(compared(tmp_path, a, drawn, "x.ps")) == {"value:value"}


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("a = 1\nb = 2", "b = 2  # two\na = 1", {"key-order:order"}),
        ("a = 1", "a = 1.0", {"type:value@/a"}),
        ("a = 2020-01-01", "a = 2020-01-02", {"value:value@/a"}),
        ("a = 2020-01-01", "a = '2020-01-01'", {"type:value@/a"}),
        ("a = 2026-02-03T21:14:08Z", "a = 2026-11-22T10:00:01Z", {"timestamp:value@/a"}),
        ("[t]\na = 1", "t = {a = 1}", {"encoding:container"}),
        ("a = 00:00:00.123456789", "a = 00:00:00.123456788", {"value:value@/a"}),
        (
            "b = '00:00:00.1234567'\na = [2020-01-01T00:00:00.0000001Z]",
            "b = '00:00:00.1234567'\na = [2020-01-01T00:00:00.0000002Z]",
            {"value:value@/a/0"},
        ),
        ("a = 00:00:00.1234567", "a = 00:00:00.12345670  # the same", {"encoding:container"}),
        ("a = 00:00:00.1234561234567", "a = 00:00:00.1234561234568", {"bytes:unknown"}),
    ],
)
def test_toml_by_what_it_says(tmp_path: Path, a: str, b: str, expected: set[str]) -> None:
    assert brief(compared(tmp_path, a.encode(), b.encode(), "x.toml")) == expected


NT = '<http://e/{0}> <http://e/p> _:{1} .\n_:{1} <http://e/v> "{2}" .\n'


def nt(*rows: tuple[str, str, str]) -> bytes:
    return "".join(NT.format(*row) for row in rows).encode()


def test_blank_nodes_bear_any_name_and_statements_do_not(tmp_path: Path) -> None:
    a = nt(("1", "x", "one"), ("2", "y", "two"))
    renamed = nt(("2", "q", "two"), ("1", "r", "one"))
    crossed = nt(("1", "x", "two"), ("2", "y", "one"))
    assert brief(compared(tmp_path, a, renamed, "x.nt")) == {"identifier:container"}
    result = compared(tmp_path, a, crossed, "x.nt")
    assert result.verdict is OutputVerdict.DIFFERENT


def test_json_ld_that_asks_for_a_context_of_the_network_stays_json(tmp_path: Path) -> None:
    a, b = (f'{{"@context": "http://127.0.0.1:9/c", "@id": "_:{name}"}}'.encode() for name in "ab")
    assert brief(compared(tmp_path, a, b, "x.jsonld")) == {"value:value@/@id"}


PACK: dict[str, Any] = {
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": zstandard.compress,
    "gz": gzip.compress,
}
CSV = b"a,b\n1,2\n" * 50


@pytest.mark.parametrize("suffix", ["bz2", "xz", "zst"])
def test_compressed_streams_by_their_payload(tmp_path: Path, suffix: str) -> None:
    pack = PACK[suffix]
    name = f"x.csv.{suffix}"
    changed = compared(tmp_path, pack(CSV), pack(CSV.replace(b"2", b"3", 1)), name)
    assert changed.findings[0].where == {"column": "b", "member": "x.csv"}
    two = compared(tmp_path, pack(CSV), pack(CSV[:80]) + pack(CSV[80:]), name)
    assert brief(two) == {"layout:container"}
    assert brief(compared(tmp_path, pack(CSV), pack(CSV)[:-9], name)) == {"truncated:value"}
    bomb = compared(tmp_path, pack(CSV), pack(bytes(64 << 20)), name)
    assert brief(bomb) == {"bytes:unknown"}
    more = compared(tmp_path, pack(CSV), pack(CSV) + b"more", name)
    assert more.verdict in (OutputVerdict.DIFFERENT, OutputVerdict.UNKNOWN)
    assert compared(tmp_path, b"", pack(CSV), name).verdict is OutputVerdict.DIFFERENT


def test_containers_nest_in_any_order_and_stop_at_the_limit(tmp_path: Path) -> None:
    def nested(payload: bytes, levels: int) -> bytes:
        for level in range(levels):
            pack = list(PACK.values())[level % 4]
            payload = pack(payload, mtime=0) if pack is gzip.compress else pack(payload)
        return payload

    a, b = (nested(text, 3) for text in (b"one\n", b"two\n"))
    assert "value:value" in {said.partition("@")[0] for said in brief(compared(tmp_path, a, b, "x"))}
    deep = compared(tmp_path, nested(b"one\n", 12), nested(b"two\n", 12), "x")
    assert deep.verdict in (OutputVerdict.DIFFERENT, OutputVerdict.UNKNOWN)


def dbf(*rows: tuple[str, str], date: tuple[int, int, int] = (126, 2, 3), junk: bytes = b"\0\0\0\0") -> bytes:
    fields = b"".join(
        struct.pack("<11sc4sBB14s", name, b"C", junk, width, 0, b"")
        for name, width in ((b"id", 4), (b"name", 8))
    )
    head = struct.pack("<4BIHH20s", 3, *date, len(rows), 32 + len(fields) + 1, 13, b"")
    return head + fields + b"\r" + b"".join(f" {a:<4}{b:<8}".encode() for a, b in rows) + b"\x1a"


ROWS = (("1", "one"), ("2", "two"))


@pytest.mark.parametrize(
    ("b", "expected"),
    [
        (dbf(*ROWS, date=(126, 11, 22)), {"timestamp:container@/header"}),
        (dbf(*ROWS, junk=b"\x7f\x12\0\1"), {"garbage:container@/header"}),
        (dbf(("1", "one"), ("2", "too")), {"value:value"}),
        (dbf(*ROWS[::-1]), {"row-order:value"}),
        (dbf(*ROWS, ("3", "x")), {"rows-added:value"}),
        (dbf(*ROWS)[:-20], {"truncated:value"}),
    ],
)
def test_dbase_header_and_records(tmp_path: Path, b: bytes, expected: set[str]) -> None:
    assert brief(compared(tmp_path, dbf(*ROWS), b, "x.dat")) == expected


def _message(*fields: tuple[int, int | bytes]) -> bytes:
    made = b""
    for number, value in fields:
        if isinstance(value, int):
            made += bytes([number << 3, value])
        else:
            made += bytes([number << 3 | 2, len(value)]) + value
    return made


def tile(*names: int, extra: bytes = b"") -> bytes:
    features = [
        (2, _message((1, name), (2, bytes([0, 0])), (3, 1), (4, bytes([9, name, name])))) for name in names
    ]
    layer = _message((15, 2), (1, b"roads"), *features, (3, b"k"), (4, _message((1, b"v"))), (5, 127))
    return _message((3, layer)) + extra


def mbtiles(*tiles: tuple[int, int, int, bytes], name: str = "n") -> Write:
    def write(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("CREATE TABLE metadata (name text, value text)")
            connection.execute(
                "CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)"
            )
            connection.execute("INSERT INTO metadata VALUES ('name', ?)", (name,))
            connection.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", tiles)

    return write


def pmtiles(*tiles: tuple[int, int, int, bytes], name: str = "n") -> Write:
    from pmtiles.tile import Compression, TileType, zxy_to_tileid
    from pmtiles.writer import Writer

    def write(path: Path) -> None:
        header = dict.fromkeys(
            (
                "min_lon_e7",
                "min_lat_e7",
                "max_lon_e7",
                "max_lat_e7",
                "center_zoom",
                "center_lon_e7",
                "center_lat_e7",
            ),
            0,
        )
        with path.open("wb") as file:
            writer = Writer(file)
            for zoom, column, row, data in tiles:
                writer.write_tile(zxy_to_tileid(zoom, column, row), data)
            writer.finalize(
                {**header, "tile_type": TileType.MVT, "tile_compression": Compression.UNKNOWN}, {"name": name}
            )

    return write


@pytest.mark.parametrize(("write", "name", "row"), [(mbtiles, "x.mbtiles", 0), (pmtiles, "x.pmtiles", 1)])
def test_tiles_are_compared_by_their_address_and_their_features(
    tmp_path: Path, write: Any, name: str, row: int
) -> None:
    a = write((0, 0, 0, tile(1, 2)), (1, 0, row, tile(3)))

    def said(*tiles: tuple[int, int, int, bytes], **more: str) -> set[str]:
        result = compared(tmp_path, a, write(*tiles, **more), name)
        return {
            f"{f.kind}:{f.rung}@{f.where.get('tile', f.where.get('pointer', ''))}"
            for f in result.findings
            if f.kind not in ("layout", "library-version")
        }

    assert said((0, 0, 0, gzip.compress(tile(1, 2))), (1, 0, row, tile(3))) <= {"layout:container@0/0/0"}
    assert said((0, 0, 0, tile(2, 1)), (1, 0, row, tile(3))) == {"feature-order:order@0/0/0"}
    assert said((0, 0, 0, tile(1, 2)), (1, 0, row, tile(4))) == {"value:value@1/0/1"}
    assert "value:value@1/0/1" in said((0, 0, 0, tile(1, 2)))
    assert said((0, 0, 0, tile(1, 2)), (1, 0, row, tile(3)), name="m") == {"value:value@/metadata/name"}


def test_a_field_that_the_specification_does_not_know_is_not_passed_over(tmp_path: Path) -> None:
    result = compared(tmp_path, tile(1), tile(1, extra=_message((9, b"x"))), "x.mvt")
    assert result.verdict in (OutputVerdict.DIFFERENT, OutputVerdict.UNKNOWN)


def test_a_zip_that_begins_with_an_empty_directory_is_a_zip(tmp_path: Path) -> None:
    def zipped(text: str) -> bytes:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w"):
            pass
        with zipfile.ZipFile(target, "a") as archive:
            archive.writestr(zipfile.ZipInfo("x.txt"), text)
        return target.getvalue()

    assert "value:value@x.txt" in brief(compared(tmp_path, zipped("a\n"), zipped("b\n"), "x.zip"))
