"""Empty cells of a CSV: quoted ones, which some writers use for an empty text, and bare ones, for null.

DuckDB and Polars write both sorts and read them as different values; writers that quote all cells or none
write one sort only.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kfm_repro.compare.noise.numbers import QUOTED_EMPTY

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PLACEHOLDER", "has_bare_empty", "has_quoted_empty", "with_placeholders", "with_quoted_empties"]

PLACEHOLDER = "\0"
"""Stands inside of the quotes of a quoted empty cell while a text is read; no text that is read holds it."""


def has_quoted_empty(text: str, delimiter: str) -> bool:
    """Return whether there may be a quoted empty cell."""
    if '""' not in text:
        return False
    outside = re.escape(delimiter) + r"\r\n"
    return re.search(rf'(?:\A|(?<=[{outside}]))""(?=[{outside}]|\Z)', text) is not None


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


def with_placeholders(text: str, delimiter: str) -> str:
    """Return the text with `PLACEHOLDER` in every quoted empty cell.

    A quote opens a field only where the field begins; whatever is quoted is passed over whole.
    """
    quoted = re.compile(rf'(\A|[{re.escape(delimiter)}\r\n])("(?:[^"]|"")*+")')

    def marked(match: re.Match[str]) -> str:
        return f'{match[1]}"{PLACEHOLDER}"' if match[2] == '""' else match[0]

    return quoted.sub(marked, text)


def with_quoted_empties(column: pa.ChunkedArray, empty: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of texts with `QUOTED_EMPTY` where ``empty`` holds.

    A cell that says two quotes or more gets one more, so that it is neither that nor another such cell.
    """
    import pyarrow.compute as pc

    quotes = pc.match_substring_regex(column, r'\A""+\z')
    longer = pc.if_else(quotes, pc.binary_join_element_wise('"', column, ""), column)
    return pc.if_else(empty, QUOTED_EMPTY, longer)
