"""The config snapshot of a record is whole, or there is no replay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kfm_repro.errors import InvalidRecord
from kfm_repro.execute.config import config_files
from kfm_repro.model.run import CodeVersion, Pipeline, Run
from kfm_repro.runs.layout import RunDir


def run_of(config: dict[str, str] | None) -> Run:
    return Run(run_id="r1", pipeline=Pipeline(config=config, version=CodeVersion(patch="config/dirty.patch")))


@pytest.fixture
def original(tmp_path: Path) -> RunDir:
    for name in ("job.json", "sub/more.json", "dirty.patch", "written_by_the_run.json"):
        (tmp_path / "config" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "config" / name).write_text("{}", encoding="utf-8")
    return RunDir(tmp_path)


def test_the_files_that_are_listed_are_laid_and_all_but_the_patch_where_none_are(original: RunDir) -> None:
    listed = {"job.json": "config/job.json", "sub/more.json": "etc/more.json"}
    assert [*config_files(original, run_of(listed))] == ["job.json", "sub/more.json"]
    assert [*config_files(original, run_of(None))] == ["job.json", "sub/more.json", "written_by_the_run.json"]
    assert config_files(RunDir(original.path / "old"), run_of(None)) == {}


def test_a_listed_file_that_is_not_there_is_named(original: RunDir) -> None:
    (original.config / "sub/more.json").unlink()
    with pytest.raises(InvalidRecord, match=r"lacks config/sub/more\.json"):
        config_files(original, run_of({"job.json": "config/job.json", "sub/more.json": "etc/more.json"}))
    with pytest.raises(InvalidRecord, match=r"lacks config/a\.json and 1 more"):
        config_files(RunDir(original.path / "gone"), run_of({"b.json": "b.json", "a.json": "a.json"}))


def test_a_file_that_cannot_be_read_is_named(original: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, _: Path(path).name != "job.json")
    with pytest.raises(InvalidRecord, match=r"cannot be read: config/job\.json"):
        config_files(original, run_of(None))


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
@pytest.mark.parametrize("name", ["config", "config/sub"])
def test_a_folder_that_cannot_be_read_is_named(original: RunDir, name: str) -> None:
    place = original.path / name
    mode = place.stat().st_mode
    place.chmod(0)
    try:
        with pytest.raises(InvalidRecord, match=f"cannot be read: {name}/"):
            config_files(original, run_of(None))
    finally:
        place.chmod(mode)
