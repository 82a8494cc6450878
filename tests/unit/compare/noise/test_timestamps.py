from __future__ import annotations

import datetime as dt
import math
import random
import uuid
from email.utils import format_datetime

import pytest

from kfm_repro.compare.context import Context, Side
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.noise.timestamps import DAY, clock_pair, in_window, readings

RUN_A = dt.datetime(2026, 2, 3, 21, 14, 0, tzinfo=dt.UTC)
RUN_B = dt.datetime(2026, 11, 22, 10, 0, 0, tzinfo=dt.UTC)


def window(start: dt.datetime, seconds: float = 30) -> tuple[float, float]:
    return (start.timestamp(), start.timestamp() + seconds)


RUNS = Context(a=Side(window=window(RUN_A)), b=Side(window=window(RUN_B)))

CLOCKS = {
    "iso": lambda t: t.isoformat(),
    "iso Z": lambda t: t.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "iso space": lambda t: t.strftime("%Y-%m-%d %H:%M:%S"),
    "iso micro": lambda t: t.strftime("%Y-%m-%d %H:%M:%S.%f"),
    "iso minutes": lambda t: t.strftime("%Y-%m-%d %H:%M"),
    "iso other offset": lambda t: t.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=30))).isoformat(),
    "exif": lambda t: t.strftime("%Y:%m:%d %H:%M:%S"),
    "iso basic": lambda t: t.strftime("%Y%m%dT%H%M%SZ"),
    "rfc 2822": format_datetime,
    "http": lambda t: format_datetime(t, usegmt=True),
    "ctime": lambda t: t.ctime(),
    "pdf": lambda t: t.strftime("D:%Y%m%d%H%M%SZ00'00'"),
    "14 digits": lambda t: t.strftime("%Y%m%d%H%M%S"),
    "epoch s text": lambda t: str(int(t.timestamp())),
    "epoch ms text": lambda t: str(int(t.timestamp() * 1e3)),
    "epoch us text": lambda t: str(int(t.timestamp() * 1e6)),
    "epoch ns text": lambda t: str(int(t.timestamp()) * 10**9 + 5),
    "epoch s": lambda t: int(t.timestamp()),
    "epoch ms": lambda t: int(t.timestamp() * 1e3),
    "epoch ns": lambda t: int(t.timestamp()) * 10**9 + 5,
    "epoch float": lambda t: t.timestamp() + 0.25,
    "datetime naive": lambda t: t.replace(tzinfo=None),
    "datetime aware": lambda t: t,
    "date": lambda t: t.date(),
    "date text": lambda t: t.date().isoformat(),
    "excel": lambda t: t.timestamp() / DAY + 25_569 + 1e-5,
    "julian": lambda t: t.timestamp() / DAY + 2_440_587.5 + 1e-5,
}


@pytest.mark.parametrize("name", CLOCKS)
def test_now_is_a_timestamp_in_every_encoding(name: str) -> None:
    clock = CLOCKS[name]
    now_a, now_b = RUN_A + dt.timedelta(seconds=7), RUN_B + dt.timedelta(seconds=9)
    (found,) = classify_pairs([(clock(now_a), clock(now_b))], RUNS)
    assert (found.kind, found.rung) == ("timestamp", "value")
    assert "run A's window" in found.evidence


@pytest.mark.parametrize("name", CLOCKS)
def test_the_same_spelling_outside_a_window_is_a_value(name: str) -> None:
    clock = CLOCKS[name]
    late = RUN_B + dt.timedelta(days=40)
    (found,) = classify_pairs([(clock(RUN_A), clock(late))], RUNS)
    assert found.kind == "value"


@pytest.mark.parametrize("name", CLOCKS)
def test_both_sides_swapped_are_no_clock(name: str) -> None:
    clock = CLOCKS[name]
    assert clock_pair(clock(RUN_B), clock(RUN_A), RUNS) == ""


def test_without_windows_nothing_is_a_timestamp() -> None:
    (found,) = classify_pairs([("2026-02-03T21:14:08Z", "2026-11-22T10:00:01Z")], Context())
    assert found.kind == "value"


def test_a_column_of_genuine_dates_is_data() -> None:
    born = dt.date(1860, 1, 1)
    pairs = [(born + dt.timedelta(days=n), born + dt.timedelta(days=n + 1)) for n in range(2000)]
    texts = [(a.isoformat(), b.isoformat()) for a, b in pairs]
    assert [part.kind for part in classify_pairs(pairs, RUNS)] == ["value"]
    assert [part.kind for part in classify_pairs(texts, RUNS)] == ["value"]


def test_plain_small_integers_are_never_dates() -> None:
    assert clock_pair(46_056, 46_348, RUNS) == ""
    assert clock_pair(20_260_203, 20_261_122, RUNS) == ""
    assert clock_pair("46056", "46348", RUNS) == ""


def test_eight_digits_are_a_date_in_a_name_but_a_number_in_a_csv_cell() -> None:
    assert classify_pairs([("out_20260203.csv", "out_20261122.csv")], RUNS)[0].kind == "timestamp"
    assert classify_pairs([("20260203", "20261122")], RUNS, text=True)[0].kind == "value"


def test_only_some_pairs_of_a_column_are_timestamps() -> None:
    pairs = [
        ("2026-02-03T21:14:08Z", "2026-11-22T10:00:01Z"),
        ("1900-06-01T00:00:00Z", "1901-06-01T00:00:00Z"),
    ]
    parts = classify_pairs(pairs, RUNS)
    assert [(part.kind, part.indexes) for part in parts] == [("value", (1,)), ("timestamp", (0,))]


def test_a_date_after_the_run_is_not_its_clock() -> None:
    assert clock_pair("2026-02-03", "2026-11-23", RUNS) == ""


def test_the_window_is_widened_by_one_second_and_the_grain() -> None:
    assert in_window(-2.0, 1.0, (0.0, 10.0))
    assert not in_window(-2.1, 1.0, (0.0, 10.0))
    assert in_window(12.0, 1.0, (0.0, 10.0))
    assert not in_window(12.1, 1.0, (0.0, 10.0))
    assert not in_window(math.inf, 1.0, (0.0, 10.0))
    assert not in_window(math.nan, 1.0, (0.0, 10.0))


def test_a_mixed_encoding_is_no_clock() -> None:
    assert clock_pair("2026-02-03T21:14:08Z", str(int(RUN_B.timestamp())), RUNS) == ""
    assert clock_pair("2026-02-03T21:14:08Z", "2026-11-22 10:00:01", RUNS) == ""


def test_ulid_and_uuid_tell_their_time() -> None:
    (ulid,) = readings("01ARZ3NDEKTSV4RRFFQ69G5FAV")
    assert ulid.epoch == pytest.approx(1_469_922_850.259)
    seven = uuid.UUID(int=(int(RUN_A.timestamp() * 1000) << 80) | (7 << 76) | (2 << 62) | 5)
    assert readings(str(seven))[0] == ("UUIDv7", RUN_A.timestamp(), 0.0, "")
    one = readings("c232ab00-9414-11ec-b3c8-9f6bdeced846")[0]
    assert dt.datetime.fromtimestamp(one.epoch, tz=dt.UTC).date() == dt.date(2022, 2, 22)


def test_impossible_dates_have_no_reading() -> None:
    for text in (
        "2026-13-01",
        "2026-02-30 10:00:00",
        "99999999",
        "2026-02-03T25:00:00",
        "2026-02-03T10:00:00+99:00",
    ):
        assert readings(text) == ()


def test_text_between_the_times_must_be_equal() -> None:
    good = ("generated 2026-02-03 21:14:08 by x", "generated 2026-11-22 10:00:01 by x")
    bad = ("a 5 at 2026-02-03 21:14:08", "b 6 at 2026-11-22 10:00:01")
    fraction = ("2026-02-03 21:14:08,5 rows", "2026-11-22 10:00:01,6 rows")
    assert [classify_pairs([pair], RUNS)[0].kind for pair in (good, bad, fraction)] == [
        "timestamp",
        "value",
        "value",
    ]


def real_looking(rng: random.Random) -> object:
    day = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(seconds=rng.randrange(365 * 86_400))
    makers = (
        lambda: rng.randrange(10**6),
        lambda: rng.randrange(10**9, 3 * 10**9),
        lambda: rng.uniform(-180, 180),
        lambda: rng.uniform(45_000, 47_000),
        day.date,
        day.isoformat,
        lambda: str(int(day.timestamp())),
        lambda: f"parcel {rng.randrange(10**8):08d}",
        lambda: f"{rng.uniform(0, 50_000):.4f}",
        lambda: day.strftime("%Y%m%d%H%M%S"),
    )
    return rng.choice(makers)()


def false_positives(count: int) -> int:
    rng = random.Random(20260203)  # noqa: S311  # a fixed stream, no secret
    kinds = []
    while len(kinds) < count:
        a, b = real_looking(rng), real_looking(rng)
        if type(a) is type(b) and a != b:
            kinds.append(classify_pairs([(a, b)], RUNS, text=rng.random() < 0.5)[0].kind)
    return kinds.count("timestamp")


def test_shuffled_data_is_not_taken_for_clocks() -> None:
    assert false_positives(2_000) <= 1


@pytest.mark.full
def test_ten_thousand_shuffled_values_are_not_taken_for_clocks() -> None:
    assert false_positives(10_000) <= 1


def test_a_run_that_was_shown_another_clock_still_has_file_times_of_the_machine() -> None:
    recorded, shown, machine = ((start, start + 60) for start in (1.70e9, 1.75e9, 1.80e9))
    context = Context(a=Side(window=recorded), b=Side(window=shown, machine_window=machine))
    assert clock_pair(recorded[0] + 5, shown[0] + 5, context)
    assert clock_pair(recorded[0] + 5, machine[0] + 5, context)
    assert not clock_pair(recorded[0] + 5, 1.77e9, context)
