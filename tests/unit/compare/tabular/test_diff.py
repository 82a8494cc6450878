from __future__ import annotations

import datetime as dt
import random
import uuid
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kfm_repro.compare.context import Classified, Context, Limits, Options, Side
from kfm_repro.compare.tabular.diff import compare_tables
from kfm_repro.model.finding import Finding, Kind, Rung
from kfm_repro.model.verdict import OutputVerdict, output_verdict

N = 60


def counties(**changed: Any) -> pa.Table:
    columns: dict[str, Any] = {
        "fips": [20001 + 2 * i for i in range(N)],
        "name": [f"County {i // 4}" for i in range(N)],
        "area": [100.5 + i for i in range(N)],
        "rural": [i % 3 == 0 for i in range(N)],
    }
    return pa.table(columns | changed)


def shuffled(table: pa.Table, seed: int = 7) -> pa.Table:
    order = list(range(table.num_rows))
    random.Random(seed).shuffle(order)  # noqa: S311  # a shuffle, no secret
    return table.take(order)


def kinds(findings: tuple[Finding, ...]) -> list[tuple[str, int]]:
    return sorted((str(finding.kind), finding.count) for finding in findings)


def only(findings: tuple[Finding, ...], kind: Kind) -> Finding:
    (finding,) = [finding for finding in findings if finding.kind is kind]
    return finding


def areas(**at: float) -> list[float]:
    values = [100.5 + i for i in range(N)]
    for place, value in at.items():
        values[int(place[1:])] = value
    return values


# ---- in place, bit by bit


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ([0.0], [-0.0], False),
        ([float("nan")], [float("nan")], True),
        ([None], [float("nan")], False),
        ([1.0], [1.0], True),
        ([[1.0]], [[-1.0]], False),
        ([[0.0]], [[-0.0]], False),
        ([[None]], [[]], False),
        ([None], [[]], False),
        ([{"x": 1}], [{"x": None}], False),
        ([{"x": float("nan")}], [{"x": float("nan")}], True),
        ([""], [None], False),
        ([b"\x00"], [b"\x00\x00"], False),
        ([Decimal("1.10")], [Decimal("1.10")], True),
        ([dt.date(1900, 1, 1)], [dt.date(1900, 1, 2)], False),
        (["é"], ["e\u0301"], False),
    ],
)
def test_nothing_is_reported_only_for_the_same_bits(a: list[Any], b: list[Any], *, same: bool) -> None:
    type_ = pa.array(a).type if a != [None] else pa.array(b).type
    findings = compare_tables(
        pa.table({"x": pa.array(a, type_)}), pa.table({"x": pa.array(b, type_)}), Context()
    )
    assert (not findings) == same


def test_nan_payload_is_noise_not_silence() -> None:
    bits = np.array([0x7FF8000000000000, 0x7FF8000000000001], np.uint64).view(np.float64)
    a, b = pa.table({"x": pa.array(bits[:1])}), pa.table({"x": pa.array(bits[1:])})
    (finding,) = compare_tables(a, b, Context())
    assert (finding.kind, finding.rung) == (Kind.FLOAT_NOISE, Rung.NOISE)


def test_signed_zero_is_noise() -> None:
    (finding,) = compare_tables(counties(area=areas(_3=0.0)), counties(area=areas(_3=-0.0)), Context())
    assert (finding.kind, finding.rung, finding.count, finding.of) == (Kind.FLOAT_NOISE, Rung.NOISE, 1, N)


def test_chunking_is_no_difference() -> None:
    table = counties()
    pieces = pa.concat_tables([table.slice(0, 7), table.slice(7, 0), table.slice(7)])
    assert compare_tables(table, pieces, Context()) == ()


@pytest.mark.parametrize(
    "type_",
    [
        pa.float16(),
        pa.float32(),
        pa.decimal128(20, 3),
        pa.decimal256(60, 3),
        pa.timestamp("ns", "America/Chicago"),
        pa.time64("ns"),
        pa.duration("us"),
        pa.date64(),
        pa.binary(3),
        pa.string_view(),
        pa.large_list(pa.float32()),
        pa.list_(pa.struct([("a", pa.timestamp("ns")), ("b", pa.dictionary(pa.int8(), pa.string()))])),
        pa.map_(pa.string(), pa.float64()),
        pa.dictionary(pa.int32(), pa.float64()),
        pa.month_day_nano_interval(),
        pa.bool_(),
        pa.uint64(),
        pa.list_view(pa.int8()),
        pa.run_end_encoded(pa.int32(), pa.string()),
    ],
    ids=str,
)
def test_every_type_is_compared_exactly_and_shuffles(type_: pa.DataType) -> None:
    first, second = _two_values(type_)
    a = pa.table({"id": range(6), "x": _array([first, None, second, first, None, second], type_)})
    b = pa.table({"id": range(6), "x": _array([first, None, second, second, None, second], type_)})
    assert compare_tables(a, a, Context()) == ()
    (finding,) = compare_tables(a, b, Context())
    assert (finding.where, finding.count, finding.of) == ({"column": "x"}, 1, 6)
    order = [3, 0, 5, 1, 4, 2]
    reordered = pa.table(
        {"id": order, "x": _array([[first, None, second, second, None, second][i] for i in order], type_)}
    )
    findings = compare_tables(a, reordered, Context())
    by_column = [finding.count for finding in findings if finding.rung in (Rung.VALUE, Rung.NOISE)]
    assert by_column == [1]
    assert Kind.ROW_ORDER in {finding.kind for finding in findings}


def _two_values(type_: pa.DataType) -> tuple[Any, Any]:  # noqa: PLR0911  # one return per type
    import pyarrow.types as t

    if t.is_map(type_):
        return [("k", 1.0)], [("k", -0.0)]
    if t.is_list(type_) and t.is_struct(type_.value_type):
        return [{"a": 1, "b": "x"}], [{"a": 2, "b": "x"}]
    if t.is_list(type_) or t.is_large_list(type_) or t.is_list_view(type_):
        return [1, None], [1, 2]
    if t.is_interval(type_):
        return pa.MonthDayNano([1, 2, 3]), pa.MonthDayNano([1, 2, 4])
    if t.is_decimal(type_):
        return Decimal("1.125"), Decimal("-7.5")
    if t.is_dictionary(type_) or t.is_floating(type_):
        return 1.0, 2.0
    if t.is_temporal(type_):
        return (86_400_000, 0) if t.is_date64(type_) else (1, 2)
    if t.is_fixed_size_binary(type_):
        return b"abc", b"abd"
    if t.is_boolean(type_):
        return True, False
    return (1, 2**64 - 1) if t.is_uint64(type_) else ("x", "y")


def _array(values: list[Any], type_: pa.DataType) -> pa.Array:
    import pyarrow.compute as pc
    import pyarrow.types as t

    if t.is_run_end_encoded(type_):
        return pc.run_end_encode(pa.array(values, pa.string()))
    return pa.array(values, type_)


# ---- order


def test_shuffled_rows_are_equivalent_not_different() -> None:
    findings = compare_tables(counties(), shuffled(counties()), Context())
    (finding,) = findings
    moved = sum(a != b for a, b in zip(counties()["fips"], shuffled(counties())["fips"], strict=True))
    assert (finding.kind, finding.rung, finding.count, finding.of) == (
        Kind.ROW_ORDER,
        Rung.ORDER,
        moved,
        N,
    )
    assert finding.detail["key"] == ["fips"]
    assert output_verdict(findings) is OutputVerdict.EQUIVALENT


def test_features_are_called_features() -> None:
    (finding,) = compare_tables(
        counties(), shuffled(counties()), Context(), unit="feature", where={"layer": "x"}
    )
    assert (finding.kind, finding.where) == (Kind.FEATURE_ORDER, {"layer": "x"})


def test_a_shuffle_does_not_hide_a_changed_cell() -> None:
    findings = compare_tables(counties(), shuffled(counties(area=areas(_9=1.0))), Context())
    value = only(findings, Kind.VALUE)
    assert (value.where, value.count, value.of) == ({"column": "area"}, 1, N)
    assert value.examples[0].key == {"fips": 20019}
    assert (value.examples[0].a, value.examples[0].b) == (109.5, 1.0)
    assert only(findings, Kind.ROW_ORDER).count > N // 2
    assert len(findings) == 2


def test_unbroken_ties_are_named_with_their_number() -> None:
    table = counties().drop(["fips", "area"]).append_column("x", [[(i * 37) % 101 for i in range(N)]])
    table = table.set_column(0, "name", pa.array([f"County {i // 4:02}" for i in range(N)]))
    order = list(range(N))
    order[0], order[1] = 1, 0
    order[8:12] = [11, 8, 9, 10]
    (finding,) = compare_tables(table, table.take(order), Context())
    assert finding.detail == {"key": ["name"], "tie_groups": 2}
    assert finding.count == 6
    assert "ties under ORDER BY (name) are not broken: 2 groups" in finding.evidence


def test_interchangeable_rows_are_not_moved() -> None:
    a = pa.table({"x": ["y", "x"]})
    b = pa.table({"x": ["x", "y", "x"]})
    assert kinds(compare_tables(a, b, Context())) == [("duplicate-rows", 1)]


def test_a_row_that_moved_beside_an_added_one_is_both() -> None:
    a = pa.table({"id": [1, 2, 3, 4]})
    b = pa.table({"id": [4, 1, 9, 2, 3]})
    assert kinds(compare_tables(a, b, Context())) == [("row-order", 4), ("rows-added", 1)]


# ---- rows


def test_added_rows_carry_both_counts_and_their_names() -> None:
    table = counties()
    findings = compare_tables(table.slice(0, N - 1), table, Context())
    (finding,) = findings
    assert (finding.kind, finding.count) == (Kind.ROWS_ADDED, 1)
    assert f"{N - 1} rows against {N}" in finding.evidence
    assert finding.examples[0].key == {"fips": 20001 + 2 * (N - 1)}


def test_copies_of_a_row_are_duplicates_not_additions() -> None:
    table = counties()
    three = pa.concat_tables([table, table.slice(5, 1), table.slice(5, 1)])
    assert kinds(compare_tables(table, three, Context())) == [("duplicate-rows", 2)]
    assert kinds(compare_tables(three, table, Context())) == [("duplicate-rows", 2)]


def test_duplicates_do_not_hide_the_key() -> None:
    changed = counties(area=areas(_9=1.0))
    findings = compare_tables(counties(), pa.concat_tables([changed, changed.slice(5, 2)]), Context())
    assert kinds(findings) == [("duplicate-rows", 2), ("value", 1)]
    assert only(findings, Kind.VALUE).examples[0].key == {"fips": 20019}


def test_a_replaced_row_is_removed_and_added() -> None:
    table = counties()
    new = pa.table({"fips": [1], "name": ["new"], "area": [0.0], "rural": [True]})
    findings = compare_tables(table, pa.concat_tables([table.slice(0, N - 1), new]), Context())
    assert kinds(findings) == [("rows-added", 1), ("rows-removed", 1)]


def test_one_empty_side_is_all_rows() -> None:
    assert kinds(compare_tables(counties().slice(0, 0), counties(), Context())) == [("rows-added", N)]
    assert kinds(compare_tables(counties(), counties().slice(0, 0), Context())) == [("rows-removed", N)]


def test_tables_without_columns_still_count_rows() -> None:
    a, b = (pa.table({"x": range(n)}).select([]) for n in (2, 5))
    assert kinds(compare_tables(a, b, Context())) == [("rows-added", 3)]


# ---- keys


def with_volatile(*names: str, seed: int) -> pa.Table:
    table = counties()
    for name in names:
        values = [f"{name}-{seed}-{i}" for i in range(N)]
        table = table.append_column(name, pa.array(values))
    return table


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("dropped", [[], ["fips"], ["fips", "area"]])
def test_a_column_new_in_every_row_is_that_column_alone(*, shuffle: bool, dropped: list[str]) -> None:
    a, b = (with_volatile("made", seed=seed).drop(dropped) for seed in (1, 2))
    findings = compare_tables(a, shuffled(b) if shuffle else b, Context())
    value = only(findings, Kind.VALUE)
    assert (value.where, value.count, value.of) == ({"column": "made"}, N, N)
    assert len(findings) == 1 + shuffle


def test_two_volatile_columns_leave_the_others_alone() -> None:
    a, b = (with_volatile("made", "token", seed=seed) for seed in (1, 2))
    findings = compare_tables(a, shuffled(b), Context())
    assert kinds(findings)[1:] == [("value", N), ("value", N)]


def test_a_uuid_column_is_never_the_key() -> None:
    rng = random.Random(3)  # noqa: S311  # test data
    a, b = (
        counties().add_column(
            0, "uuid", pa.array([str(uuid.UUID(int=rng.getrandbits(128), version=4)) for _ in range(N)])
        )
        for _ in range(2)
    )
    findings = compare_tables(a, shuffled(b), Context())
    identifier = only(findings, Kind.IDENTIFIER)
    assert (identifier.where, identifier.count) == ({"column": "uuid"}, N)
    assert list(identifier.examples[0].key) == ["fips"]  # type: ignore[arg-type]


def test_a_now_column_is_a_timestamp() -> None:
    windows = (1_700_000_000.0, 1_700_000_060.0), (1_700_086_400.0, 1_700_086_460.0)
    a, b = (
        counties().append_column(
            "at", pa.array([int(start) * 10**6 + i for i in range(N)], pa.timestamp("us", "UTC"))
        )
        for start, _ in windows
    )
    context = Context(Side(window=windows[0]), Side(window=windows[1]))
    (finding,) = compare_tables(a, b, context)
    assert (finding.kind, finding.count, finding.where) == (Kind.TIMESTAMP, N, {"column": "at"})


def test_a_pair_of_columns_can_be_the_key() -> None:
    a = pa.table({"county": ["a", "a", "b", "b"] * 5, "year": [1, 2, 1, 2] * 5, "n": range(20)})
    a = a.set_column(0, "county", pa.array([f"{c}{i // 4}" for i, c in enumerate(a["county"].to_pylist())]))
    changed = a.set_column(2, "n", pa.array([-1 if i in (3, 4, 9) else 7 * (i % 2) for i in range(20)]))
    findings = compare_tables(a.set_column(2, "n", [[7 * (i % 2) for i in range(20)]]), changed, Context())
    (finding,) = findings
    assert finding.count == 3
    assert list(finding.examples[0].key) == ["county", "year"]  # type: ignore[arg-type]


def test_a_declared_key_wins_over_a_better_one() -> None:
    a = pa.table({"id": [1, 2, 3], "name": ["x", "y", "z"]})
    b = pa.table({"id": [1, 2, 4], "name": ["x", "y", "z"]})
    assert kinds(compare_tables(a, b, Context(options=Options(key=("id",))))) == [
        ("rows-added", 1),
        ("rows-removed", 1),
    ]
    assert kinds(compare_tables(a, b, Context())) == [("value", 1)]


def test_a_declared_key_that_is_no_column_is_said() -> None:
    (finding,) = compare_tables(
        counties(), counties(area=areas(_1=0.5)), Context(options=Options(key=("nosuch",)))
    )
    assert "declared key column 'nosuch'" in finding.evidence


def test_without_any_key_aligned_rows_are_matched_by_position() -> None:
    a = pa.table({"x": [0.1 * (i % 7) for i in range(N)], "y": [0.3 * (i % 5) for i in range(N)]})
    step = float(np.nextafter(0.6, 1.0))
    b = a.set_column(1, "y", pa.array([step if i == 2 else 0.3 * (i % 5) for i in range(N)]))
    (finding,) = compare_tables(a, b, Context())
    assert (finding.kind, finding.count, finding.of) == (Kind.FLOAT_NOISE, 1, N)
    assert finding.examples[0].key == {"row": 2}
    assert "position" in finding.evidence


# ---- columns and types


def test_columns_only_on_one_side_are_schema() -> None:
    findings = compare_tables(counties(), counties().drop(["area"]).append_column("z", [[1] * N]), Context())
    assert [(f.kind, f.where, f.detail) for f in findings] == [
        (Kind.SCHEMA, {"column": "area"}, {"only_in": "a"}),
        (Kind.SCHEMA, {"column": "z"}, {"only_in": "b"}),
    ]


def test_column_order_alone_is_equivalent() -> None:
    findings = compare_tables(counties(), counties().select(["name", "fips", "area", "rural"]), Context())
    (finding,) = findings
    assert (finding.kind, finding.rung, finding.count, finding.of) == (Kind.COLUMN_ORDER, Rung.ORDER, 2, 4)


def test_duplicate_column_names_are_compared_one_by_one() -> None:
    a = pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["x", "x"])
    b = pa.Table.from_arrays([pa.array([1]), pa.array([3])], ["x", "x"])
    (finding,) = compare_tables(a, b, Context())
    assert finding.where == {"column": "x (2)"}


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        (pa.array([1, 2]), pa.array([1, 2], pa.int32()), Kind.TYPE),
        (pa.array([1, 2]), pa.array([1.0, 2.0]), Kind.TYPE),
        (pa.array([1, 2]), pa.array(["1", "2"]), Kind.TYPE),
        (pa.array([1, 2**63 - 1]), pa.array([1, 2**63 - 1], pa.uint64()), Kind.TYPE),
        (pa.array([1.5, None]), pa.array([1.5, None], pa.float32()), Kind.TYPE),
        (pa.array([None, None]), pa.array([None, None], pa.int64()), Kind.TYPE),
        (
            pa.array([1, 2], pa.timestamp("us")),
            pa.array([1, 2], pa.timestamp("us", "UTC")),
            Kind.TYPE,
        ),
        (pa.array([1, 2], pa.timestamp("ms")), pa.array([1000, 2000], pa.timestamp("us")), Kind.TYPE),
        (pa.array([Decimal("1.50")]), pa.array([Decimal("1.500")]), Kind.TYPE),
        (pa.array([Decimal("2.00")]), pa.array([2]), Kind.TYPE),
        (pa.array(["x", "y"]), pa.array(["x", "y"], pa.large_string()), Kind.LAYOUT),
        (pa.array(["x", "y"]), pa.array(["x", "y"]).dictionary_encode(), Kind.LAYOUT),
        (pa.array([[1]]), pa.array([[1]], pa.large_list(pa.int64())), Kind.LAYOUT),
    ],
    ids=lambda value: str(getattr(value, "type", value)),
)
def test_the_same_values_under_another_type_are_that_type_alone(a: pa.Array, b: pa.Array, kind: Kind) -> None:
    (finding,) = compare_tables(pa.table({"x": a}), pa.table({"x": b}), Context())
    assert finding.kind is kind
    assert finding.rung is (Rung.VALUE if kind is Kind.TYPE else Rung.CONTAINER)


def test_another_type_does_not_hide_another_value() -> None:
    a = pa.table({"x": pa.array([1, 2**60 + 1])})
    b = pa.table({"x": pa.array([1.0, float(2**60)])})
    assert kinds(compare_tables(a, b, Context())) == [("type", 1), ("value", 1)]


def test_order_of_ordered_categories_is_data_of_plain_ones_is_layout() -> None:
    one = pa.array(["lo", "hi", "lo"]).dictionary_encode()
    other = pa.DictionaryArray.from_arrays(pa.array([1, 0, 1], pa.int32()), pa.array(["hi", "lo"]))
    (finding,) = compare_tables(pa.table({"x": one}), pa.table({"x": other.cast(one.type)}), Context())
    assert (finding.kind, finding.rung) == (Kind.LAYOUT, Rung.CONTAINER)
    tables = [
        pa.table({"x": pa.DictionaryArray.from_arrays(array.indices, array.dictionary, ordered=True)})
        for array in (one, other)
    ]
    (finding,) = compare_tables(*tables, Context())
    assert (finding.kind, finding.rung) == (Kind.TYPE, Rung.VALUE)


def test_null_forms_are_told_apart() -> None:
    findings = compare_tables(
        pa.table({"id": [1, 2], "x": [None, 1.0]}),
        pa.table({"id": [1, 2], "x": [float("nan"), 1.0]}),
        Context(),
    )
    assert kinds(findings) == [("null-form", 1)]


def test_a_timestamp_beyond_python_does_not_stop_the_comparison() -> None:
    a, b = (pa.table({"x": pa.array([2**62 + i], pa.timestamp("s"))}) for i in (0, 1))
    (finding,) = compare_tables(a, b, Context())
    assert finding.count == 1


# ---- settings


def test_an_ignored_column_is_counted_at_tolerance_with_the_reason() -> None:
    context = Context(options=Options(ignore={"made": "job id of the cluster"}))
    a, b = (with_volatile("made", seed=seed) for seed in (1, 2))
    (finding,) = compare_tables(a, b, context)
    assert (finding.rung, finding.count) == (Rung.TOLERANCE, N)
    assert "job id of the cluster" in finding.evidence


def test_tolerance_splits_what_is_within_from_what_is_above() -> None:
    context = Context(options=Options(tolerance={"area": 0.01}))
    findings = compare_tables(counties(), counties(area=areas(_1=101.505, _2=102.75)), context)
    rungs = {finding.rung: finding for finding in findings}
    assert rungs[Rung.TOLERANCE].count == rungs[Rung.VALUE].count == 1
    assert "'area'" in rungs[Rung.TOLERANCE].evidence
    assert rungs[Rung.VALUE].examples[0].b == 102.75


def test_the_star_tolerance_is_for_floats_only() -> None:
    context = Context(options=Options(tolerance={"*": 1000.0}))
    fips = [20001 + 2 * i + (i == 4) for i in range(N)]
    findings = compare_tables(counties(), counties(area=areas(_1=1.0), fips=fips), context)
    assert {(f.where["column"], f.rung) for f in findings} == {
        ("area", Rung.TOLERANCE),
        ("fips", Rung.VALUE),
    }


def test_nan_is_within_no_tolerance() -> None:
    context = Context(options=Options(tolerance={"*": 1e308}))
    (finding,) = compare_tables(counties(), counties(area=areas(_1=float("inf"))), context)
    assert finding.rung is Rung.VALUE


def test_a_classifier_of_the_caller_tells_its_column_apart() -> None:
    def split(a: list[Any], b: list[Any], context: Context) -> tuple[Classified, ...]:
        del context
        assert all(isinstance(value, bytes) for value in (*a, *b))
        return (Classified("ring-start", "noise", tuple(range(len(a))), "rotated", {}, {"max": 0.0}),)

    a = pa.table({"id": [1, 2, 3], "geometry": [b"a", b"b", b"c"]})
    b = pa.table({"id": [1, 2, 3], "geometry": [b"a", b"x", b"x"]})
    (finding,) = compare_tables(a, b, Context(), classifiers={"geometry": split})
    assert (finding.kind, finding.count, finding.metres) == (Kind.RING_START, 2, {"max": 0.0})


def test_examples_are_bounded_and_counts_are_not() -> None:
    findings = compare_tables(counties(), counties(area=[float(i) for i in range(N)]), Context())
    (finding,) = findings
    assert (finding.count, len(finding.examples)) == (N, 10)


def test_pairs_beyond_the_limit_are_values_and_said_so() -> None:
    context = Context(limits=Limits(pairs=5))
    a = pa.table({"id": range(9), "x": [str(uuid.UUID(int=i)) for i in range(9)]})
    b = pa.table({"id": range(9), "x": [str(uuid.UUID(int=i + 50)) for i in range(9)]})
    findings = compare_tables(a, b, context)
    assert sum(finding.count for finding in findings) == 9
    last = findings[-1]
    assert (last.kind, last.count) == (Kind.VALUE, 4)
    assert "4 further distinct pairs" in last.evidence


def test_a_declared_key_of_two_columns_names_the_rows() -> None:
    a = pa.table({"county": ["a", "a", "b"], "year": [1, 2, 1], "n": [1, 2, 3]})
    b = pa.table({"county": ["b", "a", "a"], "year": [1, 3, 1], "n": [9, 2, 1]})
    findings = compare_tables(a, b, Context(options=Options(key=("county", "year"))))
    assert kinds(findings) == [("row-order", 2), ("rows-added", 1), ("rows-removed", 1), ("value", 1)]
    assert only(findings, Kind.VALUE).examples[0].key == {"county": "b", "year": 1}


def test_a_declared_key_is_kept_where_another_column_stands_still() -> None:
    a = pa.table({"name": ["x", "y", "z"], "id": [1, 2, 3]})
    b = pa.table({"name": ["x", "y", "z"], "id": [1, 3, 2]})
    findings = compare_tables(a, b, Context(options=Options(key=("id",))))
    assert kinds(findings) == [("row-order", 2), ("value", 2)]
    assert only(findings, Kind.VALUE).where == {"column": "name"}


def test_volatile_columns_do_not_make_shared_rows_strangers() -> None:
    def made(seed: int, names: list[str]) -> pa.Table:
        columns: dict[str, Any] = {"cat": names}
        for column in "uvwx":
            columns[column] = [f"{column}{seed}-{i}" for i in range(len(names))]
        return pa.table(columns)

    names = [f"c{i // 2}" for i in range(10)]
    findings = compare_tables(made(1, names), made(2, ["c9", *names]), Context())
    assert kinds(findings) == [("rows-added", 1), *[("value", 10)] * 4]


def test_a_column_with_nulls_is_no_key() -> None:
    codes = [None, *range(1, 12)]
    a = pa.table({"code": codes, "x": [i // 2 for i in range(12)], "y": [i // 3 for i in range(12)]})
    b = a.set_column(1, "x", pa.array([i // 2 if i != 4 else 77 for i in range(12)]))
    (finding,) = compare_tables(a, b, Context())
    assert (finding.where, finding.count) == ({"column": "x"}, 1)
    assert "code" not in finding.examples[0].key  # type: ignore[operator]


def test_an_unseeded_sample_is_other_rows_not_other_values() -> None:
    counties = [
        {
            "geoid": f"20{n:03}",
            "name": f"county {n}",
            "airports": n % 3,
            "zips": n % 11,
            "rate": (n * 37 % 101) / 7,
        }
        for n in range(1, 211, 2)
    ]
    for seed in range(40):
        left, right = (
            sorted(np.random.default_rng(seed * 2 + k).choice(105, 20, replace=False).tolist())
            for k in (0, 1)
        )
        a, b = (pa.Table.from_pylist([counties[n] for n in rows]) for rows in (left, right))
        if not set(left) & set(right):
            continue
        findings = compare_tables(a, b, Context())
        gone = len(set(left) - set(right))
        counts = {finding.kind: finding.count for finding in findings if finding.rung is Rung.VALUE}
        assert counts == {Kind.ROWS_ADDED: gone, Kind.ROWS_REMOVED: gone}, (seed, counts)


@pytest.mark.parametrize(("rows_a", "rows_b"), [(0, 1), (1, 2), (3, 3), (2, 5)])
def test_columns_of_nulls_alone_are_compared(rows_a: int, rows_b: int) -> None:
    a, b = (pa.table({"x": pa.nulls(n), "y": pa.array(range(n, 0, -1))}) for n in (rows_a, rows_b))
    assert bool(compare_tables(a, b, Context())) == (rows_a != rows_b)
    assert bool(compare_tables(a.select(["x"]), b.select(["x"]), Context())) == (rows_a != rows_b)
