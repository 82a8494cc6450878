"""The mark that keeps a run (rule 23), when several want it at once or the run goes meanwhile."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier

import pytest
from keeping import Shelf, shelf

from kfm_repro.cli import main
from kfm_repro.errors import InvalidRecord, NotWritable, RunNotFound
from kfm_repro.judge.pack import PackRequest, pack_run
from kfm_repro.runs import locks
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.provenance import write_provenance
from kfm_repro.runs.status import mark_retained, retained, status_document


@pytest.fixture
def kept(tmp_path: Path) -> Shelf:
    return shelf(tmp_path)


def gone_at_the_lock(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for the lock waits for a prune that takes the run away."""
    real = locks.locked

    @contextmanager
    def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
        shutil.rmtree(run.path, ignore_errors=True)
        with real(path, shared=shared):
            yield

    monkeypatch.setattr(locks, "locked", locked)


def test_rule_23_marks_made_at_once_lose_neither_published_nor_the_file(kept: Shelf) -> None:
    run = kept.run(0)
    marks = ["published", *["artifact"] * 5]
    with ThreadPoolExecutor(len(marks)) as pool:
        for _ in range(25):
            run.status.write_text('{"state": "success"}', encoding="utf-8")
            together = Barrier(len(marks))

            def mark(text: str, together: Barrier = together) -> None:
                together.wait()
                mark_retained(run, text)

            list(pool.map(mark, marks))
            assert status_document(run) == {"state": "success", "retain": "published"}
    assert not list(run.path.glob(".*"))


def test_rule_23_a_mark_brings_no_run_back(kept: Shelf) -> None:
    run = kept.run(0)
    shutil.rmtree(run.path)
    with pytest.raises(NotWritable):
        mark_retained(run, "published")
    assert not run.path.exists()


def test_rule_23_a_run_that_went_while_pack_waited_is_not_packed(
    kept: Shelf, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run = kept.run(0)
    gone_at_the_lock(run, monkeypatch)
    with pytest.raises(RunNotFound):
        pack_run(kept.project, "run000", PackRequest(output=tmp_path / "out/run.zip"))
    assert not run.path.exists()
    assert not (tmp_path / "out/run.zip").exists()


def test_rule_23_a_run_that_went_while_prov_waited_is_not_marked(
    kept: Shelf, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = kept.run(0, prov=False)
    gone_at_the_lock(run, monkeypatch)
    assert main(["prov", "run000", "--published", "--json", "--root", str(kept.project.root)]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "run-not-found"
    assert not run.path.exists()


def test_a_pack_has_the_same_bytes_before_and_after_the_run_is_published(kept: Shelf, tmp_path: Path) -> None:
    run = kept.run(0)
    first = pack_run(kept.project, "run000", PackRequest(output=tmp_path / "first.zip"))
    mark_retained(run, "published")
    second = pack_run(kept.project, "run000", PackRequest(output=tmp_path / "second.zip"))
    assert first.sha256 == second.sha256
    assert retained(status_document(run)) == "published"


def test_half_characters_in_a_record_reach_pack_and_prov_escaped(kept: Shelf, tmp_path: Path) -> None:
    run = kept.run(0, prov=False)
    run.status.write_text('{"state": "success", "note": "\\ud800"}', encoding="utf-8")
    text = run.outputs.read_text(encoding="utf-8")
    run.outputs.write_text(text.replace('"path"', '"license": "\\ud800", "path"'), encoding="utf-8")
    made = write_provenance(kept.project, run)
    assert "\\ud800" in made.path.read_text(encoding="utf-8")
    pack_run(kept.project, "run000", PackRequest(output=tmp_path / "run.zip"))
    assert status_document(run)["note"] == "\ud800"


def test_a_run_whose_name_is_not_utf_8_is_refused_by_pack(kept: Shelf, tmp_path: Path) -> None:
    run = kept.run(0)
    run.path.rename(run.path.with_name("run\udcff"))
    with pytest.raises(InvalidRecord, match="not UTF-8"):
        pack_run(kept.project, "run\udcff", PackRequest(output=tmp_path / "run.zip"))
