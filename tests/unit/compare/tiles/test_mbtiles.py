"""MBTiles: what readers take from the file, and tables that only bear the names of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from compared import Write, brief, compared

TILES = ((0, 0, 0, b"\x89PNG a"), (1, 0, 0, b"\x89PNG b"))
SAID = (("name", "n"), ("format", "png"))
FLAT = "CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)"
MAP = (
    "CREATE TABLE map (zoom_level integer, tile_column integer, tile_row integer, tile_id text, grid_id text)"
)
VIEW = (
    "CREATE VIEW tiles AS SELECT map.zoom_level AS zoom_level, map.tile_column AS tile_column,"
    " map.tile_row AS tile_row, images.tile_data AS tile_data FROM map JOIN images ON images.tile_id = map.tile_id"
)


def flat(
    tiles: Iterable[tuple[object, ...]] = TILES,
    said: Iterable[tuple[object, ...]] = SAID,
    *more: str,
    table: str = FLAT,
    metadata: str = "CREATE TABLE metadata (name text, value text)",
) -> Write:
    def write(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in (metadata, table, *more):
                connection.execute(statement)
            for name, rows in (("metadata", list(said)), ("tiles", list(tiles))):
                marks = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO {name} VALUES ({marks})", rows)  # noqa: S608  # our names

    return write


def shared(view: str = VIEW, unused: bytes = b"", grid: str | None = None) -> Write:
    def write(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in (
                "CREATE TABLE metadata (name text, value text)",
                MAP,
                "CREATE TABLE images (tile_id text, tile_data blob)",
                view,
            ):
                connection.execute(statement)
            connection.executemany("INSERT INTO metadata VALUES (?, ?)", SAID)
            for zoom, column, row, data in TILES:
                connection.execute(
                    "INSERT INTO map VALUES (?, ?, ?, ?, ?)", (zoom, column, row, f"{zoom}", grid)
                )
                connection.execute("INSERT INTO images VALUES (?, ?)", (f"{zoom}", data))
            if unused:
                connection.execute("INSERT INTO images VALUES ('old', ?)", (unused,))

    return write


def said(tmp_path: Path, a: Write, b: Write) -> tuple[str, set[str]]:
    result = compared(tmp_path, a, b, "x.mbtiles")
    return str(result.verdict), brief(result)


def test_tiles_and_metadata_in_another_order_are_the_same(tmp_path: Path) -> None:
    assert said(tmp_path, flat(), flat(TILES[::-1], SAID[::-1]))[0] == "equivalent"
    twice = (("name", "n"), ("name", "m"))
    assert said(tmp_path, flat(said=twice), flat(TILES[::-1], twice))[0] == "equivalent"


@pytest.mark.parametrize(
    "other",
    [
        flat(said=(("name", "m"), ("format", "png"))),
        flat(said=(*SAID, ("name", "m"))),
        flat((TILES[0], (1, 0, 0, b"\x89PNG c"))),
        flat((TILES[0], (1, 1, 0, b"\x89PNG b"))),
        flat(TILES, SAID, "CREATE TABLE images (tile_id text)", "INSERT INTO images VALUES ('x')"),
    ],
)
def test_what_readers_see_is_compared(tmp_path: Path, other: Write) -> None:
    assert said(tmp_path, flat(), other)[0] == "different"
    assert said(tmp_path, other, flat())[0] == "different"


def test_names_that_stand_twice_are_told_apart_by_their_order(tmp_path: Path) -> None:
    a, b = flat(said=(("name", "n"), ("name", "m"))), flat(said=(("name", "m"), ("name", "n")))
    verdict, found = said(tmp_path, a, b)
    assert verdict == "different"
    assert {"value:value@/metadata/name/0", "value:value@/metadata/name/1"} <= set(found)


def test_a_table_of_another_use_that_bears_a_name_of_the_format_is_compared(tmp_path: Path) -> None:
    a, b = (
        flat(TILES, SAID, "CREATE TABLE images (place text)", statement)
        for statement in ("INSERT INTO images VALUES ('Topeka')", "INSERT INTO images VALUES ('Salina')")
    )
    assert said(tmp_path, a, b)[0] == "different"


def test_a_column_that_the_format_does_not_have_is_compared(tmp_path: Path) -> None:
    metadata = "CREATE TABLE metadata (name text, value text, lang text)"
    a, b = (flat(said=(("name", "n", lang),), metadata=metadata) for lang in ("en", "de"))
    assert said(tmp_path, a, b)[0] == "different"
    table = FLAT.replace("blob)", "blob, hidden text)")
    a, b = (flat(((0, 0, 0, b"\x89PNG", text),), table=table) for text in ("x", "y"))
    assert said(tmp_path, a, b)[0] == "different"


def test_a_view_that_shows_other_tiles_is_a_difference(tmp_path: Path) -> None:
    assert said(tmp_path, shared(), shared(VIEW + " WHERE map.zoom_level < 1"))[0] == "different"
    assert said(tmp_path, shared(), shared(unused=b"an old tile"))[0] == "equivalent"
    assert said(tmp_path, shared(grid="a"), shared(grid="b"))[0] == "different"


def test_the_json_of_the_metadata_is_read_strictly(tmp_path: Path) -> None:
    a, b = (flat(said=(("json", text),)) for text in ('{"n": 1, "n": 2}', '{"n": 3, "n": 2}'))
    assert said(tmp_path, a, b)[0] == "different"
    a, b = (flat(said=(("json", text),)) for text in ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}'))
    assert said(tmp_path, a, b)[0] == "equivalent"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((1, 0, 0, b"text"), (1, 0, 0, "text")),
        ((1, 0, 0, b"None"), (1, 0, 0, None)),
        ((1, 0, 0, b"x"), (None, 0, 0, b"x")),
        ((1, 0, 0, b"x"), (-1, 0, 0, b"x")),
        ((1, 0, 0, b"x"), (1.5, 0, 0, b"x")),
        ((1, 0, 0, b"x"), (1, "west", 0, b"x")),
    ],
)
def test_a_row_that_is_no_tile_is_another_row(
    tmp_path: Path, one: tuple[object, ...], other: tuple[object, ...]
) -> None:
    loose = "CREATE TABLE tiles (zoom_level, tile_column, tile_row, tile_data)"
    a, b = (flat([*TILES[:1], row], table=loose) for row in (one, other))
    assert said(tmp_path, a, b)[0] == "different"
