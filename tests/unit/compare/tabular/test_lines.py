"""The records of a text, found by those of the other side, are those that are found in the text itself."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfm_repro.compare.tabular import lines
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
            left, right = map(lines._Plain, paths)
            mine = left.lines
        except lines.Unsure:
            return None, None
        right.delimiter = left.delimiter
        try:
            own = right.lines
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
            followed = lines._by_the_other(left, right)
        except lines.Unsure:
            return None, plain
        if followed is None:
            return "not as many", plain
        return (followed[1].tolist(), np.flatnonzero(followed[2][1:]).tolist()), plain


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
