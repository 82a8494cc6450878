"""The object store (rule 10): what it gives out is what its names say, whoever writes and whatever breaks."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keeping import Shelf, shelf

from kfm_repro.runs.copying import copy_file
from kfm_repro.runs.objects import ObjectStore


@pytest.fixture
def kept(tmp_path: Path) -> Shelf:
    return shelf(tmp_path)


def test_rule_10_objects_are_read_only_copies_not_links(kept: Shelf) -> None:
    sha256 = kept.keep(b"bytes")
    path = kept.object_path(sha256)
    assert path.stat().st_mode & 0o222 == 0
    assert path.stat().st_nlink == 1
    (kept.project.root / "source.bin").write_bytes(b"written over")
    assert kept.store.find(sha256) == path
    assert path.read_bytes() == b"bytes"


def test_rule_10_bytes_that_are_not_what_they_claim_are_not_kept(kept: Shelf) -> None:
    source = kept.project.root / "source.bin"
    source.write_bytes(b"other bytes")
    sha256 = hashlib.sha256(b"bytes").hexdigest()
    assert not kept.store.add(source, sha256)
    assert not kept.store.has(sha256)
    assert [path for path in (kept.project.runs / ".objects").rglob("*") if path.is_file()] == [
        kept.project.runs / ".objects/.lock"
    ]


def damage(kept: Shelf, sha256: str, content: bytes) -> None:
    path = kept.object_path(sha256)
    path.chmod(0o644)
    path.write_bytes(content)


@pytest.mark.parametrize("content", [b"bytes!", b"Bytes", b"", b"byte"])
def test_rule_10_a_damaged_object_is_named_and_never_given_out(kept: Shelf, content: bytes) -> None:
    sha256 = kept.keep(b"bytes")
    damage(kept, sha256, content)
    assert kept.store.find(sha256) is None
    assert not kept.store.has(sha256)
    assert kept.store.is_damaged(sha256)
    assert kept.store.damaged() == (sha256,)


@pytest.mark.parametrize("found_first", [True, False])
def test_rule_10_a_damaged_object_is_put_back_by_good_bytes(kept: Shelf, *, found_first: bool) -> None:
    sha256 = kept.keep(b"bytes")
    damage(kept, sha256, b"Bytes")
    if found_first:
        assert kept.store.find(sha256) is None
    kept.keep(b"bytes")
    found = kept.store.find(sha256)
    assert found is not None
    assert found.read_bytes() == b"bytes"
    assert kept.store.damaged() == ()


def test_rule_10_the_cap_takes_the_oldest_unneeded_first_and_never_a_needed_one(kept: Shelf) -> None:
    names = [kept.keep(bytes([n]) * 100) for n in range(6)]
    for age, name in enumerate(reversed(names)):
        os.utime(kept.object_path(name), (1_000 - age, 1_000 - age))
    done = kept.store.collect({names[0], names[2]}, before=2_000, down_to=350)
    assert done.removed == tuple(sorted([names[1], names[3], names[4]]))
    assert (done.freed_bytes, done.left, done.left_bytes) == (300, 3, 300)
    assert kept.store.collect({names[0], names[2]}, before=2_000, down_to=0).removed == (names[5],)
    assert kept.store.collect({names[0], names[2]}, before=2_000, down_to=0).left_bytes == 200


def test_an_object_that_is_added_again_is_new_again(kept: Shelf) -> None:
    sha256 = kept.keep(b"bytes")
    kept.age()
    kept.keep(b"bytes")
    assert kept.store.collect(set(), before=time.time() - 3_600).removed == ()
    kept.age()
    assert kept.store.collect(set(), before=time.time() - 3_600).removed == (sha256,)


def add_many(root: Path, names: list[str]) -> None:
    store = ObjectStore(root / "data/work/runs")
    for _ in range(30):
        for name in names:
            assert store.add(root / f"{name}.bin", name)
            store.collect({n for n in names if n != names[-1]}, before=time.time() + 60)


def test_rule_10_concurrent_writers_and_collectors_leave_every_needed_object_sound(kept: Shelf) -> None:
    root = kept.project.root
    names = []
    for n in range(5):
        content = bytes([n]) * 50_000
        names.append(hashlib.sha256(content).hexdigest())
        (root / f"{names[-1]}.bin").write_bytes(content)
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=add_many, args=(root, names)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=120)
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert kept.sound_digests() >= set(names[:-1])
    assert not list((kept.project.runs / ".objects").rglob("*.part"))


WRITER = """
import sys, pathlib
from kfm_repro.runs import objects
def block(source, writer):
    writer.write(b"half"); writer.flush()
    print("writing", flush=True); sys.stdin.read()
objects.copy_into = block
objects.ObjectStore(pathlib.Path(sys.argv[1])).add(pathlib.Path(sys.argv[2]), "0" * 64)
"""


def test_part_files_of_killed_writers_are_cleaned_and_those_of_living_ones_not(kept: Shelf) -> None:
    command = [sys.executable, "-c", WRITER, str(kept.project.runs), __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "writing\n"
        (part,) = (kept.project.runs / ".objects").rglob("*.part")
        assert kept.store.clean(before=0) == 0
        assert part.exists()
        writer.send_signal(signal.SIGKILL)
        writer.wait()
    assert part.exists()
    assert kept.store.clean(before=0) == 1
    assert not part.exists()


@settings(max_examples=40, deadline=None)
@given(contents=st.lists(st.binary(max_size=40), max_size=6), flips=st.lists(st.integers(0, 300), max_size=4))
def test_rule_10_whatever_bits_flip_find_gives_the_named_bytes_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes], flips: list[int]
) -> None:
    kept = shelf(tmp_path_factory.mktemp("store"))
    names = [kept.keep(content) for content in contents]
    for flip in flips:
        path = kept.object_path(names[flip % len(names)]) if names else None
        if path is not None and path.is_file() and path.stat().st_size:
            content = bytearray(path.read_bytes())
            content[flip % len(content)] ^= 1 << (flip % 8)
            path.chmod(0o644)
            path.write_bytes(content)
    for name, content in zip(names, contents, strict=True):
        found = kept.store.find(name)
        assert found is None or found.read_bytes() == content


def sources(kept: Shelf, contents: list[bytes]) -> list[tuple[Path, str]]:
    folder = kept.project.root / "sources"
    folder.mkdir()
    made = []
    for number, content in enumerate(contents):
        path = folder / f"{number}.bin"
        path.write_bytes(content)
        made.append((path, hashlib.sha256(content).hexdigest()))
    return made


@settings(max_examples=15)
@given(contents=st.lists(st.binary(max_size=40), max_size=300))
def test_rule_10_many_objects_added_together_are_those_added_one_by_one(
    tmp_path_factory: pytest.TempPathFactory, contents: list[bytes]
) -> None:
    together, alone = (shelf(tmp_path_factory.mktemp(name)) for name in ("together", "alone"))
    for source, sha256 in sources(alone, contents):
        assert alone.store.add(source, sha256)
    assert together.store.add_all(sources(together, contents)) == ()
    kinds = [
        [
            (item.sha256, item.size_bytes, one.object_path(item.sha256).stat().st_mode)
            for item in one.store.objects()
        ]
        for one in (together, alone)
    ]
    assert kinds[0] == kinds[1]
    names = [sha256 for _, sha256 in sources_of(contents)]
    assert {name: path.read_bytes() for name, (path, _) in together.store.find_all(names).items()} == dict(
        zip(names, contents, strict=True)
    )


def sources_of(contents: list[bytes]) -> list[tuple[bytes, str]]:
    return [(content, hashlib.sha256(content).hexdigest()) for content in contents]


def test_rule_10_among_many_the_wrong_the_damaged_and_the_old_are_each_told_apart(kept: Shelf) -> None:
    made = sources(kept, [b"new", b"changed", b"damaged", b"old", b"again", b"again"])
    made[1][0].write_bytes(b"written over meanwhile")
    for name in ("damaged", "old"):
        kept.keep(name.encode())
    damage(kept, made[2][1], b"Damaged")
    os.utime(kept.object_path(made[3][1]), (1_000, 1_000))
    assert kept.store.add_all(made) == (made[1][0],)
    assert not kept.store.has(made[1][1])
    assert [path.name for path in (kept.project.runs / ".objects").rglob("*.part")] == []
    assert kept.store.damaged() == ()
    assert [item.added > 1_000 for item in kept.store.objects()] == [True] * 4
    assert {path.read_bytes() for path, _ in kept.store.find_all([name for _, name in made]).values()} == {
        b"new", b"damaged", b"old", b"again",
    }  # fmt: skip


def test_rule_10_a_source_that_cannot_be_read_among_many_leaves_no_part_behind(kept: Shelf) -> None:
    made = sources(kept, [b"one", b"two"])
    made[1][0].unlink()
    with pytest.raises(FileNotFoundError, match=r"1\.bin"):
        kept.store.add_all(made)
    assert list((kept.project.runs / ".objects").rglob("*.part")) == []


def test_rule_10_a_copy_is_named_by_the_bytes_that_it_holds(tmp_path: Path) -> None:
    for size in (0, 1, (1 << 17) - 1, 1 << 17, (1 << 17) + 1, 1_000_003):
        source, target = tmp_path / f"{size}.bin", tmp_path / f"{size}.copy"
        source.write_bytes(os.urandom(size))
        assert copy_file(source, target) == hashlib.sha256(target.read_bytes()).hexdigest()
        assert target.read_bytes() == source.read_bytes()
