from __future__ import annotations

import datetime as dt
import hashlib
import math
import struct
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfm_repro.compare.context import Context, Limits, Side
from kfm_repro.compare.noise.classify import classify_pairs
from kfm_repro.compare.noise.floats import distance, distances

A = Side(
    "01JD9ZZZZZZZZZZZZZZZZZZZZZ",
    (1_770_153_240.0, 1_770_153_270.0),
    ("/srv/replays/a/work", "/home/ana"),
    ("alpha",),
)
B = Side("01KB9ZZZZZZZZZZZZZZZZZZZZZ", (1_795_341_600.0, 1_795_341_630.0), ("/tmp/b", "/home/bo"), ("beta",))  # noqa: S108
RUNS = Context(a=A, b=B)


def kind_of(a: Any, b: Any, **options: bool) -> tuple[str, str]:
    (found,) = classify_pairs([(a, b)], RUNS, **options)
    assert found.indexes == (0,)
    return found.kind, found.rung


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        (None, "", "null-form"),
        (math.nan, None, "null-form"),
        (math.nan, "", "null-form"),
        (None, 0, "value"),
        (math.nan, 1.0, "value"),
        (1, 1.0, "type"),
        (1, "1", "type"),
        (True, 1, "type"),
        ("x", b"x", "type"),
        (dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, tzinfo=dt.UTC), "type"),  # noqa: DTZ001
        (Decimal("1.5"), Decimal("1.50"), "type"),
        (1, 2.5, "value"),
        (2**53, float(2**53 + 2), "value"),
        (1.0, 1.0 + 5 * 2**-52, "value"),
        (math.inf, 1.7976931348623157e308, "value"),
        ("1.50", "1.5", "value"),
        ("x", "y", "value"),
    ],
)
def test_scalars_differ_in_form_type_or_value(a: Any, b: Any, kind: str) -> None:
    assert kind_of(a, b) == (kind, "value")
    assert kind_of(b, a) == (kind, "value")


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        ("1.50", "1.5", "encoding"),
        ("1e5", "100000.0", "encoding"),
        ("0.3", "0.30000000000000004", "float-noise"),
        ("-0.0", "0.0", "float-noise"),
        ("01.5", "1.5", "value"),
        ("01", "1", "value"),
        ("1", "1.0", "type"),
        ("", "NaN", "null-form"),
        ("1e400", "1e401", "value"),
        ("1.5", "1.6", "value"),
        ("0.1", "0.10000000000000001", "float-noise"),
        ("0.1", "0.1000000000000000055", "value"),
        ("12345678901234567.89", "12345678901234567.90", "value"),
        ("10000000000000000.01", "10000000000000000.99", "value"),
        ("0.50000000000000000000000", "0.5", "encoding"),
        ("9007199254740993.0", "9007199254740992.0", "value"),
        ("9007199254740994.0", "9007199254740992.0", "float-noise"),
        ("1234567890123.4567", "1234567890123.4568", "value"),
        ("5.684341886080801e-14", "5.684341886080802e-14", "float-noise"),
        ("5.684341886080801e-14", "5.684341886089802e-14", "value"),
        ("0.0", "1e-400", "value"),
        ("0.0", "5e-324", "value"),
        ("1e400", "10e399", "value"),
        ("1E5", "10E4", "value"),
        ("1.0E+05", "1e5", "encoding"),
        ("١.٥", "1.5", "value"),
    ],
)
def test_cells_of_a_text_format_are_read_as_numbers_with_care(a: str, b: str, kind: str) -> None:
    assert kind_of(a, b, text=True)[0] == kind


def test_labels_that_read_as_numbers_are_not_respelled() -> None:
    assert kind_of("3.1", "3.10", text=True) == ("encoding", "container")
    assert kind_of("3.1", "3.10", text=True, labels=True) == ("value", "value")


@given(st.integers(0, 10**19), st.integers(0, 10**19), st.integers(-2, 18))
def test_texts_of_numbers_are_noise_only_where_a_double_can_have_been_written(
    a: int, b: int, places: int
) -> None:
    left, right = (str(Decimal(n).scaleb(-places)) for n in (a, b))
    if left == right:
        return
    kind, _ = kind_of(left, right, text=True)
    if kind == "encoding":
        assert Decimal(left) == Decimal(right)
    if kind == "float-noise":
        assert abs(distance(float(left), float(right)).ulp or 0) <= 4
        assert max(len(str(int(str(n).rstrip("0") or 0))) for n in (a, b)) <= 17


@given(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False), st.integers(1, 4))
def test_neighbouring_doubles_are_noise_as_any_writer_spells_them(start: float, steps: int) -> None:
    value = start
    for _ in range(steps):
        value = math.nextafter(value, math.inf)
    if not math.isfinite(value) or min(abs(start), abs(value)) < 2.3e-308:
        return
    for a, b in (
        (repr(start), repr(value)),
        (f"{start:.16e}", f"{value:.16e}"),
        (repr(start), f"{value:.16e}"),
    ):
        if "." in a and "." in b:
            assert kind_of(a, b, text=True)[0] == "float-noise"


@given(st.floats(width=32, allow_nan=False), st.integers(0, 6))
def test_the_distance_of_narrow_floats_counts_their_own_neighbours(start: float, steps: int) -> None:
    value = np.float32(start)
    for _ in range(steps):
        with np.errstate(over="ignore"):  # the neighbour of the largest number is infinite
            value = np.nextafter(value, np.float32(np.inf))
    if np.isfinite(value) and math.isfinite(start):
        (far,) = distances([(start, float(value))], 32)
        assert far.ulp == steps


def test_another_unicode_normal_form_is_packaging() -> None:
    assert kind_of("Liberté", "Liberte\u0301") == ("encoding", "container")
    assert kind_of("ﬁ", "fi") == ("value", "value")


def test_signed_zero_and_nan_payload_are_noise_of_no_ulp() -> None:
    quiet, other = (struct.unpack("<d", struct.pack("<Q", 0x7FF8000000000000 + n))[0] for n in (0, 7))
    (found,) = classify_pairs([(-0.0, 0.0), (quiet, other)], RUNS)
    assert (found.kind, found.rung, found.detail["max_ulp"]) == ("float-noise", "noise", 0)


def test_float_noise_carries_its_figures() -> None:
    (found,) = classify_pairs([(0.3, 0.1 + 0.2), (1.0, 1.0 + 4 * 2**-52)], RUNS)
    assert found.kind == "float-noise"
    assert found.detail["max_ulp"] == 4
    assert found.detail["max_abs"] == 4 * 2**-52


def test_renamed_uuids_are_identifiers() -> None:
    pairs = [(str(uuid.UUID(int=n, version=4)), str(uuid.UUID(int=n + 99, version=4))) for n in range(9)]
    assert [part.kind for part in classify_pairs(pairs * 2, RUNS)] == ["identifier"]


def test_identifiers_that_are_not_renamed_one_to_one_are_values() -> None:
    a, b, c = (str(uuid.UUID(int=n, version=4)) for n in range(3))
    assert [part.kind for part in classify_pairs([(a, b), (a, c)], RUNS)] == ["value"]


def test_an_identifier_inside_a_text_is_found() -> None:
    a, b = (uuid.UUID(int=n, version=4) for n in range(2))
    assert kind_of(f"urn:uuid:{a}", f"urn:uuid:{b}")[0] == "identifier"
    assert kind_of(f"run {a} has 5 rows", f"run {b} has 6 rows")[0] == "value"
    assert kind_of(a.hex, b.hex)[0] == "identifier"


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256", "sha512"])
def test_a_digest_is_a_value_not_an_identifier(name: str) -> None:
    a, b = (hashlib.new(name, bytes([n]), usedforsecurity=False).hexdigest() for n in range(2))
    assert kind_of(a, b) == ("value", "value")


def test_the_run_id_is_an_identifier_only_on_its_own_side() -> None:
    assert kind_of(f"out/{A.run_id}/x.csv", f"out/{B.run_id}/x.csv")[0] == "identifier"
    assert kind_of(f"{A.run_id} 1", f"{B.run_id} 2")[0] == "value"


def test_folders_hosts_and_addresses_of_the_runs() -> None:
    assert kind_of("/srv/replays/a/work/x.csv", "/tmp/b/x.csv")[0] == "path"  # noqa: S108
    assert kind_of("/srv/replays/a/work/x.csv", "/tmp/b/y.csv")[0] == "value"  # noqa: S108
    assert kind_of("/srv/replays/a/work-2/x", "/tmp/b-2/x")[0] == "value"  # noqa: S108
    assert kind_of("/tmp/b/x.csv", "/srv/replays/a/work/x.csv")[0] == "value"  # noqa: S108
    assert kind_of("/tmp/tmpab12cd34/x", "/tmp/tmpzz98yy76/x")[0] == "path"  # noqa: S108
    assert kind_of("made on alpha.", "made on beta.")[0] == "host"
    assert kind_of("alphabet", "betabet")[0] == "value"
    assert kind_of("<f at 0x7f12ab34cd56>", "<f at 0x7f12ab34ff00>")[0] == "address"


def test_marks_are_packaging_where_the_container_keeps_them() -> None:
    assert kind_of("/home/ana/x", "/home/bo/x", packaging=True) == ("path", "container")
    assert kind_of("x", "y", packaging=True) == ("value", "value")


def test_mixed_explanations_name_the_first_and_say_all() -> None:
    pair = (f"/home/ana/{A.run_id} 2026-02-03T21:14:08Z", f"/home/bo/{B.run_id} 2026-11-22T10:00:01Z")
    (found,) = classify_pairs([pair], RUNS)
    assert found.kind == "path"
    assert "run id" in found.evidence
    assert "ISO 8601" in found.evidence


def test_pairs_beyond_the_limit_are_values_and_said() -> None:
    context = Context(a=A, b=B, limits=Limits(pairs=2))
    pairs = [(f"é{n}", f"e\u0301{n}") for n in range(5)]
    parts = classify_pairs(pairs, context)
    assert [(part.kind, len(part.indexes)) for part in parts] == [("value", 3), ("encoding", 2)]
    assert "3 pairs beyond the limit" in parts[0].evidence


def test_a_megabyte_of_text_is_answered() -> None:
    long = "0123456789abcdef" * 65_536
    assert kind_of(long + " x", long + " y")[0] == "value"
    stamped = (
        "z" * 500_000 + " 2026-02-03T21:14:08Z " + "z" * 500_000,
        "z" * 500_000 + " 2026-11-22T10:00:01Z " + "z" * 500_000,
    )
    assert kind_of(*stamped)[0] == "timestamp"


def test_values_that_only_python_calls_equal_stay_apart() -> None:
    parts = classify_pairs([(1, 2), (True, 2), (1.0, 2.0)], RUNS)
    assert {(part.kind, part.indexes) for part in parts} == {("value", (0, 2)), ("type", (1,))}


floats = st.floats(allow_nan=True, allow_infinity=True, width=64)
scalars = st.one_of(
    st.none(), st.booleans(), st.integers(), floats, st.text(max_size=12), st.binary(max_size=4), st.dates()
)


@given(st.lists(st.tuples(scalars, scalars), max_size=30), st.booleans())
def test_every_pair_is_in_exactly_one_class(pairs: list[tuple[Any, Any]], text: bool) -> None:  # noqa: FBT001
    parts = classify_pairs(pairs, RUNS, text=text)
    assert sorted(index for part in parts for index in part.indexes) == list(range(len(pairs)))
    assert all(part.rung in {"value", "noise", "container"} for part in parts)


@given(floats, floats)
def test_the_fast_float_distance_agrees_with_the_plain_one(a: float, b: float) -> None:
    assert distances([(a, b)]) == [distance(a, b)]


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 6))
def test_distance_counts_the_steps_between_neighbours(start: float, steps: int) -> None:
    value = start
    for _ in range(steps):
        value = math.nextafter(value, math.inf)
    if math.isfinite(value):
        # The two zeros are one value: a walk over them has one step less to the other side.
        assert distance(start, value).ulp == steps
