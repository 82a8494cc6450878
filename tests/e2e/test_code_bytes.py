"""The code of a replay has the very bytes that were recorded, whatever git makes of them between store and disk."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from workshop import Workshop, plain_python

pytestmark = pytest.mark.slow

NAMES = ("keyword.txt", "dos.txt", "auto.txt", "wide.txt", "plain.txt")
DIGESTS = (
    "import hashlib, pathlib, subprocess\n"
    "out = pathlib.Path('data/processed'); out.mkdir(parents=True, exist_ok=True)\n"
    "lines = [f'{p} {hashlib.sha256(p.read_bytes()).hexdigest()}' for p in sorted(pathlib.Path('assets').iterdir())]\n"
    "said = subprocess.run(['git', 'describe', '--always', '--dirty'], capture_output=True, text=True).stdout\n"
    "(out / 'digests.txt').write_text('\\n'.join([*lines, said]))\n"
)


def version_of(shop: Workshop, run: str) -> dict[str, Any]:
    document = yaml.safe_load((shop.run_dir(run) / "run.yaml").read_text(encoding="utf-8"))
    return dict(document["pipeline"]["version"])


def replay(shop: Workshop, run: str, code: int = 0) -> Any:
    done = shop.kfm("replay", run, "--json")
    assert done.code == code, done.out + done.err
    return done.json


def code_of(report: Any) -> dict[str, str]:
    return next(item for item in report["preconditions"] if item["name"] == "code")


@pytest.fixture
def attributed(workshop: Workshop) -> Workshop:
    """A project with every attribute that makes git write other bytes than it keeps, freshly checked out."""
    workshop.write("pipelines/job.py", DIGESTS)
    workshop.write(
        ".gitattributes",
        "keyword.txt ident\ndos.txt text eol=crlf\nauto.txt text=auto\nwide.txt text working-tree-encoding=UTF-16\n",
    )
    for name in NAMES:
        workshop.write(f"assets/{name}", "$Id$\none\ntwo\n")
    (workshop.root / "assets/wide.txt").write_text("one\ntwo\n", encoding="utf-16")
    workshop.commit()
    return workshop


def checked_out_again(shop: Workshop, **settings: str) -> None:
    """Let git write all files anew, with the user's own settings."""
    for name, value in settings.items():
        shop.git("config", name.replace("_", "."), value)
    for name in NAMES:
        (shop.root / "assets" / name).unlink()
    shop.git("checkout", "-q", "--", "assets")


@pytest.mark.parametrize("autocrlf", ["false", "true"])
def test_a_clean_tree_is_clean_whatever_its_attributes_and_comes_back_byte_for_byte(
    attributed: Workshop, autocrlf: str
) -> None:
    checked_out_again(attributed, core_autocrlf=autocrlf)
    assets = attributed.root / "assets"
    assert b"$Id: " in (assets / "keyword.txt").read_bytes()
    assert b"\r\n" in (assets / "dos.txt").read_bytes()
    assert (b"\r\n" in (assets / "plain.txt").read_bytes()) == (autocrlf == "true")
    run = attributed.record()
    assert version_of(attributed, run)["repo_dirty"] is False
    recorded = (attributed.root / "data/processed/digests.txt").read_text(encoding="utf-8")
    assert "dirty" not in recorded
    attributed.git("config", "core.autocrlf", "input")
    report = replay(attributed, run)
    assert report["verdict"] == "reproducible"
    assert "as the settings of git had written them" in code_of(report)["detail"]


def test_a_change_beside_converted_files_is_dirty_and_comes_back_with_them(attributed: Workshop) -> None:
    checked_out_again(attributed)
    (attributed.root / "assets/dos.txt").write_bytes(b"mixed\nline\r\nends\n")
    run = attributed.record()
    version = version_of(attributed, run)
    assert version["repo_dirty"] is True
    assert sorted(version["converted"]) == ["assets/keyword.txt", "assets/wide.txt"]
    assert replay(attributed, run)["verdict"] == "reproducible"


def test_attributes_and_filters_of_the_local_config_neither_run_nor_count_in_a_replay(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.write("pipelines/job.py", DIGESTS)
    workshop.write("assets/stored.txt", "stored\n")
    workshop.commit()
    workshop.write(".git/info/attributes", "*.txt filter=swap\n")
    workshop.git("config", "filter.swap.smudge", "sed s/stored/smudged/")
    workshop.git("config", "filter.swap.clean", "sed s/smudged/stored/")
    (workshop.root / "assets/stored.txt").unlink()
    workshop.git("checkout", "-q", "--", "assets")
    assert (workshop.root / "assets/stored.txt").read_text(encoding="utf-8") == "smudged\n"
    run = workshop.record()
    version = version_of(workshop, run)
    assert (version["repo_dirty"], version["converted"]) == (False, ["assets/stored.txt"])
    for which in ("smudge", "clean"):
        workshop.git("config", f"filter.swap.{which}", f"touch {tmp_path}/ran")
    workshop.write(".git/info/attributes", "*.txt filter=swap eol=crlf\n")
    report = replay(workshop, run)
    assert report["verdict"] == "reproducible"
    assert "1 file (assets/stored.txt)" in code_of(report)["detail"]
    assert not (tmp_path / "ran").exists()


def test_a_filter_that_the_record_of_another_tool_does_not_mention_is_said(template: Workshop) -> None:
    template.write(".git/info/attributes", "*.py filter=swap\n")
    template.git("config", "filter.swap.smudge", "sed s/import/exit/")
    report = replay(template, "latest:import_census")
    code = code_of(report)
    assert code["state"] == "unknown"
    assert "a filter of git may have rewritten" in code["detail"]
    assert "pipelines/import_census.py" in code["detail"]


@pytest.mark.full
def test_converted_files_too_large_for_a_patch_are_kept_as_inputs_when_they_are_read(
    workshop: Workshop,
) -> None:
    workshop.write("pipelines/job.py", DIGESTS)
    workshop.write(".gitattributes", "*.bin filter=grow\n")
    workshop.git("init", "-q", "-b", "main")
    for which, command in (("clean", "head -c 3"), ("smudge", "cat; head -c 70000000 /dev/zero")):
        workshop.git("config", f"filter.grow.{which}", f"sh -c '{command}'")
    workshop.write("assets/large.bin", "abc")
    workshop.commit()
    (workshop.root / "assets/large.bin").unlink()
    workshop.git("checkout", "-q", "--", "assets")
    run = workshop.record()
    manifest = json.loads((workshop.run_dir(run) / "manifests/inputs.json").read_text(encoding="utf-8"))
    assert [entry["path"] for entry in manifest["inputs"]] == ["assets/large.bin"]
    assert replay(workshop, run)["counts"]["identical"] == 1
    run = workshop.record("--input", "assets/large.bin", "--no-observe")
    assert replay(workshop, run)["counts"]["identical"] == 1
    workshop.write("data/raw/other.csv", "x")
    run = workshop.record("--input", "data/raw/other.csv")
    assert version_of(workshop, run)["not_kept"] == ["assets/large.bin"]
    report = replay(workshop, run, code=2)
    assert (report["verdict"], report["error"]["code"]) == ("unknown", "code-unavailable")
    assert "assets/large.bin" in report["error"]["message"]


def test_new_files_of_the_recorded_patch_are_counted_and_named(workshop: Workshop) -> None:
    workshop.write("pipelines/job.py", DIGESTS)
    workshop.commit()
    for name in ("a b.txt", "c.txt", "d.txt", 'quote"d.txt'):
        workshop.write(f"assets/{name}", "new\n")
    workshop.write("pipelines/job.py", DIGESTS + "#\n")
    run = workshop.record()
    detail = code_of(replay(workshop, run))["detail"]
    assert "4 files (assets/a b.txt, assets/c.txt, assets/d.txt …) that the commit does not have" in detail


def test_recording_writes_nothing_into_the_repository(workshop: Workshop) -> None:
    workshop.write("pipelines/job.py", DIGESTS)
    workshop.write("assets/a.txt", "a")
    workshop.commit()
    workshop.write("assets/a.txt", "changed")
    workshop.write("assets/new.txt", "new")

    def state() -> dict[str, str]:
        files = [path for path in sorted((workshop.root / ".git").rglob("*")) if path.is_file()]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = state()
    done = workshop.kfm("record", "--pipeline", "job", "--", plain_python(), "-c", "pass")
    assert done.code == 0, done.err
    assert state() == before
