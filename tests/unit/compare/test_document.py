from __future__ import annotations

import copy
import json
import random
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kfm_repro.compare.context import Context, Limits, Side
from kfm_repro.compare.document import compare_json, compare_yaml, pairing
from kfm_repro.errors import LimitExceeded, Unreadable
from kfm_repro.model.finding import Finding, Kind, Rung

RUNS = Context(
    a=Side(window=(1_770_153_240.0, 1_770_153_270.0)), b=Side(window=(1_795_341_600.0, 1_795_341_630.0))
)


def texts(
    folder: Path, a: str, b: str, *, form: str = "json", context: Context = RUNS
) -> tuple[Finding, ...]:
    for name, text in (("a", a), ("b", b)):
        (folder / name).write_text(text, encoding="utf-8")
    return (compare_json if form == "json" else compare_yaml)(folder / "a", folder / "b", context)


def values(folder: Path, a: Any, b: Any, context: Context = RUNS) -> tuple[Finding, ...]:
    return texts(folder, json.dumps(a), json.dumps(b), context=context)


def brief(findings: tuple[Finding, ...]) -> list[tuple[str, Any, int]]:
    return [(str(f.kind), f.where.get("pointer"), f.count) for f in findings]


def test_keys_in_another_order_are_equivalent(tmp_path: Path) -> None:
    (found,) = texts(tmp_path, '{"x":{"a":1,"b":2}}', '{"x":{"b":2,"a":1}}')
    assert (found.kind, found.rung, found.where) == (Kind.KEY_ORDER, Rung.ORDER, {"pointer": "/x"})


def test_an_array_in_another_order_is_equivalent(tmp_path: Path) -> None:
    (found,) = values(tmp_path, {"bands": ["b1", "b2", "b2", "b3"]}, {"bands": ["b2", "b3", "b1", "b2"]})
    assert (found.kind, found.rung, found.where) == (Kind.ARRAY_ORDER, Rung.ORDER, {"pointer": "/bands"})


def test_another_multiset_is_no_mere_order(tmp_path: Path) -> None:
    assert Rung.VALUE in {f.rung for f in values(tmp_path, [1, 2, 2], [2, 1, 1])}


def test_a_shuffled_array_with_a_changed_member_says_both(tmp_path: Path) -> None:
    a = [{"id": n, "v": n} for n in range(60)]
    b = copy.deepcopy(a)
    b[7]["v"] = -1
    random.Random(5).shuffle(b)  # noqa: S311  # a fixed stream, no secret
    found = values(tmp_path, a, b)
    assert brief(found) == [("array-order", "", 1), ("value", "/7/v", 1)]
    assert (found[1].examples[0].a, found[1].examples[0].b) == (7, -1)


def test_an_inserted_member_is_one_finding(tmp_path: Path) -> None:
    (found,) = values(tmp_path, list(range(50)), [*range(20), 999, *range(20, 50)])
    assert brief((found,)) == [("value", "/20", 1)]
    assert found.detail == {"missing": "a"}


def test_changed_members_without_a_name_are_paired_by_likeness(tmp_path: Path) -> None:
    a = [
        {"p": [1, 2], "q": [3, 4], "r": [5, 6], "s": [0, 1]},
        {"p": [9, 9], "q": [8, 8], "r": [7, 7], "s": [6, 6]},
    ]
    b = [{"z": 1}, {**a[1], "s": [6, 5]}, {**a[0], "s": [0, 2]}]
    assert brief(values(tmp_path, a, b)) == [
        ("array-order", "", 1),
        ("value", "/*/s/1", 2),
        ("value", "/0", 1),
    ]


def test_a_missing_key_names_its_pointer_and_side(tmp_path: Path) -> None:
    (found,) = values(tmp_path, {"a/b": {"m~n": 1}}, {"a/b": {}})
    assert (found.where, found.detail) == ({"pointer": "/a~1b/m~0n"}, {"missing": "b"})


def test_a_null_is_not_a_missing_key(tmp_path: Path) -> None:
    assert brief(values(tmp_path, {"a": None}, {})) == [("value", "/a", 1)]


def test_places_that_differ_in_indexes_only_are_one_finding(tmp_path: Path) -> None:
    a = {"features": [{"at": f"2026-02-03T21:14:{n:02}Z"} for n in range(10, 20)]}
    b = {"features": [{"at": f"2026-11-22T10:00:{n:02}Z"} for n in range(10, 20)]}
    (found,) = values(tmp_path, a, b)
    assert brief((found,)) == [("timestamp", "/features/*/at", 10)]
    assert found.examples[3].key == {"pointer": "/features/3/at"}


def test_identifiers_must_be_renamed_one_to_one_over_the_document(tmp_path: Path) -> None:
    x, y, z = (str(uuid.UUID(int=n, version=4)) for n in range(3))
    good = values(tmp_path, {"id": x, "ref": x}, {"id": y, "ref": y})
    bad = values(tmp_path, {"id": x, "ref": x}, {"id": y, "ref": z})
    assert [str(f.kind) for f in good] == ["identifier", "identifier"]
    assert [str(f.kind) for f in bad] == ["value", "value"]


@pytest.mark.parametrize(
    ("a", "b", "kind", "rung"),
    [
        ("[1]", "[1.0]", "type", "value"),
        ("[1]", "[true]", "type", "value"),
        ("[0]", "[false]", "type", "value"),
        ("[[]]", "[{}]", "type", "value"),
        ("[null]", '[""]', "null-form", "value"),
        ("[9007199254740993]", "[9007199254740992]", "value", "value"),
        ("[1e400]", "[1e401]", "value", "value"),
        ("[1e-400]", "[2e-400]", "value", "value"),
        ("[-0.0]", "[0.0]", "float-noise", "noise"),
        ("[0.3]", "[0.30000000000000004]", "float-noise", "noise"),
        ("[1.10]", "[1.1]", "encoding", "container"),
        ('["\\u00e9"]', '["é"]', "encoding", "container"),
        ("\ufeff[1]", "[ 1 ]", "encoding", "container"),
        ("[" + "7" * 5000 + "]", "[" + "7" * 4999 + "8]", "value", "value"),
    ],
)
def test_json_scalars_are_compared_exactly(tmp_path: Path, a: str, b: str, kind: str, rung: str) -> None:
    (found,) = texts(tmp_path, a, b)
    assert (str(found.kind), str(found.rung)) == (kind, rung)


def test_a_repeated_key_makes_the_order_of_lines_count(tmp_path: Path) -> None:
    found = texts(tmp_path, '{"a": 1,\n"a": 2,\n"b": 3}', '{"a": 2,\n"a": 1,\n"b": 3}')
    assert {f.rung for f in found} == {Rung.VALUE}
    reordered = texts(tmp_path, "a: 1\na: 2\n", "a: 2\na: 1\n", form="yaml")
    assert [(f.kind, f.rung) for f in reordered] == [(Kind.ROW_ORDER, Rung.VALUE)]


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        ("a: no", "a: false", "type"),
        ("a: 0o10", "a: 8", "type"),
        ("a: 010", "a: 8", "type"),
        ("a: 1:30", "a: 90", "type"),
        ("a: 1e999", "a: 1e998", "value"),
        ("1: x", "'1': x", "value"),
        ("--- 1\n--- 2", "--- 1\n--- 3", "value"),
        ("--- 1", "--- 1\n--- 1", "type"),
        ("a: 2026-02-03T21:14:08Z", "a: 2026-11-22T10:00:01Z", "timestamp"),
        ("a: {b: 1, c: 2}", "a: {c: 2, b: 1}", "key-order"),
        ("a: 1 # one", "a:   1", "encoding"),
        ("a: &x [1]\nb: *x", "a: [1]\nb: [1]", "encoding"),
        ("a: &x {k: 1}\nb: {<<: *x}", "a: {k: 1}\nb: {k: 1}", "encoding"),
        ("a: 'x'", 'a: "x"', "encoding"),
    ],
)
def test_yaml_is_compared_by_what_it_says(tmp_path: Path, a: str, b: str, kind: str) -> None:
    found = texts(tmp_path, a, b, form="yaml")
    assert kind in {str(f.kind) for f in found}
    assert (kind in {"key-order", "encoding"}) == all(f.rung is not Rung.VALUE for f in found)


def bomb(line: str) -> str:
    return "a0: &a0 {x: 1}\n" + "".join(
        f"a{n}: &a{n} {line.format(','.join([f'*a{n - 1}'] * 10))}\n" for n in range(1, 12)
    )


@pytest.mark.parametrize(
    "text",
    [bomb("[{}]"), bomb("{{<<: [{}]}}"), "a: &a [*a]", "[" * 200_000, "- " * 20_000, "? " * 20_000],
    ids=["laughs", "merges", "cycle", "flow depth", "block depth", "key depth"],
)
def test_a_yaml_bomb_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises((LimitExceeded, Unreadable)):
        texts(tmp_path, text, text + " # other", form="yaml")


@pytest.mark.parametrize("depth", [900, 100_000])
def test_deep_json_is_refused_not_fatal(tmp_path: Path, depth: int) -> None:
    deep = "[" * depth
    with pytest.raises(LimitExceeded):
        texts(tmp_path, deep + "1" + "]" * depth, deep + "2" + "]" * depth)


def test_a_document_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LimitExceeded):
        texts(tmp_path, "[1]", "[2]", context=Context(limits=Limits(document_bytes=2)))


@pytest.mark.parametrize("text", ["{", "", "[1] 2", "\udcff"])
def test_what_is_no_json_is_unreadable(tmp_path: Path, text: str) -> None:
    (tmp_path / "a").write_bytes(text.encode("utf-8", "surrogateescape"))
    (tmp_path / "b").write_text("[1]", encoding="utf-8")
    with pytest.raises(Unreadable):
        compare_json(tmp_path / "a", tmp_path / "b", RUNS)


@pytest.mark.parametrize("text", ["a: !!python/object/apply:os.getcwd []", "a: [", "\x00"])
def test_what_is_no_safe_yaml_is_unreadable(tmp_path: Path, text: str) -> None:
    with pytest.raises(Unreadable):
        texts(tmp_path, text, "a: 1", form="yaml")


def test_very_many_pointers_become_one_finding_with_all_counts(tmp_path: Path) -> None:
    a = {"counties": {f"c{n}": {"n": n} for n in range(500)}}
    b = {"counties": {f"c{n}": {"n": n + 1} for n in range(500)}}
    assert brief(values(tmp_path, a, b)) == [("value", "/counties/*", 500)]


def test_a_large_changed_array_needs_no_slow_differ(tmp_path: Path) -> None:
    a = [[n, n] for n in range(30_000)]
    b = [[n, n + 1] for n in range(30_000)]
    assert brief(values(tmp_path, a, b)) == [("value", "/*/1", 30_000)]


documents = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 3),
        st.sampled_from([0.0, -0.0, 1.0, 0.5]),
        st.sampled_from("xy"),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=12,
)
relaxed = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def canonical(value: Any, *, arrays: bool) -> Any:
    """Oracle: a value whose equality ignores key order, and array order if asked."""
    if isinstance(value, dict):
        return ("object", tuple(sorted((k, canonical(v, arrays=arrays)) for k, v in value.items())))
    if isinstance(value, list):
        members = [canonical(v, arrays=arrays) for v in value]
        return ("array", tuple(sorted(members, key=repr) if arrays else members))
    return (type(value).__name__, repr(value))


@relaxed
@given(a=documents, b=documents)
def test_a_difference_is_never_lost_and_equality_never_doubted(tmp_path: Path, a: Any, b: Any) -> None:
    found = values(tmp_path, a, b)
    rungs = {f.rung for f in found}
    if json.dumps(a) == json.dumps(b):
        assert not found
    elif canonical(a, arrays=False) == canonical(b, arrays=False):
        assert {f.kind for f in found} == {Kind.KEY_ORDER}
    elif rungs <= {Rung.ORDER}:
        assert repr(canonical(a, arrays=True)) == repr(canonical(b, arrays=True))
    else:
        assert rungs - {Rung.ORDER}


@relaxed
@given(document=documents)
def test_yaml_and_json_of_one_document_agree(tmp_path: Path, document: Any) -> None:
    plain = yaml.safe_dump(document, sort_keys=False)
    flow = yaml.safe_dump(document, sort_keys=False, default_flow_style=True)
    assert {f.rung for f in texts(tmp_path, plain, flow, form="yaml")} <= {Rung.CONTAINER}


@pytest.mark.parametrize(
    "plain",
    ["yes", "Off", "2020-01-01", "012", "0x1F", "0o17", "0b11", "1_000", "1:30", "1e3", "=", "1.5", "~"],
)
def test_a_plain_scalar_that_readers_may_type_is_not_the_quoted_text(tmp_path: Path, plain: str) -> None:
    found = texts(tmp_path, f"a: {plain}", f"a: '{plain}'", form="yaml")
    assert found
    assert {str(f.rung) for f in found} == {"value"}
    assert brief(texts(tmp_path, f"a: {plain}", f"a:  {plain}", form="yaml")) == [("encoding", None, 1)]


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("a: 0x1F", "a: 31"),
        ("a: +1", "a: 1"),
        ("a: 1.50", "a: 1.5"),
        ("a: TRUE", "a: true"),
        ("a: ~", "a: null"),
        ("a: text", "a: 'text'"),
    ],
)
def test_yaml_scalars_that_all_schemas_read_alike_are_equal(tmp_path: Path, a: str, b: str) -> None:
    assert {str(f.rung) for f in texts(tmp_path, a, b, form="yaml")} == {"container"}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("a: yes", "a: true"),
        ("a: 1e3", "a: 1000.0"),
        ("a: 1_000", "a: 1000"),
        ('a: !!int "010"', "a: 10"),
        ('a: !!float "1_0.0"', "a: 10.0"),
        ('a: !!bool "yes"', "a: true"),
        ('a: !!null "zzz"', "a: null"),
        ("a: !!timestamp 2020-01-01", "a: !!timestamp 2020-01-01T00:00:00"),
        ("{1: a, true: b}", "{1: b}"),
        ("{1: a, 1.0: b}", "{1: b}"),
        ("{1: a, +1: b}", "{1: b}"),
        ("{<<: {1: a}, true: b}", "{1: b}"),
        ("a: !!set {1, 1.0}", "a: !!set {1}"),
        ("a: !!set {1, 2}", "a: [1, 2]"),
        ("--- 1\n--- 2", "[1, 2]"),
        ("# nothing", "null"),
        ("# nothing", "[]"),
        ("a: !!omap [x: 1, y: 2]", "a: [[x, 1], [y, 2]]"),
        ("a: !!omap [x: 1, y: 2]", "a: !!omap [y: 2, x: 1]"),
        ("a: !!pairs [x: 1, y: 2]", "a: !!omap [x: 1, y: 2]"),
        ("a: !!timestamp nonsense", "a: nonsense"),
        ("%YAML 1.1\n---\na: yes", "%YAML 1.2\n---\na: yes"),
        ("%YAML 1.1\n---\na: 010", "a: 010"),
        ("--- 010\n...\n%YAML 1.1\n--- 010\n", "%YAML 1.1\n--- 010\n...\n--- 010\n"),
    ],
)
def test_yaml_that_readers_take_for_different_things_is_different(tmp_path: Path, a: str, b: str) -> None:
    for left, right in ((a, b), (b, a)):
        found = texts(tmp_path, left, right, form="yaml")
        assert "value" in {str(f.rung) for f in found}, found


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("a: !!set {x, y}", "a: !!set {y, x}"),
        ("a: !!omap [x: 1]", "a: !!omap [ x: 1 ]"),
        ("# nothing", "# still nothing"),
        ("a: &x {k: 1, j: 2}\nb: {<<: *x, k: 3}", "a: &x {k: 1, j: 2}\nb: {<<: *x,  k: 3}"),
        ("%YAML 1.2\n---\na: yes", "a: yes"),
        ("%YAML 1.1\n---\na: true", "%YAML 1.2\n---\na: true"),
    ],
)
def test_yaml_that_says_the_same_is_equivalent(tmp_path: Path, a: str, b: str) -> None:
    assert {str(f.rung) for f in texts(tmp_path, a, b, form="yaml")} == {"container"}


@pytest.mark.parametrize("form", ["json", "yaml"])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("12345678901234567.89", "12345678901234567.90"),
        ("10000000000000000.01", "10000000000000000.99"),
        ("0.10000000000000000001", "0.1"),
        ("1" + "0" * 5000, "1.0e+5000"),
    ],
)
def test_decimals_beyond_binary64_are_not_rounded_together(tmp_path: Path, form: str, a: str, b: str) -> None:
    found = texts(tmp_path, f"[{a}]", f"[{b}]", form=form)
    assert {str(f.rung) for f in found} == {"value"}


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ("1e400", "10e399"),
        ("1e-400", "0.1e-399"),
        ("0.1", "0.1000000000000000055511151231257827"),
        ("0.1", "0.1000000000000000055511151231257827021181583404541015625"),
        ("12345678901234567.890", "12345678901234567.89"),
    ],
)
def test_one_number_spelled_otherwise_is_the_same_number(tmp_path: Path, a: str, b: str) -> None:
    assert {str(f.rung) for f in texts(tmp_path, f"[{a}]", f"[{b}]")} == {"container"}


@pytest.mark.parametrize("key", ["coordinates", "bbox"])
def test_the_order_below_coordinates_and_bbox_is_data(tmp_path: Path, key: str) -> None:
    (found,) = values(tmp_path, {"n": [{key: [[-98.5, 38.2]]}]}, {"n": [{key: [[38.2, -98.5]]}]})
    assert (found.kind, found.rung) == (Kind.VALUE, Rung.VALUE)


class Weighed:
    """Counts what DeepDiff is asked to weigh: products of the scalars on both sides."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.units: list[int] = []
        real = pairing._by_distance

        def counted(removed: list[Any], added: list[Any]) -> list[tuple[int, int]]:
            sizes = [json.dumps(side).count(",") + len(side) for side in (removed, added)]
            self.units.append(sizes[0] * sizes[1])
            return real(removed, added)

        monkeypatch.setattr(pairing, "_by_distance", counted)


def floats(rows: int, columns: int, seed: int) -> list[list[float]]:
    stream = random.Random(seed)  # noqa: S311  # a fixed stream, no secret
    return [[stream.random() for _ in range(columns)] for _ in range(rows)]


def test_large_members_are_compared_by_place_and_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed = Weighed(monkeypatch)
    found = values(tmp_path, ["s", *floats(20, 100, 1)], ["s", *floats(19, 100, 2)])
    assert not weighed.units
    assert brief(found) == [("value", "/*/*", 1900), ("value", "/20", 1)]
    assert all("too many to pair by likeness" in f.evidence for f in found)


def test_the_slow_differ_has_one_budget_for_the_whole_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weighed = Weighed(monkeypatch)
    a = {f"k{n}": ["s", *floats(12, 4, n)] for n in range(90)}
    b = {f"k{n}": ["s", *floats(11, 4, n + 500)] for n in range(90)}
    values(tmp_path, a, b)
    assert weighed.units
    assert sum(weighed.units) <= pairing.BUDGET


def test_members_with_a_key_each_of_their_own_are_looked_at_once(tmp_path: Path) -> None:
    a, b = ([{f"{side}{n}": n} for n in range(20_000)] for side in "ab")
    found = values(tmp_path, ["s", *a], ["s", *b, 1])
    assert sum(f.count for f in found) > 20_000


def test_leftovers_of_which_the_differ_names_an_index_beyond_the_end(tmp_path: Path) -> None:
    found = values(tmp_path, [[], [], [None]], [None, None])
    assert {f.rung for f in found} == {Rung.VALUE}


def test_odd_yaml_members_are_paired_by_likeness(tmp_path: Path) -> None:
    a = "- s\n- {p: [yes, 2020-01-01, 1], q: [1e400, 3]}\n- {x: 1}\n"
    b = "- s\n- {z: 012}\n- {p: [yes, 2020-01-01, 2], q: [1e400, 3]}\n- {y: 0x1}\n"
    found = texts(tmp_path, a, b, form="yaml")
    assert ("value", "/1/p/2", 1) in brief(found)


ORDERED = [
    ({"x": [1, 2, 3], "y": [4, 5, 6]}, {"x": [3, 2, 1], "y": [4, 5, 6]}, "/x"),
    ({"x": [1.5, None, 3]}, {"x": [3, None, 1.5]}, "/x"),
    (
        {"type": "Topology", "arcs": [[[0, 0], [1, 2]]]},
        {"type": "Topology", "arcs": [[[1, 2], [0, 0]]]},
        "/arcs/0",
    ),
    (
        {"transform": [30, 0, 700000, 0, -30, 4200000]},
        {"transform": [30, 0, 4200000, 0, -30, 700000]},
        "/transform",
    ),
    ({"paths": [[[0, 1], [2, 3]]]}, {"paths": [[[2, 3], [0, 1]]]}, "/paths/0"),
    (
        {"temporal": {"interval": [["2020", "2021"]]}},
        {"temporal": {"interval": [["2021", "2020"]]}},
        "/temporal/interval/0",
    ),
    ({"@list": ["a", "b"]}, {"@list": ["b", "a"]}, "/@list"),
    (
        {"columns": ["pop", "area"], "data": [[1, 2]]},
        {"columns": ["area", "pop"], "data": [[1, 2]]},
        "/columns",
    ),
    ({"data": [["a", "b"]]}, {"data": [["b", "a"]]}, "/data/0"),
    (
        {"properties": {"proj:shape": ["h", "w"]}},
        {"properties": {"proj:shape": ["w", "h"]}},
        "/properties/proj:shape",
    ),
    ({"axis": [{"n": "lat"}, {"n": "lon"}]}, {"axis": [{"n": "lon"}, {"n": "lat"}]}, "/axis"),
    ({"dims": ["y", "x"]}, {"dims": ["x", "y"]}, "/dims"),
    *(
        ({"a": {name: [{"n": "x"}, {"n": "y"}]}}, {"a": {name: [{"n": "y"}, {"n": "x"}]}}, f"/a/{name}")
        for name in ("bands", "eo:bands", "raster:bands", "layers", "cells", "steps", "fields")
    ),
    ({"m": [["a", 1], ["b", 2]]}, {"m": [["b", 2], ["a", 1]]}, "/m"),
    ([True, False], [False, True], ""),
]


@pytest.mark.parametrize(("a", "b", "place"), ORDERED, ids=[case[2] for case in ORDERED])
@pytest.mark.parametrize("form", ["json", "yaml"])
def test_arrays_whose_order_is_data_are_values_and_the_order_is_named(
    tmp_path: Path, a: Any, b: Any, place: str, form: str
) -> None:
    (found,) = texts(tmp_path, json.dumps(a), json.dumps(b), form=form)
    assert (found.kind, found.rung, found.where) == (Kind.VALUE, Rung.VALUE, {"pointer": place})
    assert found.evidence == "the array holds the same members in another order, which is data here"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ({"tags": ["a", "b"]}, {"tags": ["b", "a"]}),
        ({"links": [{"rel": "self"}, {"rel": "root"}]}, {"links": [{"rel": "root"}, {"rel": "self"}]}),
        ({"data": [{"id": 1}, {"id": 2}]}, {"data": [{"id": 2}, {"id": 1}]}),
        ({"index": {"names": ["a", "b"]}}, {"index": {"names": ["b", "a"]}}),
    ],
)
def test_sets_of_objects_and_of_texts_in_another_order_are_equivalent(tmp_path: Path, a: Any, b: Any) -> None:
    (found,) = values(tmp_path, a, b)
    assert (found.kind, found.rung) == (Kind.ARRAY_ORDER, Rung.ORDER)
