from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfm_repro.compare.tabular.exact import codes as codes_of
from kfm_repro.compare.tabular.exact import exact

MAPS = [
    pa.map_(pa.string(), pa.list_(pa.null())),
    pa.map_(pa.string(), pa.list_(pa.null(), 2)),
    pa.map_(pa.string(), pa.list_(pa.list_(pa.null()))),
    pa.map_(pa.string(), pa.list_(pa.int8())),
    pa.map_(pa.string(), pa.struct([("x", pa.float64())])),
    pa.map_(pa.string(), pa.map_(pa.int8(), pa.string())),
]


def value(kind: pa.DataType, rng: random.Random) -> Any:
    if pa.types.is_null(kind) or rng.random() < 0.2:
        return None
    if pa.types.is_map(kind):
        return [
            (7 if kind.key_type == pa.int8() else key, value(kind.item_type, rng))
            for key in "ab"[: rng.randrange(3)]
        ]
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        size = kind.list_size if pa.types.is_fixed_size_list(kind) else rng.randrange(3)
        return [value(kind.value_type, rng) for _ in range(size)]
    if pa.types.is_struct(kind):
        return {member.name: value(member.type, rng) for member in kind}
    return rng.choice({pa.int8(): [1, 2], pa.string(): ["", "a"]}.get(kind, [0.5, 1.5]))


def told_apart_as_python_does(column: pa.ChunkedArray) -> bool:
    found, python = exact(column).to_pylist(), [repr(v) for v in column.to_pylist()]
    size = len(python)
    return all((found[i] == found[j]) == (python[i] == python[j]) for i in range(size) for j in range(size))


@pytest.mark.parametrize("kind", MAPS, ids=str)
def test_maps_of_any_items_are_told_apart_through_real_row_groups(tmp_path: Path, kind: pa.DataType) -> None:
    rng = random.Random(5)  # noqa: S311  # test data
    for _ in range(20):
        cells = pa.array([value(kind, rng) for _ in range(9)], kind)
        pq.write_table(pa.table({"x": cells}), tmp_path / "x.parquet", row_group_size=4)
        assert told_apart_as_python_does(pq.read_table(tmp_path / "x.parquet")["x"])


@pytest.mark.parametrize("kind", MAPS, ids=str)
def test_a_slice_of_maps_is_its_own_rows(kind: pa.DataType) -> None:
    rng = random.Random(6)  # noqa: S311  # test data
    cells = pa.array([value(kind, rng) for _ in range(30)], kind)
    for start in range(0, 28, 3):
        part = pa.chunked_array([cells.slice(start, 5)])
        again = pa.chunked_array([pa.array(part.to_pylist(), kind)])
        assert told_apart_as_python_does(part)
        assert exact(part).equals(exact(again))


def test_entries_of_a_map_that_begin_later_in_their_buffer_are_these_entries() -> None:
    kind = pa.map_(pa.string(), pa.int8())
    members = pa.struct([pa.field("key", pa.string(), nullable=False), pa.field("value", pa.int8())])
    entries = pa.array([{"key": key, "value": n} for n, key in enumerate("xyzw")], members).slice(1)
    offsets = pa.array([0, 1, 3], pa.int32()).buffers()[1]
    moved = pa.Array.from_buffers(kind, 2, [None, offsets], children=[entries])
    plain = pa.array([[("y", 1)], [("z", 2), ("w", 3)]], kind)
    assert exact(pa.chunked_array([moved])).equals(exact(pa.chunked_array([plain])))


@pytest.mark.parametrize("dense", [True, False])
def test_the_member_that_holds_the_value_of_a_union_is_part_of_it(*, dense: bool) -> None:
    members = [pa.array([1, 1]), pa.array([1.0, 1.0])]
    sides = []
    for codes in ([0, 1], [1, 1]):
        kinds, offsets = pa.array(codes, pa.int8()), pa.array([0, 1], pa.int32())
        made = pa.UnionArray.from_dense(kinds, offsets, members) if dense else None
        sides.append(exact(pa.chunked_array([made or pa.UnionArray.from_sparse(kinds, members)])).to_pylist())
    assert [a == b for a, b in zip(*sides, strict=True)] == [False, True]


def test_long_byte_strings_have_one_code_each() -> None:
    values = [b"a" * 300, None, b"b" * 300, b"a" * 300, b"a" * 301, b"", None, b"b" * 300]
    column = pa.chunked_array([pa.array(values, pa.large_binary())])
    left, right = codes_of(column.slice(0, 5), column.slice(5))
    found = [*left.tolist(), *right.tolist()]
    for i, one in enumerate(values):
        assert [found[i] == code for code in found] == [one == other for other in values]
