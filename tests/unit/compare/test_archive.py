from __future__ import annotations

import gzip
import io
import json
import struct
import subprocess
import tarfile
import warnings
import zipfile
import zlib
from pathlib import Path

import pytest

from kfm_repro.compare.archive import compare_gzip, compare_zip
from kfm_repro.compare.context import Context, Limits, Side
from kfm_repro.compare.engine import compare_files
from kfm_repro.errors import LimitExceeded, Unreadable
from kfm_repro.model.finding import OutputComparison, OutputVerdict, Rung

NOW_A, NOW_B = 1_770_153_248, 1_795_341_601
RUNS = Context(
    a=Side(window=(NOW_A - 8.0, NOW_A + 22.0), paths=("/srv/replays/a",)),
    b=Side(window=(NOW_B - 1.0, NOW_B + 29.0), paths=("/srv/replays/b",)),
)
DATE_A, DATE_B = (2026, 2, 3, 21, 14, 8), (2026, 11, 22, 10, 0, 0)


def compared(folder: Path, a: bytes, b: bytes, name: str, context: Context = RUNS) -> OutputComparison:
    for side, data in (("a", a), ("b", b)):
        (folder / side).mkdir(exist_ok=True)
        (folder / side / name).write_bytes(data)
    return compare_files(folder / "a" / name, folder / "b" / name, name=name, context=context)


def brief(result: OutputComparison) -> list[tuple[str, str, object]]:
    return [(str(f.kind), str(f.rung), f.where.get("member")) for f in result.findings]


def gz(data: bytes, *, name: str = "", mtime: float = 0, level: int = 9) -> bytes:
    target = io.BytesIO()
    with gzip.GzipFile(name, "wb", level, target, mtime) as file:
        file.write(data)
    return target.getvalue()


def zipped(members: dict[str, bytes], date: tuple[int, ...] = DATE_A, **attributes: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for name, data in members.items():
            entry = zipfile.ZipInfo(name, date)  # type: ignore[arg-type]  # six integers
            for attribute, value in attributes.items():
                setattr(entry, attribute, value)
            file.writestr(entry, data)
    return target.getvalue()


def test_gzip_time_is_packaging_even_without_windows(tmp_path: Path) -> None:
    a, b = gz(b"x,y\n1,2\n", mtime=NOW_A), gz(b"x,y\n1,2\n", mtime=NOW_B)
    known = compared(tmp_path, a, b, "t.bin.gz")
    bare = compared(tmp_path, a, b, "t.bin.gz", Context())
    assert brief(known) == brief(bare) == [("timestamp", "container", "gzip header")]
    assert known.verdict is OutputVerdict.EQUIVALENT
    assert (
        "2026-02-03T21:14:08Z in A, 2026-11-22T10:00:01Z in B; A's lies in run A's window"
        in known.findings[0].evidence
    )
    assert "not known" in bare.findings[0].evidence


def test_gzip_name_and_level_are_packaging(tmp_path: Path) -> None:
    data = json.dumps(list(range(5000))).encode()
    assert brief(compared(tmp_path, gz(data, name="a"), gz(data, name="b"), "t.gz")) == [
        ("entry-metadata", "container", "gzip header")
    ]
    assert ("layout", "container", "gzip header") in brief(
        compared(tmp_path, gz(data, level=1), gz(data, level=9), "t.gz")
    )


def test_gzip_stream_alone_is_layout(tmp_path: Path) -> None:
    data = b"abc" * 4000
    parts = [zlib.compressobj(level, zlib.DEFLATED, -15) for level in (5, 6)]
    bodies = [
        part.compress(data[:7]) + part.flush(flush) + part.compress(data[7:]) + part.flush()
        for part, flush in zip(parts, (zlib.Z_SYNC_FLUSH, zlib.Z_NO_FLUSH), strict=True)
    ]
    tail = struct.pack("<II", zlib.crc32(data), len(data))
    a, b = (b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + body + tail for body in bodies)
    assert brief(compared(tmp_path, a, b, "t.gz")) == [("layout", "container", None)]


def test_gzip_payload_is_compared_by_what_it_is(tmp_path: Path) -> None:
    a, b = gz(b'{"a":1,"b":2}', mtime=NOW_A), gz(b'{"b":2,"a":1}', mtime=NOW_B)
    assert brief(compared(tmp_path, a, b, "t.json.gz")) == [
        ("key-order", "order", "t.json"),
        ("timestamp", "container", "gzip header"),
    ]
    a, b = gz(b'{"a":1}'), gz(b'{"a":2}')
    assert brief(compared(tmp_path, a, b, "t.json.gz")) == [("value", "value", "t.json")]


def test_gzip_of_several_members_reads_on(tmp_path: Path) -> None:
    one, two = gz(b"1\n2\n3\n4\n"), gz(b"1\n2\n") + gz(b"3\n4\n")
    assert brief(compared(tmp_path, one, two, "t.txt.gz")) == [("layout", "container", None)]
    other = gz(b"1\n2\n") + gz(b"3\n5\n")
    assert compared(tmp_path, one, other, "t.txt.gz").verdict is OutputVerdict.DIFFERENT


def test_many_small_members_are_read_to_the_end(tmp_path: Path) -> None:
    a = b"".join(gz(b"%d\n" % n) for n in range(9000))
    b = b"".join(gz(b"%d\n" % n) for n in range(8999)) + gz(b"last\n")
    assert compared(tmp_path, a, b, "t.txt.gz").verdict is OutputVerdict.DIFFERENT


def test_bytes_after_the_last_gzip_member_are_not_overlooked(tmp_path: Path) -> None:
    result = compared(tmp_path, gz(b"x"), gz(b"x") + b"hidden", "t.gz")
    assert brief(result) == [("bytes", "value", "after the last gzip member")]


@pytest.mark.parametrize("cut", [3, 12, -1, -6])
def test_a_truncated_gzip_is_said_to_be_truncated(tmp_path: Path, cut: int) -> None:
    whole = gz(b"some payload of a table" * 50, name="t")
    result = compared(tmp_path, whole, whole[:cut], "t.gz")
    assert brief(result) == [("truncated", "value", None)]


def test_a_gzip_with_a_wrong_checksum_is_unreadable(tmp_path: Path) -> None:
    broken = bytearray(gz(b"payload" * 99))
    broken[-7] ^= 1
    (tmp_path / "a").write_bytes(bytes(broken))
    with pytest.raises(Unreadable):
        compare_gzip(tmp_path / "a", tmp_path / "a", RUNS)


def test_a_gzip_bomb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(gz(bytes(40 << 20)))
    (tmp_path / "b").write_bytes(gz(b"x"))
    for limits in (Limits(ratio=100), Limits(member_bytes=1 << 20)):
        with pytest.raises(LimitExceeded):
            compare_gzip(tmp_path / "a", tmp_path / "b", Context(limits=limits))


def test_zip_dates_are_packaging(tmp_path: Path) -> None:
    members = {"a.txt": b"1", "b.txt": b"2"}
    result = compared(tmp_path, zipped(members), zipped(members, DATE_B), "t.zip")
    assert brief(result) == [("timestamp", "container", None)]
    assert (result.findings[0].count, result.findings[0].of) == (2, 2)
    assert "A's lies in run A's window" in result.findings[0].evidence


def test_zip_entries_in_another_order_are_equivalent(tmp_path: Path) -> None:
    a, b = zipped({"a": b"1", "b": b"2", "c": b"3"}), zipped({"c": b"3", "a": b"1", "b": b"2"})
    result = compared(tmp_path, a, b, "t.zip")
    assert brief(result) == [("entry-order", "order", None)]
    assert result.findings[0].count == 1


def test_zip_modes_are_packaging_but_a_link_is_none(tmp_path: Path) -> None:
    members = {"a": b"target"}
    a = zipped(members, external_attr=0o100644 << 16)
    assert brief(compared(tmp_path, a, zipped(members, external_attr=0o100600 << 16), "t.zip")) == [
        ("entry-metadata", "container", "a")
    ]
    link = compared(tmp_path, a, zipped(members, external_attr=0o120644 << 16), "t.zip")
    assert link.verdict is OutputVerdict.DIFFERENT


def test_zip_compression_is_layout(tmp_path: Path) -> None:
    members = {"a.txt": b"1" * 500}
    a, b = zipped(members), zipped(members, compress_type=zipfile.ZIP_DEFLATED)
    assert ("layout", "container", "a.txt") in brief(compared(tmp_path, a, b, "t.zip"))
    assert compared(tmp_path, a, b, "t.zip").verdict is OutputVerdict.EQUIVALENT


def test_zip_members_are_compared_by_what_they_are(tmp_path: Path) -> None:
    a = zipped({"x/d.json": b'{"a":1,"b":2}', "in.zip": zipped({"t.txt": b"1\n2\n"})})
    b = zipped({"x/d.json": b'{"b":2,"a":1}', "in.zip": zipped({"t.txt": b"2\n1\n"})})
    assert brief(compared(tmp_path, a, b, "t.zip")) == [
        ("row-order", "order", "in.zip/t.txt"),
        ("key-order", "order", "x/d.json"),
    ]


def test_zip_members_that_came_or_went_are_values(tmp_path: Path) -> None:
    result = compared(tmp_path, zipped({"a": b"1", "b": b"2"}), zipped({"a": b"1", "c": b"2"}), "t.zip")
    assert brief(result) == [("value", "value", "b"), ("value", "value", "c")]


def duplicated(*contents: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        for data in contents:
            file.writestr(zipfile.ZipInfo("a", DATE_A), data)
    return target.getvalue()


def test_a_repeated_zip_entry_is_harmless_only_with_equal_content(tmp_path: Path) -> None:
    once = zipped({"a": b"1"})
    assert brief(compared(tmp_path, once, duplicated(b"1", b"1"), "t.zip")) == [
        ("duplicate-entry", "container", "a")
    ]
    assert brief(compared(tmp_path, once, duplicated(b"2", b"1"), "t.zip")) == [
        ("duplicate-entry", "value", "a")
    ]


def test_the_last_of_two_zip_entries_counts(tmp_path: Path) -> None:
    result = compared(tmp_path, duplicated(b"1", b"2"), duplicated(b"1", b"3"), "t.zip")
    assert ("value", "value", "a") in brief(result)


def test_an_encrypted_zip_member_is_unknown(tmp_path: Path) -> None:
    sides = []
    for text in (b"1", b"2"):
        raw = bytearray(zipped({"a": text}))
        raw[6] |= 1
        raw[raw.index(b"PK\x01\x02") + 8] |= 1
        sides.append(bytes(raw))
    assert compared(tmp_path, *sides, "t.zip").verdict is OutputVerdict.UNKNOWN


def test_a_zip_bomb_is_bounded(tmp_path: Path) -> None:
    a = zipped({"a": bytes(40 << 20)}, compress_type=zipfile.ZIP_DEFLATED)
    b = zipped({"a": b"\x01" * (40 << 20)}, compress_type=zipfile.ZIP_DEFLATED)
    result = compared(tmp_path, a, b, "t.zip", Context(limits=Limits(ratio=100)))
    assert brief(result) == [("bytes", "unknown", "a")]
    assert result.verdict is OutputVerdict.UNKNOWN


def test_a_truncated_or_corrupt_zip_is_a_difference(tmp_path: Path) -> None:
    whole = zipped({"a": b"payload" * 20})
    assert brief(compared(tmp_path, whole, whole[:-9], "t.zip")) == [("truncated", "value", None)]
    broken = bytearray(whole)
    broken[40] ^= 1
    assert compared(tmp_path, whole, bytes(broken), "t.zip").verdict is OutputVerdict.DIFFERENT
    (tmp_path / "c").write_bytes(bytes(broken))
    with pytest.raises(Unreadable):
        compare_zip(tmp_path / "a" / "t.zip", tmp_path / "c", RUNS)


@pytest.mark.parametrize(
    "name", ["../../escape.txt", "/abs.txt", "..", "a\\..\\b", "x" * 5000, "con\x01\u202e.txt", ".hidden"]
)
def test_names_of_members_never_reach_the_file_system(tmp_path: Path, name: str) -> None:
    work = tmp_path / "work"
    work.mkdir()
    result = compared(work, zipped({name: b"1\n"}), zipped({name: b"2\n"}), "t.zip")
    assert [f.rung for f in result.findings] == [Rung.VALUE]
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "b", "t.zip", "t.zip", "work"]


def test_very_many_members_that_differ_are_counted_together(tmp_path: Path) -> None:
    a, b = (zipped({f"c/{n}.txt": b"%d\n" % (n + shift) for n in range(150)}) for shift in (0, 1))
    result = compared(tmp_path, a, b, "t.zip")
    assert brief(result) == [("value", "value", "c/*")]
    assert result.findings[0].count == 150


def test_a_gzip_by_the_real_program_is_read(tmp_path: Path) -> None:
    sides = []
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
        source = tmp_path / side / f"{side}.csv"
        source.write_text("x,y\n1,2\n")
        subprocess.run(["gzip", "-k", str(source)], check=True)
        sides.append(source.with_suffix(".csv.gz").read_bytes())
    kinds = {kind for kind, _, _ in brief(compared(tmp_path, *sides, "t.csv.gz"))}
    assert "entry-metadata" in kinds
    assert kinds <= {"entry-metadata", "timestamp"}


def test_no_finding_shows_a_temporary_path(tmp_path: Path) -> None:
    broken = gz(b"payload" * 99)[:-9]
    result = compared(tmp_path, zipped({"x.gz": broken}), zipped({"x.gz": broken[:-1]}), "t.zip")
    assert result.findings
    assert all("/tmp" not in repr(found) for found in result.findings)  # noqa: S108


@pytest.mark.parametrize("where", ["before", "between", "before the directory"])
def test_bytes_outside_the_zip_entries_are_not_overlooked(tmp_path: Path, where: str) -> None:
    plain = zipped({"a.txt": b"1", "b.txt": b"2"})
    second = plain.index(b"PK\x03\x04", 4)
    directory = plain.index(b"PK\x01\x02")
    at = {"before": 0, "between": second, "before the directory": directory}[where]
    stubbed = plain[:at] + b"#!/bin/sh\nother\n" + plain[at:]
    if at:
        moved = bytearray(stubbed)
        end = moved.rindex(b"PK\x05\x06")
        struct.pack_into("<I", moved, end + 16, directory + 16)
        if where == "between":
            entry = moved.index(b"PK\x01\x02", moved.index(b"PK\x01\x02") + 4)
            struct.pack_into("<I", moved, entry + 42, second + 16)
        stubbed = bytes(moved)
    result = compared(tmp_path, plain, stubbed, "t.zip")
    assert brief(result) == [("bytes", "value", "outside the zip entries")]
    assert "0 in A, 16 in B" in result.findings[0].evidence


def streamed(comment: bytes) -> bytes:
    """Write as to a pipe: sizes follow the data, so that data descriptors stand between the entries."""

    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise io.UnsupportedOperation

    target = Pipe()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("a", "b"):
            file.writestr(zipfile.ZipInfo(name, DATE_A), b"text" * 99)
        file.comment = comment
    return target.getvalue()


def test_data_descriptors_and_comments_belong_to_the_zip(tmp_path: Path) -> None:
    result = compared(tmp_path, streamed(b""), streamed(b"made by hand"), "t.zip")
    assert {kind for kind, _, _ in brief(result)} == {"entry-metadata"}
    seekable = io.BytesIO()
    with zipfile.ZipFile(seekable, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("a", "b"):
            file.writestr(zipfile.ZipInfo(name, DATE_A), b"text" * 99)
    assert "bytes" not in {
        kind for kind, _, _ in brief(compared(tmp_path, streamed(b""), seekable.getvalue(), "t.zip"))
    }


def tarred(members: dict[str, bytes], form: int = tarfile.USTAR_FORMAT, **fields: object) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=form) as file:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            for field, value in fields.items():
                setattr(entry, field, value)
            file.addfile(entry, io.BytesIO(data))
    return target.getvalue()


def test_tar_times_owners_and_modes_are_packaging(tmp_path: Path) -> None:
    members = {"a.txt": b"1", "b.txt": b"2"}
    a, b = tarred(members, mtime=NOW_A), tarred(members, mtime=NOW_B)
    (found,) = compared(tmp_path, a, b, "t.tar").findings
    assert (str(found.kind), str(found.rung), found.count) == ("timestamp", "container", 2)
    assert "A's lies in run A's window" in found.evidence
    for field, value in (("uid", 7), ("gid", 7), ("uname", "u"), ("gname", "g"), ("mode", 0o600)):
        result = compared(tmp_path, tarred(members), tarred(members, **{field: value}), "t.tar")
        assert brief(result) == [("entry-metadata", "container", None)], field


def test_tar_members_are_compared_by_what_they_are(tmp_path: Path) -> None:
    a = tarred({"d.json": b'{"a":1,"b":2}', "x": b"1", "gone": b""})
    b = tarred({"x": b"1", "d.json": b'{"b":2,"a":1}', "come": b""})
    assert brief(compared(tmp_path, a, b, "t.tar")) == [
        ("value", "value", "come"),
        ("value", "value", "gone"),
        ("entry-order", "order", None),
        ("key-order", "order", "d.json"),
    ]
    changed = compared(tmp_path, tarred({"x": b"1\n"}), tarred({"x": b"2\n"}), "t.tar")
    assert brief(changed) == [("value", "value", "x")]


def test_a_tar_in_a_gzip_is_a_tar_whatever_it_is_called(tmp_path: Path) -> None:
    a, b = gz(tarred({"x": b"1"}, mtime=NOW_A)), gz(tarred({"x": b"1"}, mtime=NOW_B))
    for name, inner in (("t.tar.gz", "t.tar/x"), ("t.tgz", "t.tgz/x")):
        assert brief(compared(tmp_path, a, b, name)) == [("timestamp", "container", inner)]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"type": tarfile.SYMTYPE, "linkname": "x"}, {"type": tarfile.SYMTYPE, "linkname": "y"}),
        ({"type": tarfile.SYMTYPE, "linkname": "x"}, {"type": tarfile.REGTYPE}),
        ({"type": tarfile.CHRTYPE, "devmajor": 1}, {"type": tarfile.CHRTYPE, "devmajor": 2}),
    ],
    ids=["target", "type", "device"],
)
def test_what_a_tar_link_or_device_is_counts(
    tmp_path: Path, a: dict[str, object], b: dict[str, object]
) -> None:
    result = compared(tmp_path, tarred({"l": b""}, **a), tarred({"l": b""}, **b), "t.tar")
    assert result.verdict is OutputVerdict.DIFFERENT


def test_the_form_of_tar_headers_is_layout(tmp_path: Path) -> None:
    a, b = (tarred({"x": b"1"}, form) for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT))
    assert brief(compared(tmp_path, a, b, "t.tar")) == [("layout", "container", None)]


def test_a_repeated_tar_entry_is_harmless_only_with_equal_content(tmp_path: Path) -> None:
    once, end = tarred({"a": b"1"}), bytes(10240 - 1024)
    twice = [once[:1024] + tarred({"a": data}) for data in (b"1", b"2")]
    assert end in once
    assert brief(compared(tmp_path, once, twice[0], "t.tar")) == [("duplicate-entry", "container", "a")]
    assert compared(tmp_path, once, twice[1], "t.tar").verdict is OutputVerdict.DIFFERENT


def _with_link(order: str) -> bytes:
    """Return a tar of two contents of ``a`` and of a hard link to it, in some order."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as file:
        for what in order:
            entry = tarfile.TarInfo("l" if what == "l" else "a")
            if what == "l":
                entry.type, entry.linkname = tarfile.LNKTYPE, "a"
            else:
                entry.size = 1
            file.addfile(entry, None if what == "l" else io.BytesIO(what.encode()))
    return target.getvalue()


@pytest.mark.parametrize(
    ("a", "b", "rungs"), [("1l2", "12l", {"value"}), ("l1", "1l", {"value"}), ("12l", "12l", set())]
)
def test_a_hard_link_has_the_content_that_came_last_before_it(
    tmp_path: Path, a: str, b: str, rungs: set[str]
) -> None:
    findings = compared(tmp_path, _with_link(a), _with_link(b), "x.tar").findings
    assert {str(f.rung) for f in findings if f.evidence == "target of the link"} == rungs


def test_bytes_after_the_end_of_a_tar_are_not_overlooked(tmp_path: Path) -> None:
    plain = tarred({"a": b"1"})
    assert compared(tmp_path, plain, plain + bytes(512), "t.tar").verdict is OutputVerdict.EQUIVALENT
    result = compared(tmp_path, plain, plain + b"hidden", "t.tar")
    assert brief(result) == [("bytes", "value", "after the last tar entry")]
    padded = bytearray(plain)
    padded[600] = 1
    assert compared(tmp_path, plain, bytes(padded), "t.tar").verdict is OutputVerdict.DIFFERENT


def test_a_truncated_tar_is_said_to_be_truncated(tmp_path: Path) -> None:
    whole = tarred({"a": b"1" * 3000})
    assert brief(compared(tmp_path, whole, whole[:1500], "t.tar")) == [("truncated", "value", None)]


def test_a_sparse_tar_bomb_is_bounded(tmp_path: Path) -> None:
    pax = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(1 << 40)}
    bombs = [
        tarred({"a": b"1\n0\n1\n" + bytes(506) + data}, tarfile.PAX_FORMAT, pax_headers=pax)
        for data in (b"x", b"y")
    ]
    assert compared(tmp_path, *bombs, "t.tar").verdict is OutputVerdict.UNKNOWN


def test_a_tar_by_the_real_program_is_read(tmp_path: Path) -> None:
    sides = []
    for side, stamp in (("a", "2026-02-03"), ("b", "2026-11-22")):
        (tmp_path / side / "in").mkdir(parents=True)
        (tmp_path / side / "in" / "x.csv").write_text("x,y\n1,2\n")
        archive = tmp_path / f"{side}.tar"
        args = ["tar", "--mtime", stamp, "-C", str(tmp_path / side), "-cf", str(archive), "in"]
        subprocess.run(args, check=True)
        sides.append(archive.read_bytes())
    assert brief(compared(tmp_path, *sides, "t.tar")) == [("timestamp", "container", None)]


def test_members_whose_names_lead_to_one_place_are_compared_each(tmp_path: Path) -> None:
    def made(first: str) -> bytes:
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as archive:
            for name, text in (("x.txt", first), ("./x.txt", "same")):
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        return raw.getvalue()

    assert compared(tmp_path, made("one"), made("two"), "x.tar").verdict is OutputVerdict.DIFFERENT


def test_chunks_of_a_store_in_an_archive_are_compared_by_their_elements(tmp_path: Path) -> None:
    import numpy as np
    import zarr

    def made(level: int, last: float) -> bytes:
        folder = tmp_path / f"store-{level}-{last}"
        codec = zarr.codecs.GzipCodec(level=level)
        array = zarr.create_array(
            folder, shape=(40,), chunks=(20,), dtype="f8", compressors=codec, overwrite=True
        )
        array[:] = np.append(np.arange(39.0), last)
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        return zipped(
            {f"out.zarr/{file.relative_to(folder).as_posix()}": file.read_bytes() for file in files}
        )

    same = compared(tmp_path, made(1, 39.0), made(9, 39.0), "x.zip")
    assert {kind for kind, rung, _ in brief(same) if rung == "container"} >= {"chunking"}
    near = compared(tmp_path, made(1, 39.0), made(1, float(np.nextafter(39.0, 99))), "x.zip")
    assert {kind for kind, _, _ in brief(near)} == {"float-noise"}
