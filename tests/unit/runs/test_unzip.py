"""Hostile packs: each is refused with one clear error, and nothing is left of it (rule 18)."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keeping import Shelf, shelf
from workshop import Workshop

from kfm_repro.cli import main
from kfm_repro.errors import BadPack, KfmReproError, NotWritable
from kfm_repro.judge.pack import PackRequest, pack_run
from kfm_repro.judge.unpack import unpack
from kfm_repro.runs.trust import is_foreign
from kfm_repro.runs.unzip import Limits

Members = dict[str, bytes]
LIST = "kfm-repro-pack.json"


def zipped(
    members: Members, change: Callable[[zipfile.ZipInfo], None] = lambda _: None, **extra: Any
) -> bytes:
    """Return a pack of ``members`` whose list agrees with them; ``extra`` changes the list."""
    facts = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
        for name, content in members.items()
    }
    listed = {
        "schema": "kfm-repro.pack/1", "pipeline": "job", "run_id": "run000", "contents": ["record"], "files": facts,
    }  # fmt: skip
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(LIST, json.dumps(listed | extra))
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            change(info)
            archive.writestr(info, content, compress_type=info.compress_type)
    return target.getvalue()


def renamed(content: bytes, old: bytes, new: bytes) -> bytes:
    """Return a zip with a name of the same length put in place of another, in both directories and the list."""
    assert len(old) == len(new)
    assert content.count(old) >= 2
    return content.replace(old, new)


def link(info: zipfile.ZipInfo) -> None:
    if info.filename == "run/logs/stderr.log":
        info.external_attr = (stat.S_IFLNK | 0o777) << 16


def fifo(info: zipfile.ZipInfo) -> None:
    if info.filename == "run/logs/stderr.log":
        info.external_attr = (stat.S_IFIFO | 0o644) << 16


def squeezed(info: zipfile.ZipInfo) -> None:
    info.compress_type = zipfile.ZIP_DEFLATED


def odd_method(info: zipfile.ZipInfo) -> None:
    info.compress_type = zipfile.ZIP_LZMA


def encrypted(content: bytes) -> bytes:
    """Return a zip whose last member says that it is encrypted, in both places."""
    at = content.rfind(b"PK\x01\x02")
    content = content[: at + 8] + b"\x01\x00" + content[at + 10 :]
    (where,) = struct.unpack("<I", content[at + 42 : at + 46])
    return content[: where + 6] + b"\x01\x00" + content[where + 8 :]


def lying_size(content: bytes) -> bytes:
    """Return a zip whose last member claims to be five gigabytes long."""
    at = content.rfind(b"PK\x01\x02")
    return content[: at + 24] + struct.pack("<I", 0xFFFF_0000) + content[at + 28 :]


def many_claimed(content: bytes) -> bytes:
    """Return a zip whose end says that its directory has four gigabytes."""
    at = content.rfind(b"PK\x05\x06")
    return content[: at + 12] + struct.pack("<I", 0xFFFF_FFF0) + content[at + 16 :]


def many_claimed_64(content: bytes) -> bytes:
    """Return a zip with a 64-bit end that claims ten billion members."""
    at = content.rfind(b"PK\x05\x06")
    end = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**10, 10**10, 10**12, 0)
    return content[:at] + end + struct.pack("<4sIQI", b"PK\x06\x07", 0, at, 1) + content[at:]


def central(content: bytes, name: bytes) -> int:
    """Return where the directory entry of a member begins."""
    return content.rindex(name) - 46


def wrong_crc(content: bytes) -> bytes:
    """Return a zip whose last member has another checksum, in both places, and is otherwise good."""
    at = content.rfind(b"PK\x01\x02")
    content = content[: at + 16] + b"\x01\x02\x03\x04" + content[at + 20 :]
    (where,) = struct.unpack("<I", content[at + 42 : at + 46])
    return content[: where + 14] + b"\x01\x02\x03\x04" + content[where + 18 :]


def local_name(content: bytes) -> bytes:
    """Return a zip in which a member has another name before its bytes than in the directory."""
    at = content.index(b"run/logs/stderr.log")
    return content[:at] + b"../logs/stderr.logx"[:19] + content[at + 19 :]


def overlapping(members: Members) -> bytes:
    """Return a zip with a member whose bytes lie inside those of another, as bombs have it (Fifield, 2019).

    The inner one is a whole member, header and all, so that every single look at it finds it good.
    """
    inner = b"inner " * 50
    outer = zipped({"run/in.txt": inner})
    start = outer.index(b"PK\x03\x04", 4)
    kernel = outer[start : outer.index(inner) + len(inner)]
    content = zipped(members | {"run/in.txt": inner, "run/logs/out.log": kernel + b"rest"})
    at = central(content, b"run/in.txt")
    where = content.index(kernel + b"rest")
    return content[: at + 42] + struct.pack("<I", where) + content[at + 46 :]


def extra_64(content: bytes, field: bytes) -> bytes:
    """Return a zip whose last member is said to have a 64-bit size, which ``field`` (an extra field) is to tell."""
    at = content.rfind(b"PK\x01\x02")
    name_length, extra_length = struct.unpack("<HH", content[at + 28 : at + 32])
    assert not extra_length
    end = content.rfind(b"PK\x05\x06")
    head = content[at : at + 24] + b"\xff" * 4 + content[at + 28 : at + 30] + struct.pack("<H", len(field))
    entry = head + content[at + 32 : at + 46 + name_length] + field
    (length,) = struct.unpack("<I", content[end + 12 : end + 16])
    last = content[end : end + 12] + struct.pack("<I", length + len(field)) + content[end + 16 :]
    return content[:at] + entry + content[at + 46 + name_length : end] + last


def nested(members: Members) -> bytes:
    """Return a pack whose object is a pack that unpacks to a thousand times as much."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run/bomb", bytes(40 << 20))
    return zipped({LIST.replace("kfm", "old"): target.getvalue()} | members)


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Members:
    """Return the members of a good pack."""
    kept = shelf(tmp_path_factory.mktemp("good"))
    run = kept.run(0)
    run.logs.joinpath("stderr.log").write_text("a log line\n" * 3, encoding="utf-8")
    target = kept.project.root / "good.zip"
    pack_run(kept.project, "run000", PackRequest(output=target, with_outputs=True))
    with zipfile.ZipFile(target) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != LIST}


def with_name(name: str) -> Callable[[Members], bytes]:
    return lambda members: zipped(members | {name: b"content"})


def swapped(old: str, new: str) -> Callable[[Members], bytes]:
    """Build a pack with the member ``old`` and change its name afterwards, where a library would mend it."""
    return lambda members: renamed(zipped(members | {old: b"content"}), old.encode(), new.encode())


def doubled(members: Members) -> bytes:
    return renamed(
        zipped(members | {"run/logs/stderr.txt": b"x"}), b"run/logs/stderr.txt", b"run/logs/stderr.log"
    )


def status(text: str) -> Callable[[Members], bytes]:
    return lambda members: zipped(
        {k: v for k, v in members.items() if k != "run/_SUCCESS"} | {"run/status.json": text.encode()}
    )


CORPUS: dict[str, tuple[str, Callable[[Members], bytes]]] = {
    "traversal": ("path-unsafe", with_name("run/../../../evil.txt")),
    "traversal at the start": ("path-unsafe", with_name("../evil.txt")),
    "traversal with backslashes": ("path-unsafe", with_name("run/..\\..\\evil.txt")),
    "backslash": ("path-unsafe", with_name("run/a\\b.txt")),
    "absolute": ("path-unsafe", with_name("/evil.txt")),
    "drive": ("path-unsafe", with_name("C:/evil.txt")),
    "home": ("path-unsafe", with_name("~/evil.txt")),
    "dot": ("path-unsafe", with_name("run/./evil.txt")),
    "two slashes": ("path-unsafe", with_name("run//evil.txt")),
    "git's own folder": ("path-unsafe", with_name("run/.git/config")),
    "folder": ("path-unsafe", with_name("run/empty/")),
    "outside the pack's places": ("pack-invalid", with_name("evil.txt")),
    "object that is no digest": ("pack-invalid", with_name("objects/evil")),
    "object with another digest": ("pack-invalid", with_name("objects/" + "0" * 64)),
    "symbolic link": ("path-unsafe", lambda members: zipped(members, link)),
    "named pipe": ("path-unsafe", lambda members: zipped(members, fifo)),
    "bomb": ("limit-exceeded", lambda members: zipped(members | {"run/bomb": bytes(40 << 20)}, squeezed)),
    "more than allowed": ("limit-exceeded", lambda members: zipped(members | {"run/big": bytes(70 << 20)})),
    "lying about its size": ("limit-exceeded", lambda members: lying_size(zipped(members))),
    "odd compression": ("pack-invalid", lambda members: zipped(members, odd_method)),
    "duplicate": ("path-unsafe", doubled),
    "case collision": ("path-unsafe", with_name("run/logs/STDERR.log")),
    "accent collision": (
        "path-unsafe", lambda members: zipped(members | {"run/é": b"", "run/e\u0301": b""}),
    ),
    "file and folder": ("path-unsafe", with_name("run/logs/stderr.log/x")),
    "case collision of folders": ("path-unsafe", with_name("run/LOGS/stderr.log/x")),
    "ligature collision": (
        "path-unsafe", lambda members: zipped(members | {"run/ﬁle": b"", "run/file": b""}),
    ),
    "other name before the bytes": ("pack-invalid", lambda members: local_name(zipped(members))),
    "wrong checksum": ("pack-invalid", lambda members: wrong_crc(zipped(members))),
    "overlapping": ("pack-invalid", overlapping),
    "bytes before the first member": ("pack-invalid", lambda members: b"#!/bin/sh\n" + zipped(members)),
    "bytes behind the directory": ("pack-invalid", lambda members: zipped(members) + b"trailer"),
    "pack in a pack": ("pack-invalid", nested),
    "64-bit size of exabytes": (
        "limit-exceeded", lambda members: extra_64(zipped(members), struct.pack("<HHQ", 1, 8, 1 << 62)),
    ),
    "64-bit size that is cut off": (
        "pack-invalid", lambda members: extra_64(zipped(members), struct.pack("<HHI", 1, 4, 7)),
    ),
    "64-bit size that is missing": ("limit-exceeded", lambda members: extra_64(zipped(members), b"")),
    "encrypted": ("pack-invalid", lambda members: encrypted(zipped(members))),
    "cut off": ("pack-invalid", lambda members: zipped(members)[:-40]),
    "cut off in the middle": ("pack-invalid", lambda members: zipped(members)[: len(zipped(members)) // 2]),
    "beginning lost": ("pack-invalid", lambda members: zipped(members)[100:]),
    "empty": ("pack-invalid", lambda _: b""),
    "no zip": ("pack-invalid", lambda _: b"\x1f\x8b this is something else" * 9),
    "very many members": (
        "limit-exceeded", lambda members: zipped(members | {f"run/{n}": b"" for n in range(2_100)}),
    ),
    "four gigabytes of directory": ("limit-exceeded", lambda members: many_claimed(zipped(members))),
    "ten billion members": ("limit-exceeded", lambda members: many_claimed_64(zipped(members))),
    "NUL in a name": ("path-unsafe", swapped("run/evil.txt_.log", "run/evil.txt\0.log")),
    "line break in a name": ("path-unsafe", with_name("run/a\nb")),
    "escape in a name": ("path-unsafe", with_name("run/\x1b[2J")),
    "direction trick in a name": ("path-unsafe", with_name("run/log\u202etxt.exe")),
    "device": ("path-unsafe", with_name("run/CON")),
    "device with a suffix": ("path-unsafe", with_name("run/logs/nul.json")),
    "trailing dot": ("path-unsafe", with_name("run/logs./x")),
    "alternate stream": ("path-unsafe", with_name("run/run.yaml:evil")),
    "very long name": ("path-unsafe", with_name("run/" + "a" * 300)),
    "no list": ("pack-invalid", lambda members: zipped(members).replace(LIST.encode(), b"kfm-repro-pack.jsoN")),
    "list of another schema": ("pack-invalid", lambda members: zipped(members, schema="kfm-repro.pack/2")),
    "list without files": ("pack-invalid", lambda members: zipped(members, files={})),
    "list that is no list": ("pack-invalid", lambda members: zipped(members, files=7)),
    "bytes that the list does not mean": (
        "pack-invalid",
        lambda members: zipped(members, files={
            name: {"sha256": "0" * 64 if name[:3] == "run" else name[8:], "size_bytes": len(content)}
            for name, content in members.items()
        }),
    ),
    "pipeline that climbs": ("path-unsafe", lambda members: zipped(members, pipeline="..")),
    "pipeline that is a path": ("path-unsafe", lambda members: zipped(members, pipeline="a/b")),
    "pipeline that hides": ("path-unsafe", lambda members: zipped(members, pipeline=".objects")),
    "run id that is a path": ("path-unsafe", lambda members: zipped(members, run_id="../../x")),
    "run id that is a device": ("path-unsafe", lambda members: zipped(members, run_id="NUL")),
    "code that is not there": (
        "pack-invalid", lambda members: zipped(members, code={"commit": "a" * 40, "prefix": ""}),
    ),
    "code at no commit": (
        "pack-invalid", lambda members: zipped(members | {"code.bundle": b"x"}, code={"commit": "--upload-pack=x"}),
    ),
    "code that climbs": (
        "path-unsafe",
        lambda members: zipped(members | {"code.bundle": b"x"}, code={"commit": "a" * 40, "prefix": "../../"}),
    ),
    "code that is no bundle": (
        "pack-invalid", lambda members: zipped(members | {"code.bundle": b"x"}, code={"commit": "a" * 40}),
    ),
    "no record": ("record-invalid", lambda _: zipped({"run/notes.txt": b"x"})),
    "record that is no YAML": ("record-invalid", lambda m: zipped(m | {"run/run.yaml": b"a: [}"})),
    "manifest that climbs": (
        "path-unsafe",
        lambda m: zipped(m | {"run/manifests/outputs.json": b'{"outputs": [{"path": "../../evil"}]}'}),
    ),
    "claims to be running": ("pack-invalid", status('{"state": "running", "pid": 1}')),
}  # fmt: skip
LIMITS = Limits(total_bytes=64 << 20, members=2_000)


def everything(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() if path.is_file() else b"folder"
        for path in root.rglob("*")
        if path.name not in (".lock", ".prune.lock", ".objects") and ".objects" not in path.parts
    }


@pytest.mark.parametrize("name", CORPUS)
@pytest.mark.parametrize("new", [True, False], ids=["new project", "this project"])
def test_rule_18_a_hostile_pack_is_refused_and_leaves_nothing(
    name: str, record: Members, tmp_path: Path, *, new: bool
) -> None:
    code, make = CORPUS[name]
    outside = tmp_path / "outside"
    kept = shelf(outside / "project")
    Workshop(kept.project.root).commit()
    file = tmp_path / "hostile.zip"
    file.write_bytes(make(record))
    before = everything(outside)
    with pytest.raises(KfmReproError) as error:
        unpack(file, outside / "new" if new else None, lambda: kept.project, LIMITS)
    assert error.value.code == code, error.value.message
    assert "\n" not in error.value.message
    assert error.value.hint
    assert everything(outside) == before
    assert not list((kept.project.runs / ".objects").glob("??/*"))


@pytest.mark.parametrize("name", [name for name in CORPUS if name != "very many members"])
def test_a_hostile_pack_is_told_in_one_line_with_a_hint_and_exit_code_2(
    name: str, record: Members, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "hostile.zip"
    file.write_bytes(CORPUS[name][1](record))
    into = tmp_path / "new/and/deep"
    assert main(["unpack", str(file), "--into", str(into), "--max-size", "64 MiB"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    error, hint = err.splitlines()
    assert error.startswith("error: ")
    assert hint.startswith("  hint: ")
    assert err.replace("\n", "").isprintable()
    assert [path.name for path in tmp_path.iterdir()] == ["hostile.zip"]


@pytest.mark.parametrize("what", ["pipeline", "link to nowhere", "runs", "objects", "shard"])
def test_a_file_where_a_folder_is_needed_is_named_and_nothing_is_brought_in(
    what: str, record: Members, tmp_path: Path
) -> None:
    kept = shelf(tmp_path / "project")
    runs = kept.project.runs
    (shard,) = {name[8:10] for name in record if name.startswith("objects/")}
    places = {"runs": runs, "objects": runs / ".objects", "shard": runs / ".objects" / shard}
    place = places.get(what, runs / "job")
    if what == "runs":
        runs.rmdir()
    place.parent.mkdir(exist_ok=True)
    if what == "link to nowhere":
        place.symlink_to(tmp_path / "nowhere")
    else:
        place.write_text("mine")
    file = tmp_path / "good.zip"
    file.write_bytes(zipped(record))
    before = everything(tmp_path)
    with pytest.raises(KfmReproError) as error:
        unpack(file, None, lambda: kept.project, LIMITS)
    assert error.value.code == "not-writable"
    assert str(place) in error.value.message
    assert "\n" not in error.value.message
    assert {path: content for path, content in everything(tmp_path).items() if ".unpack" in path} == {}
    assert everything(tmp_path) == before
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("what", ["job", ".objects", ""])
def test_nothing_is_brought_in_through_a_link_in_the_runs_folder(
    what: str, record: Members, tmp_path: Path
) -> None:
    kept = shelf(tmp_path / "project")
    outside = tmp_path / "outside"
    outside.mkdir()
    place = kept.project.runs / what
    if not what:
        place.rmdir()
    place.symlink_to(outside)
    file = tmp_path / "good.zip"
    file.write_bytes(zipped(record))
    with pytest.raises(NotWritable, match="symbolic link") as error:
        unpack(file, None, lambda: kept.project, LIMITS)
    assert str(place) in error.value.message
    assert list(outside.iterdir()) == []


def test_a_record_with_the_id_of_another_run_is_refused(record: Members, tmp_path: Path) -> None:
    kept = shelf(tmp_path / "project")
    mine = kept.run(0)
    before = everything(mine.path)
    file = tmp_path / "borrowed.zip"
    file.write_bytes(zipped(record, run_id="stranger"))
    with pytest.raises(BadPack, match="run_id 'run000'"):
        unpack(file, None, lambda: kept.project, LIMITS)
    assert kept.names() == ["job/run000"]
    assert everything(mine.path) == before


def test_the_pack_that_the_hostile_ones_are_made_from_is_good(record: Members, tmp_path: Path) -> None:
    kept = shelf(tmp_path / "project")
    file = tmp_path / "good.zip"
    file.write_bytes(zipped(record))
    report = unpack(file, None, lambda: kept.project, LIMITS)
    assert (report.run.run_id, report.objects, report.foreign) == ("run000", 1, True)
    (run,) = kept.project.runs.glob("job/run000")
    assert is_foreign(type(kept.run(5))(run))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return shelf(tmp_path_factory.mktemp("fuzz"))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_pack_with_any_bytes_changed_is_refused_or_brings_the_very_run(
    record: Members, place: Shelf, data: st.DataObject
) -> None:
    content = bytearray(zipped(record))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = place.project.root / "fuzzed.zip"
    file.write_bytes(content[: data.draw(st.integers(len(content) - 30, len(content)))])
    try:
        report = unpack(file, None, lambda: place.project, LIMITS)
    except KfmReproError:
        assert not list(place.project.runs.glob("[!.]*/*/*"))
        return
    run = place.project.root / report.path
    for path in (path for path in run.rglob("*") if path.is_file() and path.name != "foreign.json"):
        assert path.read_bytes() == record[f"run/{path.relative_to(run).as_posix()}"]
    shutil.rmtree(run)
