from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfm_repro.compare.bytes import compare
from kfm_repro.compare.context import Context, Side
from kfm_repro.compare.noise.clockbytes import explain_range
from kfm_repro.model.finding import Finding, Kind, Rung

NOW_A, NOW_B = 1_770_153_248, 1_795_341_601
"""2026-02-03T21:14:08Z and 2026-11-22T10:00:01Z."""
RUNS = Context(a=Side(window=(NOW_A - 8.0, NOW_A + 22.0)), b=Side(window=(NOW_B - 1.0, NOW_B + 29.0)))


def files(folder: Path, a: bytes, b: bytes, context: Context = RUNS) -> tuple[Finding, ...]:
    (folder / "a").write_bytes(a)
    (folder / "b").write_bytes(b)
    return compare(folder / "a", folder / "b", context)


def dos(year: int, month: int, day: int, hour: int, minute: int, second: int) -> bytes:
    return struct.pack("<HH", hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day)


FIELDS = {
    "little-endian 32-bit epoch s": (struct.pack("<I", NOW_A), struct.pack("<I", NOW_B)),
    "big-endian 32-bit epoch s": (struct.pack(">I", NOW_A), struct.pack(">I", NOW_B)),
    "little-endian 64-bit epoch ms": (
        struct.pack("<Q", NOW_A * 1000 + 7),
        struct.pack("<Q", NOW_B * 1000 + 8),
    ),
    "big-endian 64-bit epoch ns": (
        struct.pack(">Q", NOW_A * 10**9 + 7),
        struct.pack(">Q", NOW_B * 10**9 + 8),
    ),
    "little-endian double epoch s": (struct.pack("<d", NOW_A + 0.5), struct.pack("<d", NOW_B + 0.25)),
    "FILETIME": tuple(struct.pack("<Q", (t + 11_644_473_600) * 10**7 + 5) for t in (NOW_A, NOW_B)),
    "big-endian double Julian day": tuple(
        struct.pack(">d", t / 86_400 + 2_440_587.5) for t in (NOW_A, NOW_B)
    ),
    "DOS date": (dos(2026, 2, 3, 21, 14, 8), dos(2026, 11, 22, 10, 0, 0)),
    "DBF date": (bytes([126, 2, 3]), bytes([126, 11, 22])),
    "tar octal": (f"{NOW_A:011o}".encode(), f"{NOW_B:011o}".encode()),
    "ISO 8601": (b"2026-02-03T21:14:08Z", b"2026-11-22T10:00:01Z"),
    "compact": (b"D:20260203211408Z", b"D:20261122100001Z"),
    "epoch s": (str(NOW_A).encode(), str(NOW_B).encode()),
}


@pytest.mark.parametrize("name", FIELDS)
def test_the_time_of_the_run_is_found_in_binary(tmp_path: Path, name: str) -> None:
    a, b = (b"HEAD\x00\xff\xfe" + field + b"\x00\xff\xfd tail" * 9 for field in FIELDS[name])
    (found,) = files(tmp_path, a, b)
    assert found.kind is Kind.TIMESTAMP
    assert name in found.evidence
    assert found.rung is Rung.VALUE
    assert found.where["offset"] in range(7, 7 + len(FIELDS[name][0]))


@pytest.mark.parametrize("name", FIELDS)
def test_swapped_times_are_unexplained_bytes(tmp_path: Path, name: str) -> None:
    b, a = (b"HEAD\x00\xff\xfe" + field + b"\x00\xff\xfd tail" * 9 for field in FIELDS[name])
    (found,) = files(tmp_path, a, b)
    assert found.kind is Kind.BYTES


def test_one_unexplained_byte_beside_a_time_is_bytes(tmp_path: Path) -> None:
    a, b = (struct.pack("<I", t) + bytes(60) + bytes([n]) for t, n in ((NOW_A, 1), (NOW_B, 2)))
    (found,) = files(tmp_path, a, b)
    assert (found.kind, found.rung) == (Kind.BYTES, Rung.VALUE)
    assert "1 ranges are not" in found.evidence


def test_other_sizes_name_the_first_difference(tmp_path: Path) -> None:
    (found,) = files(tmp_path, b"\x00abc", b"\x00abcd")
    assert (found.where, found.kind) == ({"offset": 4}, Kind.BYTES)
    assert "A is the beginning of the other" in found.evidence
    (found,) = files(tmp_path, b"\x00abc", b"\x00xbcd")
    assert found.where == {"offset": 1}


def test_a_change_beyond_the_first_block_is_found(tmp_path: Path) -> None:
    a = bytearray(3 << 20)
    b = bytearray(a)
    b[(2 << 20) + 5] = 1
    (found,) = files(tmp_path, bytes(a), bytes(b))
    assert (found.where, found.count, found.of) == ({"offset": (2 << 20) + 5}, 1, 3 << 20)


def test_everything_different_is_counted(tmp_path: Path) -> None:
    (found,) = files(tmp_path, bytes(1 << 20) * 2, b"\x01" * (2 << 20))
    assert found.count == 2 << 20
    (found,) = files(tmp_path, b"\x00\x01" * (1 << 19), b"\x02\x01" * (1 << 19))
    assert (found.count, found.kind) == (1 << 19, Kind.BYTES)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    pair=st.integers(0, 300).flatmap(
        lambda n: st.tuples(st.binary(min_size=n, max_size=n), st.binary(min_size=n, max_size=n))
    )
)
def test_the_count_is_the_number_of_differing_bytes(tmp_path: Path, pair: tuple[bytes, bytes]) -> None:
    a, b = pair
    found = files(tmp_path, a, b, Context())
    differing = [i for i in range(len(a)) if a[i] != b[i]]
    assert [(f.count, f.where["offset"]) for f in found] == (
        [(len(differing), differing[0])] if differing else []
    )


def false_positives(count: int) -> int:
    """Shuffled records that hold times of the year, small integers, coordinates and names."""
    rng = random.Random(7)  # noqa: S311  # a fixed stream, no secret
    hits = 0
    for _ in range(count):
        a, b = (record(rng) for _ in range(2))
        size = min(len(a), len(b))
        start = rng.randrange(40, size - 44)
        stop = start + rng.randrange(1, 9)
        hits += explain_range(a[:size], b[:size], start, stop, RUNS) is not None
    return hits


def record(rng: random.Random) -> bytes:
    year = 1_767_225_600
    parts = []
    for _ in range(12):
        time = year + rng.randrange(365 * 86_400)
        parts.append(
            rng.choice(
                [
                    struct.pack("<I", time),
                    struct.pack("<d", rng.uniform(-180, 180)),
                    struct.pack("<I", rng.randrange(10**6)),
                    struct.pack("<q", time * 1000),
                    bytes([rng.randrange(120, 127), rng.randrange(1, 13), rng.randrange(1, 29)]),
                    b"county %05d " % rng.randrange(10**5),
                    rng.randbytes(8),
                ]
            )
        )
    return b"".join(parts) + bytes(48)


def test_shuffled_binary_data_is_not_taken_for_clocks() -> None:
    assert false_positives(2_000) <= 1


@pytest.mark.full
def test_ten_thousand_differing_ranges_are_not_taken_for_clocks() -> None:
    assert false_positives(10_000) <= 1
