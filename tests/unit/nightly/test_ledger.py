"""The ledger on disk: many writers, the same thing twice, damage; and what is made of it."""

from __future__ import annotations

import math
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from kfm_repro.errors import InvalidRecord, NotWritable
from kfm_repro.model.nightly import Aspect, LedgerTrial, Outcome, Trial
from kfm_repro.model.verdict import Verdict
from kfm_repro.nightly.export import export, posterior
from kfm_repro.nightly.ledger import Ledger

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from test_ledger import trial
from kfm_repro.nightly.ledger import Ledger
for number in range(40):
    Ledger(Path(sys.argv[1])).add([trial(f"{sys.argv[2]}-{number}"), trial(f"shared-{number}")])
"""


def trial(
    replay: str, *, night: str = "2026-02-03", differed: bool | None = False, ordinal: int = 0, run: str = "r"
) -> LedgerTrial:
    aspects = (Aspect(where="column t", kind="timestamp", rung="value"),) if differed else ()
    verdict = {None: Verdict.UNKNOWN, True: Verdict.NOT_REPRODUCIBLE, False: Verdict.REPRODUCIBLE}[differed]
    outcome = Outcome(
        path="a.csv", verdict="different" if differed else "identical", differed=differed, aspects=aspects
    )
    return LedgerTrial(
        night=night, pipeline="p", run_id=run, started_at="2026-02-01", git_commit="c",
        trial=Trial(
            replay_id=replay, ordinal=ordinal, axes=("clock",), environment="e", verdict=verdict, outcomes=(outcome,),
        ),
    )  # fmt: skip


def test_four_processes_at_once_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    path = tmp_path / ".ledger/ledger.sqlite3"
    here = str(Path(__file__).parent)
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(number), here]) for number in range(4)
    ]
    assert [writer.wait(timeout=300) for writer in writers] == [0] * 4
    found = [item.trial.replay_id for item in Ledger(path).trials()]
    assert len(found) == len(set(found)) == 4 * 40 + 40
    assert Ledger(path).add([trial("0-0"), trial("new")]) == 1


def test_what_was_written_comes_back_in_order_and_before_a_night(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    items = [
        trial("b", night="2026-02-05"),
        trial("a", night="2026-02-04"),
        trial("c", night="2026-02-04", ordinal=1),
    ]
    ledger.add(items)
    assert [*ledger.trials()] == [items[1], items[2], items[0]]
    assert [item.trial.replay_id for item in ledger.trials(before="2026-02-05")] == ["a", "c"]
    assert ledger.known(before="2026-02-04") == {}
    assert ledger.known()["p", "r"].trials == 3


def test_a_replay_whose_id_another_has_is_refused_and_nothing_is_half_kept(tmp_path: Path) -> None:
    """Machines that were cloned with their state give the same ids: one of the two must not be lost in silence."""
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    assert ledger.add([trial("a")]) == 1
    for other in (trial("a", run="s"), trial("a", differed=True), trial("a", night="2026-02-04")):
        with pytest.raises(InvalidRecord, match="another replay of the id a: of p/r"):
            ledger.add([trial("b"), other])
    assert [*ledger.trials()] == [trial("a")]
    assert ledger.add([trial("a"), trial("b")]) == 1


def test_no_ledger_is_an_empty_one_and_makes_none(tmp_path: Path) -> None:
    assert [*Ledger(tmp_path / "none" / "ledger.sqlite3").trials()] == []
    assert not (tmp_path / "none").exists()


def test_damage_is_said(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    path.write_bytes(b"SQLite format 3\0" + b"\xff" * 4096)
    with pytest.raises(InvalidRecord, match="no ledger"):
        Ledger(path).add([trial("a")])
    path.write_bytes(b"")
    for use in (lambda: Ledger(path).add([trial("a")]), lambda: [*Ledger(path).trials()], Ledger(path).known):
        with pytest.raises(InvalidRecord, match="cut off"):
            use()
    path.unlink()
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("CREATE TABLE other (x)")
    with pytest.raises(InvalidRecord, match="another program"):
        Ledger(path).known()
    (tmp_path / "file").write_text("")
    with pytest.raises(NotWritable):
        Ledger(tmp_path / "file" / "ledger.sqlite3").add([trial("a")])


@pytest.mark.parametrize("kept", [1, 100, 512, 4_096, 8_192, 20_480, 40_960, -4_096, -1])
def test_a_ledger_that_was_cut_off_anywhere_is_never_a_shorter_one(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "ledger.sqlite3"
    Ledger(path).add([trial(f"{number:03}") for number in range(300)])
    whole = path.read_bytes()
    assert len(whole) > 50_000
    path.write_bytes(whole[:kept])
    with pytest.raises(InvalidRecord, match=r"damaged|cannot be read|another program"):
        Ledger(path).known()


def test_a_kill_while_the_ledger_begins_leaves_none(tmp_path: Path) -> None:
    code = """
import os, sqlite3, sys
from pathlib import Path
from kfm_repro.nightly import ledger
Path.replace = lambda *_: os.kill(os.getpid(), 9)
ledger.Ledger(Path(sys.argv[1])).add([__import__("test_ledger").trial("a")])
"""
    path = tmp_path / "ledger.sqlite3"
    here = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}"}
    assert subprocess.run([sys.executable, "-c", code, path], env=here, check=False).returncode == -9
    assert not path.exists()
    assert Ledger(path).add([trial("a")]) == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == [".begin.lock", "ledger.sqlite3"]


@pytest.mark.parametrize("night", ["", "soon", "2026-02-30", "20260203", "2026-W06-2"])
def test_a_night_that_is_no_day_is_never_kept_and_is_said_where_it_was(tmp_path: Path, night: str) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    with pytest.raises(InvalidRecord, match="no day"):
        ledger.add([trial("a", night=night)])
    assert [*ledger.trials()] == []
    ledger.add([trial("a")])
    with closing(sqlite3.connect(ledger.path)) as base, base:
        base.execute("UPDATE trials SET night = ?", (night,))
    with pytest.raises(InvalidRecord, match="no day"):
        ledger.known()


def test_export_counts_by_output_and_by_place() -> None:
    trials = [trial(str(n), differed=n % 4 == 0, night=f"2026-02-{n + 1:02}") for n in range(20)]
    report = export([*trials, trial("u", differed=None, night="2026-02-25")])
    whole, column = report.entries
    assert (whole.n, whole.k, whole.unknown, whole.axes, whole.runs) == (20, 5, 1, {"clock": 21}, 1)
    assert (column.where, column.kind, column.n, column.k) == ("column t", "timestamp", 20, 5)
    assert (whole.first_night, whole.last_night) == ("2026-02-01", "2026-02-25")


@pytest.mark.parametrize(("n", "k"), [(0, 0), (1, 0), (14, 0), (14, 14), (20, 5), (300, 3)])
def test_the_posterior_is_beta_with_a_uniform_prior(n: int, k: int) -> None:
    mean, bounds = posterior(n, k)
    a, b = n - k + 1, k + 1
    assert mean == pytest.approx(a / (a + b), abs=1e-6)
    assert beta_below(bounds.low, a, b) == pytest.approx(0.05, abs=0.004)
    assert beta_below(bounds.high, a, b) == pytest.approx(0.95, abs=0.004)


def beta_below(p: float, a: int, b: int, steps: int = 20_000) -> float:
    """Integrate the density of Beta(a, b) up to p by midpoints."""
    scale = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    points = ((step + 0.5) * p / steps for step in range(steps))
    return math.fsum(math.exp(scale + (a - 1) * math.log(x) + (b - 1) * math.log1p(-x)) for x in points) * (
        p / steps
    )
