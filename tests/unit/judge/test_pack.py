"""Packs are refused before they are written, when what they would hold was not searched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from keeping import shelf

from kfm_repro.errors import InvalidRecord, NotDisclosed
from kfm_repro.judge.pack import PackRequest, pack_run
from kfm_repro.runs import secrets


def test_rule_24_a_record_that_was_not_searched_to_its_end_needs_the_flag(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = shelf(tmp_path)
    run = there.run(1)
    monkeypatch.setattr(secrets, "_MAX_FILES", 2)
    target = tmp_path / "x.zip"
    with pytest.raises(NotDisclosed, match="not searched to its end"):
        pack_run(there.project, run.name, PackRequest(output=target))
    assert not target.exists()
    assert pack_run(there.project, run.name, PackRequest(output=target, restricted=True)).secrets == "partial"


def test_a_folder_that_cannot_be_read_is_refused_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = shelf(tmp_path)
    run = there.run(1)
    scandir = os.scandir

    def refused(path: str) -> object:
        if Path(path).name == "config":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    (run.path / "config").mkdir(exist_ok=True)
    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(InvalidRecord, match="'config': Permission denied"):
        pack_run(there.project, run.name, PackRequest(output=tmp_path / "x.zip"))
