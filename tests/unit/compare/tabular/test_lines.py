"""The records of a text, found by those of the other side, are those that are found in the text itself."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfm_repro.compare.tabular import lines, opening
from kfm_repro.compare.tabular.native import library

pytestmark = pytest.mark.skipif(
    library() is None, reason="built without a C compiler: there are no compiled loops"
)

_FIELDS = st.sampled_from(["a", "bc", "1", '"q"', '"x,y"', '"two\nlines"', '"say ""so"""', "", "ä"])
_RECORDS = st.lists(st.tuples(_FIELDS, _FIELDS).map(",".join).filter(bool), min_size=1, max_size=15)
_ODD = st.sampled_from(["", "\n", "\r", '"', '"open', 'a"b', "\0", '"q"x', ",\r\n", "\n\n"])


def _found(a: bytes, b: bytes) -> tuple[object, object]:
    """Return the records of B and which differ: found by those of A, and by itself; None for not plain."""
    with tempfile.TemporaryDirectory() as folder:
        paths = Path(folder, "a"), Path(folder, "b")
        for path, data in zip(paths, (a, b), strict=True):
            path.write_bytes(data)
        try:
            left, right = map(opening.Plain, paths)
            places = left.find()
            mine = places.array()
        except lines.Unsure:
            return None, None
        right.delimiter = left.delimiter
        try:
            own = right.find().array()
            split = (
                lines.TextSource(paths[0], left.data, ",", mine),
                lines.TextSource(paths[1], right.data, ",", own),
            )
            same = len(own) == len(mine)
            plain = (
                (own.tolist(), lines.differing_lines(*split, split[0].rows).tolist())
                if same
                else "not as many"
            )
        except lines.Unsure:
            plain = None
        try:
            followed = opening.follow(left, places, right)
        except lines.Unsure:
            return None, plain
        if followed is None:
            return "not as many", plain
        unlike = np.frombuffer(followed[1], np.bool_)[1 : places.records]
        return (followed[0].array().tolist(), np.flatnonzero(unlike).tolist()), plain


@given(_RECORDS, st.data(), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_records_are_found_by_those_of_the_other_side(
    a: list[str],
    data: st.DataObject,
    end: str,
    last: bool,  # noqa: FBT001
) -> None:
    b = list(a)
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(b)))
        what = data.draw(st.sampled_from(["change", "insert", "drop"]))
        other = data.draw(_RECORDS)[0]
        b[at : at + (what != "insert")] = [] if what == "drop" else [other]
    texts = [end.join(rows) + (end if last or rows is a else "") for rows in (a, b)]
    followed, plain = _found(*(text.encode() for text in texts))
    assert followed == plain


@given(_RECORDS, _ODD, st.data())
def test_what_is_not_plain_is_seen_wherever_it_differs(a: list[str], odd: str, data: st.DataObject) -> None:
    text = "\n".join(a) + "\n"
    at = data.draw(st.integers(0, len(text)))
    followed, plain = _found(text.encode(), (text[:at] + odd + text[at:]).encode())
    # A quote may swallow all that comes, and the number of records with it, before the rest is looked at.
    assert followed == plain or (followed, plain) == ("not as many", None)


def _is_lone(then: int | None, *, quoted: bool, whole: bool) -> bool:
    """Return whether a carriage return does not end a line, as far as what comes ``then`` tells."""
    return whole if then is None else quoted or then != ord("\n")


def _ends(text: bytes, *, whole: bool) -> list[int] | None:
    """Return where the records of a text begin and the last ends, byte by byte; None where it is not plain."""
    starts, at, quoted, last = [0], 0, False, b"\n"
    for at, (byte, then) in enumerate(zip(text, [*text[1:], None], strict=True)):
        here, empty = bytes([byte]), at == starts[-1]
        if here == b'"':
            if quoted:
                quoted = False
                if then is not None and bytes([then]) not in b',\n\r"':
                    return None
            elif last not in (b",", b"\n", b'"') or (last == b'"' and empty):
                return None
            else:
                quoted = True
        elif here == b"\0" or (here == b"\r" and (empty or _is_lone(then, quoted=quoted, whole=whole))):
            return None
        elif here == b"\n" and not quoted:
            if empty:
                return None
            starts.append(at + 1)
        last = here
    if whole and quoted:
        return None
    return [*starts, len(text)] if whole and starts[-1] < len(text) else starts


_PIECES = st.sampled_from(
    [b"a", b",", b"\n", b"\r\n", b'"', b'""', b'"q"', b',"', b'",', b'"\n', b"\r", b"\0", b"x" * 40, b'"%070d"' % 1]
)  # fmt: skip
_PLAIN = st.sampled_from(
    [b"a,b\n", b'"q",1\r\n', b'"two\nlines",""\n', b'1,"say ""so"""\n', b"z" * 62 + b",\n"]
)


@given(
    st.integers(0, 130),
    st.lists(_PLAIN, max_size=9).map(b"".join),
    st.lists(_PIECES, max_size=4).map(b"".join),
    st.booleans(),
)
def test_records_are_found_64_bytes_at_once_as_byte_by_byte(
    moved: int,
    text: bytes,
    odd: bytes,
    whole: bool,  # noqa: FBT001
) -> None:
    data = bytearray(b"z" * moved + text + odd + text[: len(text) // 2])
    if not data:
        return
    assert _records(data, whole=whole) == _ends(bytes(data), whole=whole)


def _records(data: bytearray, *, whole: bool) -> list[int] | None:
    try:
        places = opening.find_lines(opening.address_of(data), len(data), ",", per_line=50, whole=whole)
    except lines.Unsure:
        return None
    found: list[int] = places.array().tolist()
    return found


@pytest.mark.parametrize(
    "odd",
    [b"\n\n", b"\n\r\n", b'\n"q"x', b'\na"', b"\ra", b',"\r\n"', b',"a\n"\n', b',"a""b"', b"\r\n", b"\0"],
)
def test_records_are_found_wherever_64_bytes_end(odd: bytes) -> None:
    for moved in range(1, 135):
        data = bytearray(b"z" * moved + odd + b"\n" + b"y" * 70)
        assert _records(data, whole=True) == _ends(bytes(data), whole=True), moved


def test_more_records_than_were_guessed_are_found() -> None:
    data = bytearray(b"a\n" * 5_000)
    places = opening.find_lines(opening.address_of(data), len(data), ",", per_line=1_000)
    assert (places.records, places.array()[-1], places.end()) == (5_000, 10_000, 10_000)
