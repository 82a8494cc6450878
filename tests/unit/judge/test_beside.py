"""Large files are digested while they are compared: what is said of them holds all the same."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any

import pytest

from kfm_repro.errors import UsageError
from kfm_repro.judge import beside
from kfm_repro.judge.diff import compare_paths
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


@pytest.mark.parametrize("blocks", [0, 1, 5, 9])
def test_what_both_begin_with_is_digested_once(tmp_path: Path, blocks: int) -> None:
    many = _ROWS * 8
    at = blocks * beside._BLOCK + 7
    changed = many[:at] + b"#" + many[at + 1 :]
    a, b = tmp_path / "a.bin", tmp_path / "b.bin"
    a.write_bytes(many)
    b.write_bytes(changed)
    begun = beside._same_beginning(a, b)
    assert (begun.size, begun.whole) == (blocks * beside._BLOCK, False)
    output = _compared(a, b)
    for facts, data in ((output.a, many), (output.b, changed)):
        assert facts is not None
        assert (facts.sha256, facts.size_bytes) == (hashlib.sha256(data).hexdigest(), len(data))


class _Sparing(io.FileIO):
    """Reads less than it is asked for, as files on a network may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 0, 1_000))

    def readinto(self, buffer: Any, /) -> int:
        return super().readinto(memoryview(buffer)[:300_001])


@pytest.mark.parametrize("same", [True, False])
def test_reads_that_bring_less_than_asked_for_change_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    same: bool,  # noqa: FBT001
) -> None:
    a, b = _pair(tmp_path, _ROWS if same else _ROWS[:-2] + b"#\n")
    plain = Path.open

    def sparing(path: Path, *args: Any, **kwargs: Any) -> Any:
        return _Sparing(path) if path == a and args == ("rb",) else plain(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", sparing)
    begun = beside._same_beginning(a, b)
    monkeypatch.undo()
    assert begun.whole is same


def test_a_file_that_is_written_meanwhile_is_neither_equal_nor_different(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = _pair(tmp_path, _ROWS.replace(b"row 1\n", b"row 2\n"))

    begin = beside._same_beginning

    def and_mended(left: Path, right: Path) -> beside._Beginning:
        found = begin(left, right)
        right.write_bytes(_ROWS)
        return found

    monkeypatch.setattr(beside, "_same_beginning", and_mended)
    output = _compared(a, b)
    assert output.verdict == "unknown"
    assert "still wrote to the file" in output.findings[0].evidence


def test_one_that_goes_away_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = _pair(tmp_path, _ROWS)

    begin = beside._same_beginning

    def gone(left: Path, right: Path) -> beside._Beginning:
        found = begin(left, right)
        right.unlink()
        return found

    monkeypatch.setattr(beside, "_same_beginning", gone)
    with pytest.raises(UsageError, match=r"cannot be read: .*b\.csv"):
        compare_paths(a, b)
