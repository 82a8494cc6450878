from __future__ import annotations

import gzip
import io
import json
import struct
import subprocess
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
