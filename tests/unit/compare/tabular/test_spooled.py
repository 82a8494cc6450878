"""Texts beyond the memory that there is are compared as they would be whole."""

from __future__ import annotations

import csv
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfm_repro.compare.context import Context, Options
from kfm_repro.compare.tabular import csv as csv_files
from kfm_repro.compare.tabular import spooled
from kfm_repro.compare.tabular.lines import Unsure
from kfm_repro.compare.tabular.native import library
from kfm_repro.errors import LimitExceeded

pytestmark = pytest.mark.skipif(
    library() is None, reason="built without a C compiler: there are no compiled loops"
)

_CELLS = st.sampled_from(["a", "b", "1", "2.5", "ä", 'q"q', "x,y", "two\nlines", "e\r\nf", " ", "NaN"])
_ROWS = st.lists(st.tuples(_CELLS, _CELLS), max_size=12)


def _text(rows: list[tuple[str, str]], quoting: int = csv.QUOTE_MINIMAL, *, end: str = "\n") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=end, quoting=quoting)  # type: ignore[arg-type]
    writer.writerows([("id", "name"), *((f"{n} {row[0]}", row[1]) for n, row in enumerate(rows))])
    return out.getvalue().encode()


def _compared(a: bytes, b: bytes, block: int) -> tuple[object, object]:
    """Return what both ways find: spooled in blocks of so many bytes, and whole; None where it is not sure."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        paths = Path(folder, "a.csv"), Path(folder, "b.csv")
        for path, data in zip(paths, (a, b), strict=True):
            path.write_bytes(data)
        patch.setattr(spooled, "_BLOCK", block)
        try:
            found = spooled.compare_spooled(*paths, Context())
        except Unsure:
            return None, None
        whole = csv_files.compare(*paths, Context())
    return set(map(_said, found)), {f for f in map(_said, whole) if f[0] != "encoding"}


def _said(finding: object) -> tuple[object, ...]:
    return tuple(
        str(getattr(finding, name)) for name in ("kind", "rung", "where", "count", "examples", "evidence")
    )


@given(_ROWS, _ROWS, st.integers(40, 200), st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_what_is_found_is_what_is_found_of_the_whole_texts(
    rows_a: list[tuple[str, str]], rows_b: list[tuple[str, str]], block: int, quoting: int
) -> None:
    common = rows_a[: len(rows_a) // 2]
    a, b = _text(rows_a, quoting), _text([*common, *rows_b], quoting)
    spooled_found, found = _compared(a, b, block)
    assert spooled_found == found


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("block", [30, 31, 32, 33, 64, 1 << 20])
def test_records_across_blocks(end: str, block: int) -> None:
    rows = [(f'"{n}"', f"line {n}\nand more, {n}") for n in range(50)]
    changed = [*rows[:-1], (rows[-1][0], "other")]
    found, whole = _compared(_text(rows, end=end), _text(changed, end=end), block)
    assert found
    assert found == whole


def test_a_last_record_without_its_end_of_line() -> None:
    rows = [("a", "b")] * 20
    found, whole = _compared(_text(rows)[:-1], _text([*rows[:-1], ("a", "c")])[:-1], 50)
    assert found
    assert found == whole


@pytest.mark.parametrize(
    "text",
    [
        b"", b"id,name\n\n1,a\n", b"id,name\n1,a\rb\n", b'id,name\n1,"a\n', b"id,name\n1,a,b\n", b"id,name\n1,\xff\n",
        b"\xef\xbb\xbfid,name\n1,a\n", b"id\n1\n", b"id,id\n1,2\n", b"id,name\n1,\0\n", b'id,name\n1,""\n2,\n',
        b'id,name\n1,a"b\n', b'id,name\n"1"x,a\n',
    ],
)  # fmt: skip
def test_what_is_not_written_plainly_is_left_to_the_strict_reader(text: bytes, tmp_path: Path) -> None:
    paths = tmp_path / "a.csv", tmp_path / "b.csv"
    for path in paths:
        path.write_bytes(text)
    with pytest.raises(Unsure):
        spooled.compare_spooled(*paths, Context())


def test_a_bound_below_the_texts_is_kept_by_files_and_said_where_it_cannot_be(tmp_path: Path) -> None:
    rows = [(str(n), "x" * 100) for n in range(30_000)]
    paths = tmp_path / "a.csv", tmp_path / "b.csv"
    bounded = Context(options=Options(memory_bytes=8 << 20))
    for end, odd in ((b"", False), (b"\n\n", True)):
        for path, last in zip(paths, ("y", "z"), strict=True):
            path.write_bytes(_text([*rows, ("end", last)]) + end)
        assert path.stat().st_size < bounded.limits.whole_text_bytes
        if odd:
            with pytest.raises(LimitExceeded, match="not written plainly enough"):
                csv_files.compare(*paths, bounded)
        else:
            (finding,) = csv_files.compare(*paths, bounded)
            assert (finding.kind, finding.count, finding.examples[0].b) == ("value", 1, "z")


@pytest.mark.parametrize("memory", [2, 1_000, 1_100, 1 << 20])
def test_what_differs_is_told_in_however_little_memory(memory: int, tmp_path: Path) -> None:
    paths = tmp_path / "a.csv", tmp_path / "b.csv"
    for path, last in zip(paths, ("y", "z"), strict=True):
        path.write_bytes(_text([("x", "y"), ("x", last)]))
    (finding,) = spooled.compare_spooled(*paths, Context(options=Options(memory_bytes=memory)))
    assert (finding.kind, finding.count) == ("value", 1)
