"""Digests against their floor, ``hashlib.file_digest``: in the same run, taken in turn on the same files."""

from __future__ import annotations

import hashlib
import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kfm_repro.runs.hashing import digest_file, digest_many

_LARGE = 16 << 20
_ROUNDS = 45
_LARGE_LIMIT = 0.9
"""Ours makes two digests in one read, the floor one: it must reach this part of the floor's speed."""
_FILES = 20_000
_SLICE = 1_000
_SMALL_LIMIT = 2.0


def _floor(paths: Sequence[Path]) -> list[str]:
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("large") / "large.bin"
    path.write_bytes(random.Random(1).randbytes(_LARGE))  # noqa: S311 - bytes to hash, no secret
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, draw = tmp_path_factory.mktemp("small"), random.Random(2)  # noqa: S311 - sizes, no secret
    return list(_small_files(folder, draw))


def _small_files(folder: Path, draw: random.Random) -> Iterator[Path]:
    for number in range(_FILES):
        path = folder / f"{number // _SLICE:02d}" / f"{number:05d}.bin"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(draw.randbytes(draw.randint(200, 8 << 10)))
        yield path


def test_one_large_file_against_file_digest(benchmark: Callable[..., Any], large: Path, capsys: Any) -> None:  # noqa: ANN401
    assert digest_file(large).sha256 == _floor([large])[0]
    pairs = [
        (_seconds(lambda: _floor([large])), _seconds(lambda: digest_file(large))) for _ in range(_ROUNDS)
    ]
    ratio = statistics.median(floor / ours for floor, ours in pairs)
    benchmark(digest_file, large)
    with capsys.disabled():
        print(  # noqa: T201
            f"\ndigest_file (sha256 and xxh3) / file_digest (sha256), {_LARGE >> 20} MiB: "
            f"{ratio:.2f} of its speed (limit {_LARGE_LIMIT})"
        )
    assert ratio >= _LARGE_LIMIT


def test_many_small_files_against_one_call_each(
    benchmark: Callable[..., Any],
    small: list[Path],
    capsys: Any,  # noqa: ANN401
) -> None:
    assert [digest.sha256 for digest in digest_many(small)] == _floor(small)
    slices = [small[start : start + _SLICE] for start in range(0, _FILES, _SLICE)]
    pairs = [
        (_seconds(lambda part=part: _floor(part)), _seconds(lambda part=part: digest_many(part)))  # type: ignore[misc]
        for part in slices
    ]
    ratio = statistics.median(floor / ours for floor, ours in pairs)
    benchmark.pedantic(digest_many, (small,), rounds=3)  # type: ignore[attr-defined]
    with capsys.disabled():
        micros = statistics.median(ours for _, ours in pairs) / _SLICE * 1e6
        print(  # noqa: T201
            f"\nfile_digest each / digest_many, {_FILES} files of 0.2 to 8 KB: "
            f"{ratio:.2f} times as fast (limit {_SMALL_LIMIT}; {micros:.1f} µs per file)"
        )
    assert ratio >= _SMALL_LIMIT
