"""Links that lead out of the project or nowhere: their files are seen to change, and what is behind is bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from kfm_repro.execute import outside
from kfm_repro.execute.outside import scan_outside, written_outside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root, away = tmp_path / "project", tmp_path / "away"
    for folder in (root / "data/out", root / "data/work", away / "deep"):
        folder.mkdir(parents=True)
    for name in ("a.txt", "deep/b.txt"):
        (away / name).touch()
    (root / "data/out/plain.txt").touch()
    (root / "data/out/file").symlink_to(away / "a.txt")
    (root / "data/out/folder").symlink_to(away)
    (root / "data/out/gone").symlink_to("nowhere")
    (root / "data/out/inside").symlink_to("plain.txt")
    (root / "data/work/file").symlink_to(away / "a.txt")
    (root / "all").symlink_to(away)
    return root


BEHIND = ["folder", "folder/a.txt", "folder/deep/b.txt"]


def test_links_that_lead_out_are_found_with_what_is_behind_and_others_are_not(root: Path) -> None:
    found = sorted(scan_outside(root, ["data"], "data/work"))
    assert found == [f"data/out/{name}" for name in ("file", *BEHIND, "gone")]
    assert sorted(scan_outside(root, ["all", "missing"])) == ["all", "all/a.txt", "all/deep/b.txt"]
    assert sorted(scan_outside(root, ["all/deep"])) == ["all/deep/b.txt"]


def test_what_changed_behind_an_old_link_is_named_and_a_new_link_stands_for_all_behind_it(root: Path) -> None:
    before = scan_outside(root, ["data"])
    assert written_outside(root, ["data"], before) == ()
    (root.parent / "away/deep/b.txt").write_text("x", encoding="utf-8")
    (root / "data/out/new").symlink_to(root.parent / "away")
    (root / "data/out/odd\n").symlink_to(root.parent / "away")
    assert written_outside(root, ["data"], before) == ("data/out/folder/deep/b.txt", "data/out/new")


def test_a_link_to_more_files_than_can_be_looked_at_is_no_hang(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outside, "_MOST", 1)
    assert len(scan_outside(root, ["data/out/folder"])) == 2
