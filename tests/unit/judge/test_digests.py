"""Digests of two files taken on threads of their own are those of the whole files, whatever they have in common."""

from __future__ import annotations

import hashlib
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from kfm_repro.judge import digests
from kfm_repro.judge.digests import Digests, begin_ahead

_MANY = b"".join(b"%d,row %d\n" % (i, i) for i in range(600_000))


def _pair(folder: Path, a: bytes, b: bytes) -> tuple[Path, Path]:
    sides = folder / "a.bin", folder / "b.bin"
    for path, data in zip(sides, (a, b), strict=True):
        path.write_bytes(data)
    return sides


def _facts(data: bytes) -> tuple[str, int]:
    return hashlib.sha256(data).hexdigest(), len(data)


@pytest.mark.parametrize(
    "at", [0, 100, 1 << 17, (1 << 20) - 1, 1 << 20, 5 << 20, 9 << 20, len(_MANY) - 1, None]
)
def test_what_both_begin_with_is_digested_once(tmp_path: Path, at: int | None) -> None:
    changed = _MANY if at is None else _MANY[:at] + b"#" + _MANY[at + 1 :]
    with Digests(*_pair(tmp_path, _MANY, changed)) as found:
        assert found.are_equal() is (at is None)
        assert [found.of(side) for side in (0, 1)] == [_facts(_MANY), _facts(changed)]
        shared = 0 if at is None or at < digests._GLANCE else at // digests._BLOCK * digests._BLOCK
        assert at is None or found._size == shared


@pytest.mark.parametrize("length", [0, 1, 1 << 20, len(_MANY) - 1])
def test_files_of_other_sizes(tmp_path: Path, length: int) -> None:
    with Digests(*_pair(tmp_path, _MANY, _MANY[:length])) as found:
        assert not found.are_equal()
        assert [found.of(side) for side in (0, 1)] == [_facts(_MANY), _facts(_MANY[:length])]


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
    a, b = _pair(tmp_path, _MANY, _MANY if same else _MANY[:-2] + b"#\n")

    def sparing(path: Path, mode: str, buffering: int) -> Any:
        return _Sparing(path) if path == a else path.open(mode, buffering)

    monkeypatch.setattr(digests, "open", sparing, raising=False)
    with Digests(a, b) as found:
        assert found.are_equal() is same
        assert found.of(0) == _facts(_MANY)


def test_one_that_cannot_be_read_is_an_error_of_that_one(tmp_path: Path) -> None:
    a, b = _pair(tmp_path, _MANY, _MANY)
    b.unlink()
    with Digests(a, b) as found:
        assert not found.are_equal()
        assert found.of(0) == _facts(_MANY)
        with pytest.raises(FileNotFoundError):
            found.of(1)


def test_nothing_goes_on_once_nobody_wants_it(tmp_path: Path) -> None:
    interval = sys.getswitchinterval()
    found = Digests(*_pair(tmp_path, _MANY, _MANY))
    found.stop()
    found.stop()
    assert not any(thread.is_alive() for thread in found._threads)
    assert sys.getswitchinterval() == interval


def test_two_large_files_of_a_command_line_are_begun_with(tmp_path: Path) -> None:
    a, b = map(str, _pair(tmp_path, _MANY, _MANY))
    small = tmp_path / "settings.yaml"
    small.write_text("version: 1\n")
    begun = begin_ahead(["diff", "--key", "id", a, b, "--root", str(small), "no such\0file"])
    assert begun is not None
    with begun:
        assert (begun.paths, begun.of(1)) == ((a, b), _facts(_MANY))


@pytest.mark.parametrize("sides", [0, 1, 3])
def test_another_command_or_number_of_files_begins_nothing(tmp_path: Path, sides: int) -> None:
    a, b = map(str, _pair(tmp_path, _MANY, _MANY))
    assert begin_ahead(["diff", *[a] * sides]) is None
    assert begin_ahead(["verify", a, b]) is None
    assert begin_ahead([]) is None
    os.mkfifo(tmp_path / "pipe")
    assert begin_ahead(["diff", a, str(tmp_path / "pipe")]) is None
