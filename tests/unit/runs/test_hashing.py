"""Digests: exact for every size, in the order asked for, whichever way the bytes were read."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfm_repro.runs import hashing
from kfm_repro.runs.copying import copy_file
from kfm_repro.runs.hash_process import HashProcess, Record
from kfm_repro.runs.hashing import Digest, digest_file, digest_many

EDGES = [0, 1, 4095, 4096, 4097, (1 << 16) - 1, 1 << 16, (1 << 16) + 1, 1 << 17, (1 << 17) + 4096, 300_000]


def written(folder: Path, sizes: Iterable[int]) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = []
    for number, size in enumerate(sizes):
        path = folder / f"{number}.bin"
        path.write_bytes(random.Random(number).randbytes(size))  # noqa: S311 - bytes to hash, no secret
        paths.append(path)
    return paths


def expected(path: Path) -> Digest:
    data = path.read_bytes()
    return Digest(hashlib.sha256(data).hexdigest(), xxhash.xxh3_128(data).hexdigest(), len(data))


@pytest.mark.parametrize("size", EDGES)
def test_a_digest_is_that_of_all_bytes_at_every_edge_of_a_block(tmp_path: Path, size: int) -> None:
    (path,) = written(tmp_path, [size])
    assert digest_file(path) == digest_many([path])[0] == expected(path)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.one_of(st.integers(0, 9_000), st.sampled_from(EDGES)), max_size=12))
def test_many_digests_come_in_the_order_of_the_paths(tmp_path: Path, sizes: list[int]) -> None:
    paths = written(tmp_path / "many", sizes)
    assert digest_many(paths) == [expected(path) for path in paths]


def test_files_that_are_not_in_memory_are_digested_by_threads_in_the_same_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = written(tmp_path, ((number * 37) % 5_000 for number in range(700)))
    paths.insert(300, written(tmp_path / "large", [400_000])[0])
    waited = iter(range(0, 10**6, 10**4))
    monkeypatch.setattr(hashing, "_sleeps", lambda: next(waited))
    assert digest_many(paths) == [expected(path) for path in paths]


def test_the_first_unreadable_path_in_order_is_the_one_that_is_named(tmp_path: Path) -> None:
    paths = written(tmp_path, [10, 100_000, 10, 10])
    paths[2:2] = [tmp_path / "gone-first", tmp_path / "gone-second"]
    with pytest.raises(FileNotFoundError) as caught:
        digest_many(paths)
    assert caught.value.filename == str(tmp_path / "gone-first")


@pytest.fixture
def helped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let another process take part although the files are few; return how many files each of its answers held."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("one core: nothing else takes part")
    answered: list[int] = []
    monkeypatch.setattr(hashing, "_MANY", 1)
    monkeypatch.setattr(hashing, "_CHUNK", 8)
    take = HashProcess.answers

    def answers(helper: HashProcess, *, wait: bool) -> Iterator[tuple[int, list[Record]]]:
        for start, records in take(helper, wait=wait):
            answered.append(sum(record[0] for record in records))
            yield start, records

    monkeypatch.setattr(HashProcess, "answers", answers)
    return answered


def test_another_process_takes_part_and_leaves_the_large_ones(tmp_path: Path, helped: list[int]) -> None:
    sizes = [*((number * 997) % 70_000 for number in range(100)), 70_000, 300_000, *EDGES]
    paths = written(tmp_path / "ä \n", sizes)
    assert digest_many(paths) == [expected(path) for path in paths]
    assert sum(helped) > 0


def test_what_another_process_cannot_read_is_named_in_order(tmp_path: Path, helped: list[int]) -> None:
    paths = written(tmp_path, [10] * 60)
    paths[57:57] = [tmp_path / "gone-first", tmp_path / "gone-second"]
    with pytest.raises(FileNotFoundError) as caught:
        digest_many(paths)
    assert caught.value.filename == str(tmp_path / "gone-first")
    assert sum(helped) > 0


def test_a_process_that_ends_early_costs_nothing_but_time(
    tmp_path: Path, helped: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = HashProcess.ask

    def killed_after_asking(helper: HashProcess, start: int, paths: Sequence[Path]) -> None:
        ask(helper, start, paths)
        helper._process.kill()
        helper._process.wait()

    monkeypatch.setattr(HashProcess, "ask", killed_after_asking)
    paths = written(tmp_path, [10] * 60)
    assert digest_many(paths) == [expected(path) for path in paths]
    assert helped == []


def test_a_folder_among_the_paths_is_named(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as caught:
        digest_many([*written(tmp_path, [5]), tmp_path])
    assert caught.value.filename == str(tmp_path)


def test_files_whose_size_is_not_known_before_are_read_to_their_end() -> None:
    path = Path("/proc/self/mountinfo")
    if not path.exists():
        pytest.skip("no /proc here")
    assert path.stat().st_size == 0
    assert digest_file(path) == digest_many([path])[0]
    assert digest_file(path).size_bytes > 0


def bytes_read() -> int:
    """Return how many bytes this process has asked the system to read so far, in all of its threads."""
    text = Path("/proc/self/io").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("rchar:"))


@pytest.mark.skipif(
    not Path("/proc/self/io").exists(), reason="this system does not count what a process reads"
)
def test_each_file_is_read_once_for_both_of_its_digests_and_for_its_copy(tmp_path: Path) -> None:
    large, *small = written(tmp_path, [8_000_000, *[4_000] * 1_000])
    slack = 400_000  # our own questions, and what the test runner says to its workers meanwhile
    for work, size in (
        (lambda: digest_file(large), 8_000_000),
        (lambda: digest_many(small), 4_000_000),
        (lambda: digest_many([*small, large]), 12_000_000),
        (lambda: copy_file(large, tmp_path / "copy"), 8_000_000),
    ):
        before = bytes_read()
        work()
        assert size <= bytes_read() - before < size + slack
