"""The walk that finds a run's files: all of them, by the names the project has for them, and nothing outside."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kfm_repro.execute.scan import scan_files, walk_files


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "real"
    for name in ("data/b/2.csv", "data/b/1.csv", "data/a.csv", "data/.hidden", "x.py", "data/.git/config"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name, encoding="utf-8")
    (root / "data/__pycache__").mkdir()
    (root / "data/__pycache__/x.pyc").touch()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.csv").touch()
    (root / "data/away").symlink_to(outside)
    (root / "data/secret.csv").symlink_to(outside / "secret.csv")
    (root / "data/b/loop").symlink_to("loop")
    (root / "data/b/up").symlink_to("..")
    (root / "data/gone").symlink_to("nowhere")
    (root / "data/c").symlink_to("b")
    (root / "data/linked.csv").symlink_to("b/1.csv")
    os.mkfifo(root / "data/pipe")
    return root


FOUND = [
    "data/.hidden", "data/a.csv", "data/b/1.csv", "data/b/2.csv", "data/c/1.csv", "data/c/2.csv", "data/linked.csv",
]  # fmt: skip


def test_a_walk_names_every_file_once_by_its_own_path_sorted_and_follows_no_link_out_or_round(
    root: Path,
) -> None:
    assert list(walk_files(root, ["data"])) == FOUND
    assert list(walk_files(root, ["."])) == [*FOUND, "x.py"]


def test_a_walk_through_a_linked_root_names_the_same_files(root: Path) -> None:
    alias = root.with_name("alias")
    alias.symlink_to(root)
    assert list(walk_files(alias, ["data"])) == FOUND
    assert scan_files(alias, ["."]) == scan_files(root, ["."])


@pytest.mark.parametrize(
    ("place", "found"),
    [
        ("data/b", ["data/b/1.csv", "data/b/2.csv"]),
        ("data/a.csv", ["data/a.csv"]),
        ("data/linked.csv", ["data/linked.csv"]),
        *((place, []) for place in (
            "data/away", "data/secret.csv", "data/gone", "data/b/loop", "data/pipe", "nowhere", "data/.git",
            "data/away/secret.csv",
        )),
    ],
)  # fmt: skip
def test_what_is_asked_for_may_be_a_folder_a_file_a_link_or_nothing(
    root: Path, place: str, found: list[str]
) -> None:
    assert [path for path in walk_files(root, [place]) if not path.startswith("data/b/up/")] == found


def test_the_state_of_a_file_moves_with_its_bytes_its_time_and_its_link(root: Path) -> None:
    before = scan_files(root, ["data"])
    assert scan_files(root, ["data"]) == before
    (root / "data/a.csv").write_text("data/A.csv", encoding="utf-8")
    (root / "data/linked.csv").unlink()
    (root / "data/linked.csv").symlink_to("b/2.csv")
    after = scan_files(root, ["data"])
    assert [path for path in before if before[path] != after[path]] == ["data/a.csv", "data/linked.csv"]
    assert before["data/linked.csv"][4] == "b/1.csv"
    assert before["data/a.csv"][0] == len("data/a.csv")
