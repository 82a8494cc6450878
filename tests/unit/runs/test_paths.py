"""Paths of a record stay inside their root, and the quick way refuses what the careful one does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfm_repro.errors import UnsafePath
from kfm_repro.runs.paths import Root, inside, safe_relative, safe_text

HOSTILE = st.lists(
    st.sampled_from(
        ["..", ".", "/", "//", "\\", "~", "C:", "a", "b c", ".git", "é", "\n", "\x00", "-x", " ", ""]
    )
).map("".join)


def careful(text: str) -> str | None:
    try:
        return safe_relative(text, what="x").as_posix()
    except UnsafePath:
        return None


@given(text=st.one_of(st.text(max_size=30), HOSTILE))
def test_rule_6_the_quick_check_of_a_path_answers_as_the_careful_one(text: str) -> None:
    try:
        quick: str | None = safe_text(text, what="x")
    except UnsafePath:
        quick = None
    assert quick == careful(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "data/in").mkdir(parents=True)
    (root / "data/in/a.csv").touch()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/b.csv").touch()
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "data/in/link.csv").symlink_to(tmp_path / "secret/b.csv")
    (root / "data/in/good.csv").symlink_to(root / "data/in/a.csv")
    return root


@pytest.mark.parametrize(
    "path", ["out/b.csv", "out", "data/in/link.csv", "../secret/b.csv", "/etc/passwd", "out/new/x"]
)
def test_rule_6_many_paths_are_refused_as_one_is(root: Path, path: str) -> None:
    with pytest.raises(UnsafePath):
        inside(root, path, what="output")
    many = Root(root)
    many.check("data/in/a.csv", what="output")
    with pytest.raises(UnsafePath, match="output"):
        many.check(path, what="output")


@pytest.mark.parametrize(
    "path", ["data/in/a.csv", "data/in/good.csv", "data/in/new.csv", "top.csv", "new/x/y.csv"]
)
def test_rule_6_paths_inside_pass_whether_or_not_they_exist(root: Path, path: str) -> None:
    inside(root, path, what="output")
    Root(root).check(path, what="output")
