"""Empty cells of a CSV, quoted and bare."""

from __future__ import annotations

from itertools import product

import pytest

from kfm_repro.compare.tabular.quotes import has_quoted_empty


@pytest.mark.parametrize("delimiter", [",", "|", "\t"])
def test_a_quoted_empty_cell_is_found_wherever_it_stands(delimiter: str) -> None:
    outside = (delimiter, "\r", "\n", "")
    for length in range(7):
        for letters in product(f'"a\n{delimiter}', repeat=length):
            text = "".join(letters)
            wanted = any(
                text[at : at + 2] == '""'
                and text[max(0, at - 1) : at] in outside
                and text[at + 2 : at + 3] in outside
                for at in range(length)
            )
            assert has_quoted_empty(text, delimiter) == wanted, text
