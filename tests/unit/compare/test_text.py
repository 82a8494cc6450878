from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfm_repro.compare.context import Context, Limits, Side
from kfm_repro.compare.text import compare
from kfm_repro.model.finding import Finding, Kind, Rung

RUNS = Context(
    a=Side(window=(1_770_153_240.0, 1_770_153_270.0)), b=Side(window=(1_795_341_600.0, 1_795_341_630.0))
)


def texts(
    folder: Path, a: bytes, b: bytes, context: Context = RUNS, name: str = "rows.txt"
) -> tuple[Finding, ...]:
    (folder / "a").write_bytes(a)
    (folder / "b").write_bytes(b)
    return compare(folder / "a", folder / "b", replace(context, name=name))


@pytest.mark.parametrize("name", ["made.py", "notes.md", "broken.json", "LICENSE"])
def test_the_order_of_lines_means_something_where_lines_are_no_records(tmp_path: Path, name: str) -> None:
    (found,) = texts(tmp_path, b"a\nb\n", b"b\na\n", name=name)
    assert (found.kind, found.rung) == (Kind.ROW_ORDER, Rung.VALUE)


@pytest.mark.parametrize(
    ("a", "b", "evidence"),
    [
        (b"a\nb\n", b"a\r\nb\r\n", "CR LF"),
        (b"a\nb\n", b"a\nb", "newline at the end only in A"),
        (b"a\n", b"\xef\xbb\xbfa\n", "byte order mark only in B"),
        (b"\xef\xbb\xbfa\n", "\ufeffa\n".encode("utf-16-le"), "utf-16-le in B"),
    ],
)
def test_another_way_of_writing_the_same_lines_is_equivalent(
    tmp_path: Path, a: bytes, b: bytes, evidence: str
) -> None:
    (found,) = texts(tmp_path, a, b)
    assert (found.kind, found.rung) == (Kind.ENCODING, Rung.CONTAINER)
    assert evidence in found.evidence


@pytest.mark.parametrize(
    ("a", "b"), [(b"a\rb", b"a\nb"), (b"a\n\n", b"a\n"), (b"a\x0cb", b"a\nb"), (b"", b"\n\n")]
)
def test_other_breaks_and_empty_lines_are_content(tmp_path: Path, a: bytes, b: bytes) -> None:
    assert Rung.VALUE in {f.rung for f in texts(tmp_path, a, b)}


def test_the_same_lines_in_another_order_are_equivalent(tmp_path: Path) -> None:
    (found,) = texts(tmp_path, b"h\n1\n2\n3\n", b"h\n3\n1\n2\n")
    assert (found.kind, found.rung, found.count, found.where) == (
        Kind.ROW_ORDER,
        Rung.ORDER,
        1,
        {"offset": 2},
    )
    assert found.detail == {"line": 2}


def test_a_stamped_line_among_equal_ones(tmp_path: Path) -> None:
    (found,) = texts(
        tmp_path, "é\nat 2026-02-03 21:14:08\nz\n".encode(), "é\nat 2026-11-22 10:00:01\nz\n".encode()
    )
    assert (found.kind, found.rung, found.where) == (Kind.TIMESTAMP, Rung.VALUE, {"offset": 3})
    assert found.examples[0].key == {"line": 2}


def test_changed_and_inserted_lines_are_values(tmp_path: Path) -> None:
    found = texts(tmp_path, b"a\nb\nc\nd\n", b"a\nB\nc\nnew\nnew2\nd\n")
    assert [(f.kind, f.count, f.detail) for f in found] == [
        (Kind.VALUE, 1, {"line": 2}),
        (Kind.VALUE, 2, {"missing": "a", "line": 4}),
    ]


def test_numbers_in_plain_text_are_not_reinterpreted(tmp_path: Path) -> None:
    (found,) = texts(tmp_path, b"1.50\n", b"1.5\n")
    assert found.rung is Rung.VALUE


def test_large_and_undecodable_texts_are_compared_as_bytes(tmp_path: Path) -> None:
    small = Context(limits=Limits(text_bytes=3))
    assert texts(tmp_path, b"abcd\n", b"abce\n", small)[0].kind is Kind.BYTES
    assert texts(tmp_path, b"ab\xe9\n", b"ab\xe8\n")[0].kind is Kind.BYTES


def test_a_megabyte_line_is_answered(tmp_path: Path) -> None:
    (found,) = texts(tmp_path, b"x" * 10**6 + b"1\n", b"x" * 10**6 + b"2\n")
    assert len(found.examples[0].a) == 200


lines = st.lists(st.sampled_from(["a", "b", "c", "d 1"]), max_size=8)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(a=lines, b=lines)
def test_equivalent_means_the_same_multiset_of_lines(tmp_path: Path, a: list[str], b: list[str]) -> None:
    found = texts(
        tmp_path, "".join(f"{line}\n" for line in a).encode(), "".join(f"{line}\n" for line in b).encode()
    )
    rungs = {f.rung for f in found}
    assert (Rung.VALUE in rungs) == (sorted(a) != sorted(b))
    assert bool(found) == (a != b)


def test_places_in_utf_16_are_byte_offsets(tmp_path: Path) -> None:
    a, b = ("\ufeffab\r\ncd\r\n".encode("utf-16-le"), "\ufeffab\r\nce\r\n".encode("utf-16-le"))
    (found,) = texts(tmp_path, a, b)
    assert found.where == {"offset": 10}


def test_a_lone_return_at_the_end_is_content(tmp_path: Path) -> None:
    assert Rung.VALUE in {f.rung for f in texts(tmp_path, b"a\r", b"a")}
