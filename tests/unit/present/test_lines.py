"""Lines broken to the width of a terminal: none is too wide, no word is lost or cut."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import full_report
from rich.cells import cell_len

from kfm_repro.present.lines import inert, to_text, wrapped
from kfm_repro.present.terminal import render

WORD = st.text(alphabet=st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=12)


def shown(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@given(st.lists(st.lists(WORD, max_size=30), max_size=5), st.integers(20, 60), st.integers(0, 9))
def test_no_line_is_too_wide_and_no_word_is_lost_or_cut(
    lines: list[list[str]], width: int, indent: int
) -> None:
    text = "".join(" " * indent + " ".join(words) + "\n" for words in lines)
    got = wrapped(text, width)
    assert got.split() == text.split()
    for line in got.splitlines():
        assert cell_len(line) <= width or len(line.split()) == 1, line


@pytest.mark.parametrize("color", [True, False])
@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_report_fits_and_says_the_same(*, color: bool, width: int) -> None:
    text = render(full_report(), color=color)
    got = wrapped(text, width)
    assert shown(got).split() == shown(text).split()
    assert re.findall(r"\x1b\[[0-9;]*m", got) == re.findall(r"\x1b\[[0-9;]*m", text)
    for line in shown(got).splitlines():
        assert cell_len(line) <= width or len(line.split()) == 1, line
    assert shown(got) != shown(text)


def test_what_follows_is_indented_more_and_what_fits_is_left_alone() -> None:
    assert (
        wrapped("  ab cd\n\n  one two three four five\n", 20)
        == "  ab cd\n\n  one two three four\n      five\n"
    )
    assert wrapped("a   b\n", 80) == "a   b\n"
    assert wrapped("x " * 50, 0) == "x " * 50


@pytest.mark.parametrize(
    "text", ["::error title=x::y", "  ::stop-commands::x", "a ##[warning]z", "\t::debug::"]
)
def test_no_plain_line_is_a_command_of_a_log(text: str) -> None:
    said = to_text([[(text[:3], "bold"), (text[3:], "")]], color=False)
    assert not said.lstrip().startswith("::")
    assert "##[" not in said
    assert said.replace("\\", "") == text.rstrip() + "\n"
    assert inert("a::b # [x]") == "a::b # [x]"
