"""Reports for people and CI: ``--html``, ``--junit``, ``--markdown``, ``--format github``, and ``show`` afterwards."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from junitparser import JUnitXml
from workshop import Workshop, user_environ

PIPELINE = """
import pathlib, time
out = pathlib.Path("data/processed/job"); out.mkdir(parents=True, exist_ok=True)
(out / "a.csv").write_text(f"id,made\\n1,{time.time()}\\n")
(out / "b.csv").write_text("id\\n1\\n")
"""


@pytest.fixture
def pair(tmp_path: Path) -> tuple[str, str]:
    """Return two files that differ in one cell."""
    for name, value in (("a.csv", "1"), ("b.csv", "2")):
        (tmp_path / name).write_text(f"id,n\n7,{value}\n8,5\n", encoding="utf-8")
    return str(tmp_path / "a.csv"), str(tmp_path / "b.csv")


def test_every_form_is_written_in_one_go(workshop: Workshop, pair: tuple[str, str], tmp_path: Path) -> None:
    html, junit, markdown = (tmp_path / name for name in ("r.html", "r.xml", "r.md"))
    done = workshop.kfm(
        "diff", *pair, "--html", str(html), "--junit", str(junit), "--markdown", str(markdown)
    )
    assert done.code == 1
    assert done.out.splitlines()[-1] == "NOT REPRODUCIBLE: 1 of 1 output differs."
    assert "<h1>" in html.read_text(encoding="utf-8")
    (suite,) = JUnitXml.fromfile(str(junit))
    assert (suite.tests, suite.failures) == (1, 1)
    assert markdown.read_text(encoding="utf-8").startswith("### ❌ files: not reproducible")


def test_a_replay_has_its_page_beside_its_report_and_show_writes_the_same_later(
    workshop: Workshop, tmp_path: Path
) -> None:
    workshop.write("pipelines/job.py", PIPELINE)
    workshop.commit()
    run = workshop.record()
    page = tmp_path / "now.html"
    done = workshop.kfm("replay", run, "--format", "github", "--html", str(page))
    assert done.code == 1
    (beside,) = workshop.root.glob("data/work/runs/*/*/validation/repro_report.html")
    assert beside.read_bytes() == page.read_bytes()
    assert str(beside.relative_to(workshop.root)) in done.out
    assert "\n::error file=pipelines/job.py,title=different%3A data/processed/job/a.csv::" in done.out
    assert "against the window in which each run ran" in page.read_text(encoding="utf-8")
    later = tmp_path / "later.html"
    assert workshop.kfm("show", beside.parents[1].name, "--html", str(later), "--quiet").code == 0
    assert later.read_bytes() == page.read_bytes()
    refused = workshop.kfm("show", run, "--html", str(later))
    assert refused.code == 2
    assert "is no replay" in refused.err


def test_a_command_that_ends_before_its_time_leaves_no_old_verdict(
    workshop: Workshop, pair: tuple[str, str], tmp_path: Path
) -> None:
    html, junit = tmp_path / "r.html", tmp_path / "r.xml"
    asked = ("--html", str(html), "--junit", str(junit))
    assert workshop.kfm("diff", pair[0], pair[0], *asked).code == 0
    assert "<title>Reproducible" in html.read_text(encoding="utf-8")
    assert workshop.kfm("diff", pair[0], str(tmp_path / "gone.csv"), *asked).code == 2
    assert "<title>Unknown" in html.read_text(encoding="utf-8")
    assert "gone.csv" in html.read_text(encoding="utf-8")
    (suite,) = JUnitXml.fromfile(str(junit))
    assert suite.errors == 1


def test_the_summary_of_a_job_is_appended_to_and_any_other_file_written_anew(
    workshop: Workshop, pair: tuple[str, str], tmp_path: Path
) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("before\n", encoding="utf-8")
    for name, env, count in (("summary.md", {"GITHUB_STEP_SUMMARY": str(summary)}, 2), ("other.md", {}, 1)):
        for _ in range(2):
            done = workshop.kfm("diff", *pair, "--markdown", str(tmp_path / name), env=env)
            assert done.code == 1
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert text.count("not reproducible") == count
        assert text.startswith("before\n") is (count == 2)
    summary.write_text("x" * ((1 << 20) - 4_000), encoding="utf-8")
    workshop.kfm("diff", *pair, "--markdown", str(summary), env={"GITHUB_STEP_SUMMARY": str(summary)})
    assert summary.stat().st_size < 1 << 20


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--html", "no/such/r.html"), "no such folder"),
        (("--html", "r.x", "--junit", "r.x"), "two reports would go into one file"),
        (("--json", "--format", "github"), "contradict each other"),
    ],
)
def test_what_cannot_be_is_said_before_anything_runs(
    workshop: Workshop, pair: tuple[str, str], options: tuple[str, ...], says: str
) -> None:
    done = workshop.kfm("diff", *pair, *options)
    assert done.code == 2
    assert says in done.out + done.err


def test_json_stays_alone_on_stdout_beside_other_reports(
    workshop: Workshop, pair: tuple[str, str], tmp_path: Path
) -> None:
    done = workshop.kfm("diff", *pair, "--json", "--html", str(tmp_path / "r.html"))
    assert done.json["verdict"] == "not-reproducible"
    assert done.err == ""


def test_a_terminal_that_is_not_utf_8_and_no_color_get_plain_text(
    workshop: Workshop, pair: tuple[str, str]
) -> None:
    code = "from kfm_repro.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
    argv = [sys.executable, "-c", code, "diff", *pair]
    for extra, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        code, said = at_terminal(workshop, argv, {"TERM": "xterm", "PYTHONIOENCODING": "ascii", **extra})
        assert code == 1
        assert b"NOT REPRODUCIBLE" in said
        assert (b"\x1b[" in said) is coloured
        assert said.isascii()


def test_lines_are_broken_to_the_terminal_and_json_never_is(workshop: Workshop, tmp_path: Path) -> None:
    for name, value in (("a.csv", "what was written"), ("b.csv", "something else that is written")):
        cell = f"{value} of the county, again and again"
        (tmp_path / name).write_text(f"id,remark\n7,{cell}\n8,x\n", encoding="utf-8")
    argv = [
        str(Path(sys.executable).with_name("kfm-repro")),
        "diff",
        *(str(tmp_path / f"{n}.csv") for n in "ab"),
    ]
    for columns, environ in ((60, {"NO_COLOR": "1"}), (200, {"NO_COLOR": "1", "COLUMNS": "60"})):
        _, said = at_terminal(workshop, argv, environ, columns)
        lines = said.decode().replace("\r\n", "\n").splitlines()
        assert all(len(line) <= 60 or len(line.split()) == 1 for line in lines), lines
    _, wide = at_terminal(workshop, argv, {"NO_COLOR": "1"}, 200)
    assert wide.split() == said.split()
    assert len(wide.splitlines()) < len(said.splitlines())
    _, document = at_terminal(workshop, [*argv, "--json"], {}, 30)
    assert json.loads(document)["verdict"] == "not-reproducible"


def at_terminal(
    shop: Workshop, argv: list[str], environ: dict[str, str], columns: int = 0
) -> tuple[int, bytes]:
    """Run a command whose stdout is a terminal of so many columns; 0: one that does not tell."""
    main, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, columns))
    child = subprocess.Popen(
        argv, cwd=shop.root, env=user_environ() | environ, stdout=terminal, stderr=subprocess.DEVNULL
    )
    os.close(terminal)
    said = b""
    while chunk := _read(main):
        said += chunk
    os.close(main)
    return child.wait(), said


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""
