"""The quotes of a CSV, and its empty cells: quoted ones, for some writers an empty text, and bare ones, for null.

DuckDB and Polars write both sorts and read them as different values; writers that quote all cells or none
write one sort only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kfm_repro.compare.noise.numbers import QUOTED_EMPTY

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "PLACEHOLDER",
    "has_bare_empty",
    "has_quoted_empty",
    "is_well_quoted",
    "with_placeholders",
    "with_quoted_empties",
]

PLACEHOLDER = "\0"
"""Stands inside of the quotes of a quoted empty cell while a text is read; no text that is read holds it."""


def has_quoted_empty(text: str, delimiter: str) -> bool:
    """Return whether there may be a quoted empty cell."""
    if '""' not in text:
        return False
    outside = re.escape(delimiter) + r"\r\n"
    ends = rf"(?=[{outside}]|\Z)"
    # What a pattern begins with literally is searched for fast.
    return (
        re.search(rf'""(?<=[{outside}]""){ends}', text) is not None or re.match(f'""{ends}', text) is not None
    )


def has_bare_empty(text: str, delimiter: str) -> bool:
    """Return whether there may be a bare empty cell."""
    edges = (
        f"{delimiter}{delimiter}",
        f"\n{delimiter}",
        f"{delimiter}\n",
        f"{delimiter}\r",
        f"\r{delimiter}",
    )
    lines = ("\n\n", "\r\n\r\n", "\r\r", "\n\r\n")
    return (
        text.startswith(delimiter)
        or text.endswith(delimiter)
        or any(pair in text for pair in (*edges, *lines))
    )


def is_well_quoted(data: bytes, delimiter: str) -> bool:
    """Return whether every quote opens or closes a whole field, or stands doubled inside of one (RFC 4180)."""
    import numpy as np

    octets = np.frombuffer(data, np.uint8)
    quotes = np.flatnonzero(octets == ord('"'))
    if len(quotes) % 2:
        return False
    outside = np.array([*delimiter.encode(), *b'\r\n"'], np.uint8)
    opening, closing = quotes[0::2], quotes[1::2]
    before = octets[opening[opening > 0] - 1]
    after = octets[closing[closing < len(octets) - 1] + 1]
    return bool(np.isin(before, outside).all() and np.isin(after, outside).all())


def with_placeholders(text: str, delimiter: str) -> str:
    """Return the text with `PLACEHOLDER` in every quoted empty cell.

    A quote opens a field only where the field begins; whatever is quoted is passed over whole.
    """
    data = text.encode()
    if is_well_quoted(data, delimiter):
        return _well_quoted_with_placeholders(data).decode()
    quoted = re.compile(rf'(\A|[{re.escape(delimiter)}\r\n])("(?:[^"]|"")*+")')

    def marked(match: re.Match[str]) -> str:
        return f'{match[1]}"{PLACEHOLDER}"' if match[2] == '""' else match[0]

    return quoted.sub(marked, text)


def _well_quoted_with_placeholders(data: bytes) -> bytes:
    """Do the same where quotes open and close in turn: a pair with no other quote beside it is an empty cell."""
    import numpy as np

    quotes = np.flatnonzero(np.frombuffer(data, np.uint8) == ord('"'))
    opening, closing = quotes[0::2], quotes[1::2]
    empty = closing == opening + 1
    empty[1:] &= closing[:-1] + 1 != opening[1:]
    empty[:-1] &= opening[1:] - 1 != closing[:-1]
    return np.insert(np.frombuffer(data, np.uint8), closing[empty], ord(PLACEHOLDER)).tobytes()


def with_quoted_empties(column: pa.ChunkedArray, empty: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of texts with `QUOTED_EMPTY` where ``empty`` holds.

    A cell that says two quotes or more gets one more, so that it is neither that nor another such cell.
    """
    import pyarrow.compute as pc

    quotes = pc.match_substring_regex(column, r'\A""+\z')
    longer = pc.if_else(quotes, pc.binary_join_element_wise('"', column, ""), column)
    return pc.if_else(empty, QUOTED_EMPTY, longer)
