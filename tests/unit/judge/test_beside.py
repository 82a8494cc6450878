"""Large files are digested while they are compared: what is said of them holds all the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from kfm_repro.errors import UsageError
from kfm_repro.judge import beside
from kfm_repro.judge.diff import compare_paths
from kfm_repro.judge.digests import Digests
from kfm_repro.model.finding import OutputComparison

_ROWS = b"id,name\n" + b"".join(b"%d,row %d\n" % (i, i) for i in range(80_000))


def _pair(folder: Path, b: bytes) -> tuple[Path, Path]:
    sides = folder / "a.csv", folder / "b.csv"
    for path, data in zip(sides, (_ROWS, b), strict=True):
        path.write_bytes(data)
    assert beside.are_large(*sides)
    return sides


def _compared(a: Path, b: Path) -> OutputComparison:
    (output,) = compare_paths(a, b).outputs
    return output


def test_both_sides_have_their_digests_and_sizes(tmp_path: Path) -> None:
    changed = _ROWS.replace(b"row 70000\n", b"row 7\n")
    a, b = _pair(tmp_path, changed)
    output = _compared(a, b)
    for facts, data in ((output.a, _ROWS), (output.b, changed)):
        assert facts is not None
        assert (facts.sha256, facts.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))
    assert (output.verdict, output.findings[0].count) == ("different", 1)


def test_files_of_the_same_bytes_are_identical(tmp_path: Path) -> None:
    output = _compared(*_pair(tmp_path, _ROWS))
    assert output.verdict == "identical"
    assert output.a == output.b
    assert output.a is not None
    assert output.a.sha256 == hashlib.sha256(_ROWS).hexdigest()


def test_a_file_that_is_written_meanwhile_is_neither_equal_nor_different(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = _pair(tmp_path, _ROWS.replace(b"row 1\n", b"row 2\n"))

    class AndMended(Digests):
        def are_equal(self) -> bool:
            found = super().are_equal()
            b.write_bytes(_ROWS)
            return found

    monkeypatch.setattr(beside, "Digests", AndMended)
    output = _compared(a, b)
    assert output.verdict == "unknown"
    assert "still wrote to the file" in output.findings[0].evidence


def test_one_that_goes_away_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = _pair(tmp_path, _ROWS)

    class AndGone(Digests):
        def are_equal(self) -> bool:
            found = super().are_equal()
            b.unlink()
            return found

    monkeypatch.setattr(beside, "Digests", AndGone)
    with pytest.raises(UsageError, match=r"cannot be read: .*b\.csv"):
        compare_paths(a, b)


def test_digests_of_other_files_are_not_taken_for_theirs(tmp_path: Path) -> None:
    a, b = _pair(tmp_path, _ROWS.replace(b"row 1\n", b"row 2\n"))
    begun = Digests(b, b)
    (output,) = compare_paths(a, b, begun=begun).outputs
    assert output.a is not None
    assert output.a.sha256 == hashlib.sha256(_ROWS).hexdigest()
    begun.stop()
