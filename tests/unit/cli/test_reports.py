"""Reports beside what the terminal shows: what they say when a command ends before its time."""

from __future__ import annotations

from pathlib import Path

import pytest
from junitparser import JUnitXml

from kfm_repro.cli.reports import reporting
from kfm_repro.errors import NotWritable


def test_a_full_disk_leaves_no_old_verdict_in_what_can_be_written(tmp_path: Path) -> None:
    """One that ended for want of room writes what it can; that one report cannot be written stops no other."""
    html, junit = tmp_path / "folder", tmp_path / "r.xml"
    html.mkdir()
    junit.write_text("<old/>", encoding="utf-8")
    options = {"html": html, "junit": junit, "markdown": None, "style": "text", "as_json": False}
    with pytest.raises(NotWritable, match="no room for the run"), reporting(options, "replay"):
        raise NotWritable("no room for the run", hint="make room")
    (suite,) = JUnitXml.fromfile(str(junit))
    assert suite.errors == 1
    assert "no room for the run" in junit.read_text(encoding="utf-8")
