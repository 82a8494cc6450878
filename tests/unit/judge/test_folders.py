"""Two folders as sets of outputs: nothing that lies in one of them is left out in silence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from kfm_repro.judge.diff import compare_paths
from kfm_repro.model.finding import Kind, OutputComparison, Rung


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    sides = tmp_path / "A", tmp_path / "B"
    for side in sides:
        for name, text in (("v1", "1\n"), ("v2", "2\n")):
            (side / name).mkdir(parents=True)
            (side / name / "x.csv").write_text(text, encoding="utf-8")
    return sides


def verdicts(pair: tuple[Path, Path]) -> dict[str, str]:
    return {output.path: str(output.verdict) for output in outputs(pair)}


def outputs(pair: tuple[Path, Path]) -> tuple[OutputComparison, ...]:
    return compare_paths(*pair).outputs


SAME = {"v1/x.csv": "identical", "v2/x.csv": "identical"}


def test_a_link_to_another_folder_of_its_own_side_is_a_difference(pair: tuple[Path, Path]) -> None:
    for side, target in zip(pair, ("v1", "v2"), strict=True):
        (side / "latest").symlink_to(target)
    assert verdicts(pair) == {"latest": "different", **SAME}
    (found,) = outputs(pair)[0].findings
    assert (found.kind, found.rung, found.examples[0].a, found.examples[0].b) == (
        Kind.VALUE,
        Rung.VALUE,
        "v1",
        "v2",
    )


def test_a_link_to_the_same_folder_of_its_own_side_is_identical_however_it_is_spelled(
    pair: tuple[Path, Path],
) -> None:
    (pair[0] / "latest").symlink_to("v1")
    (pair[1] / "latest").symlink_to(pair[1] / "v1")
    assert verdicts(pair) == {"latest": "identical", **SAME}


def test_a_link_to_a_folder_is_neither_a_file_nor_a_folder(pair: tuple[Path, Path]) -> None:
    (pair[0] / "cur").symlink_to("v1")
    (pair[1] / "cur").write_text("v1", encoding="utf-8")
    (pair[0] / "old").symlink_to("v1")
    (pair[1] / "old").mkdir()
    (pair[1] / "old" / "x.csv").write_text("1\n", encoding="utf-8")
    found = verdicts(pair)
    assert found == {"cur": "different", "old": "missing", "old/x.csv": "extra", **SAME}


def test_a_folder_that_links_to_itself_ends(pair: tuple[Path, Path]) -> None:
    for side in pair:
        (side / "v1" / "loop").symlink_to("..")
        (side / "round").symlink_to("round")
    assert verdicts(pair) == {"round": "identical", "v1/loop": "identical", **SAME}


def test_what_is_no_file_is_an_output_of_its_own(pair: tuple[Path, Path]) -> None:
    (pair[0] / "gone.csv").symlink_to("nowhere")
    os.mkfifo(pair[0] / "pipe")
    os.mkfifo(pair[1] / "pipe2")
    for side in pair:
        os.mkfifo(side / "pipe3")
        (side / "gone3").symlink_to("nowhere")
    assert verdicts(pair) == {
        "gone.csv": "missing",
        "gone3": "identical",
        "pipe": "missing",
        "pipe2": "extra",
        "pipe3": "unknown",
        **SAME,
    }


def test_a_link_out_of_the_folder_is_not_followed(pair: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "y").write_text("secret", encoding="utf-8")
    for side in pair:
        (side / "d").symlink_to(tmp_path / "out")
        (side / "y").symlink_to(tmp_path / "out" / "y")
    assert verdicts(pair) == {"d": "unknown", "y": "unknown", **SAME}


@pytest.mark.parametrize("locked", [("A", "B"), ("A",), ("B",)])
def test_a_folder_that_cannot_be_read_is_unknown(
    pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, locked: tuple[str, ...]
) -> None:
    real = os.scandir
    closed = {str(side / "v2") for side in pair if side.name in locked}

    def scandir(path: str | Path) -> Iterator[os.DirEntry[str]]:
        if str(path) in closed:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert verdicts(pair) == {"v1/x.csv": "identical", "v2": "unknown"}
    assert "Permission denied" in outputs(pair)[1].findings[0].evidence
