"""Digests against their floor, ``hashlib.file_digest``: in the same run, taken in turn on the same files."""

from __future__ import annotations

import hashlib
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kfm_repro.runs.hashing import digest_file, digest_many

_LARGE = 16 << 20
_ROUNDS = 45
_FILES = 20_000
_FOLDER = 1_000
_SMALL_ROUNDS = 15


def _floor(paths: Sequence[Path]) -> list[str]:
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, scale: int) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.bin"
    block = random.Random(1).randbytes(_LARGE)  # noqa: S311 - bytes to hash, no secret
    with path.open("wb") as file:
        for _ in range(scale):
            file.write(block)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, scale: int) -> list[Path]:
    folder, draw = tmp_path_factory.mktemp("small"), random.Random(2)  # noqa: S311 - sizes, no secret
    return list(_small_files(folder, draw, _FILES * scale))


def _small_files(folder: Path, draw: random.Random, count: int) -> Iterator[Path]:
    for number in range(count):
        path = folder / f"{number // _FOLDER:03d}" / f"{number:06d}.bin"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(draw.randbytes(draw.randint(200, 8 << 10)))
        yield path


def test_one_large_file_against_file_digest(
    benchmark: Callable[..., Any],
    large: Path,
    timed: Callable[..., float],
    promise: Callable[..., None],
) -> None:
    """Ours makes two digests in one read, the floor one."""
    assert digest_file(large).sha256 == _floor([large])[0]
    pairs = [(timed(lambda: _floor([large])), timed(lambda: digest_file(large))) for _ in range(_ROUNDS)]
    benchmark.pedantic(digest_file, (large,), rounds=3)  # type: ignore[attr-defined]
    ratio = statistics.median(floor / ours for floor, ours in pairs)
    what = f"file_digest (sha256) / ours (sha256 and xxh3), {large.stat().st_size >> 20} MiB"
    speed = large.stat().st_size / statistics.median(ours for _, ours in pairs) / 1e6
    promise(what, ratio, at_least=0.9, detail=f"{speed:.0f} MB/s")


def test_many_small_files_against_one_call_each(
    benchmark: Callable[..., Any],
    small: list[Path],
    timed: Callable[..., float],
    promise: Callable[..., None],
) -> None:
    assert [digest.sha256 for digest in digest_many(small)] == _floor(small)
    pairs = [(timed(lambda: _floor(small)), timed(lambda: digest_many(small))) for _ in range(_SMALL_ROUNDS)]
    benchmark.pedantic(digest_many, (small,), rounds=3)  # type: ignore[attr-defined]
    ratio = statistics.median(floor / ours for floor, ours in pairs)
    micros = statistics.median(ours for _, ours in pairs) / len(small) * 1e6
    what = f"file_digest each / digest_many, {len(small)} files of 0.2 to 8 KB"
    promise(what, ratio, at_least=2.0, detail=f"{micros:.1f} µs per file")
