"""Two databases and the logs beside them: the newest rows of a database may lie in its log alone."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from kfm_repro.judge.diff import compare_paths

LARGE = 1_200_000


@pytest.fixture(params=[0, LARGE], ids=["small", "large"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, Path]:
    """Two databases of the same bytes; every row that was written since lies in the log of B."""
    a, b = tmp_path / "A" / "x.db", tmp_path / "B" / "y.db"
    for path in (a, b):
        path.parent.mkdir()
    other = sqlite3.connect(tmp_path / "open.db")
    other.execute("pragma journal_mode = wal")
    other.execute("create table t(a, filling)")
    other.execute("insert into t values (1, zeroblob(?))", (request.param,))
    other.commit()
    other.execute("pragma wal_checkpoint(truncate)")
    shutil.copy(tmp_path / "open.db", a)
    other.execute("insert into t values (2, null)")
    other.commit()
    for end in ("", "-wal"):
        shutil.copy(tmp_path / f"open.db{end}", f"{b}{end}")
    other.close()
    assert a.read_bytes() == b.read_bytes()
    return a, b


def verdicts(a: Path, b: Path) -> dict[str, str]:
    return {output.path: str(output.verdict) for output in compare_paths(a, b).outputs}


def test_rows_in_the_log_of_one_side_are_no_equality(pair: tuple[Path, Path]) -> None:
    a, b = pair
    assert verdicts(a, b) == {"x.db": "identical", "x.db-wal": "extra"}
    assert verdicts(b, a) == {"y.db": "identical", "y.db-wal": "missing"}


def test_two_logs_are_compared(pair: tuple[Path, Path]) -> None:
    a, b = pair
    log = Path(f"{a}-wal")
    shutil.copy(f"{b}-wal", log)
    assert verdicts(a, b) == {"x.db": "identical", "x.db-wal": "identical"}
    log.write_bytes(log.read_bytes()[:-1] + b"!")
    assert verdicts(a, b)["x.db-wal"] == "different"


def test_a_log_that_was_emptied_or_played_back_says_nothing(pair: tuple[Path, Path]) -> None:
    a, b = pair
    Path(f"{b}-wal").write_bytes(b"")
    Path(f"{b}-journal").write_bytes(bytes(512))
    assert verdicts(a, b) == {"x.db": "identical"}
    Path(f"{b}-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(504))
    assert verdicts(a, b) == {"x.db": "identical", "x.db-journal": "extra"}
