"""Shuffled and edited tables in files: what is kept or proven on the way is not read again, and changes no report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kfm_repro.compare.context import Context, Limits, Options
from kfm_repro.compare.engine import compare_files
from kfm_repro.compare.tabular import foreign, inferred, large, residual
from kfm_repro.compare.tabular.foreign import Foreign
from kfm_repro.compare.tabular.sieve import Sieve
from kfm_repro.compare.tabular.source import ParquetSource

ROWS = 6_000
GROUP = 700
IN_PIECES = Limits(whole_bytes=0)


def table() -> pa.Table:
    random = np.random.default_rng(3)
    share = random.random(ROWS)
    share[:40] = np.tile([0.0, -0.0, np.nan, np.inf], 10)
    share.view(np.uint64)[41] = 0x7FF8000000000001
    return pa.table(
        {
            "id": np.arange(ROWS) * 3,
            "agency": pa.array([None if i % 11 == 0 else f"agency {i % 7}" for i in range(ROWS)]),
            "place": pa.array([f"{i} Main Street" for i in range(ROWS)]),
            "share": share,
            "count": pa.array([None if i % 13 == 0 else i % 9 for i in range(ROWS)], pa.int32()),
            "open": pa.array(random.random(ROWS) < 0.5),
        }
    )


def edited(data: pa.Table, **changes: Callable[[int, Any], Any]) -> pa.Table:
    for name, change in changes.items():
        values = [change(i, value) for i, value in enumerate(data[name].to_pylist())]
        at = data.column_names.index(name)
        data = data.set_column(at, name, pa.array(values, data[name].type))
    return data


def shuffled(data: pa.Table) -> pa.Table:
    return data.take(pa.array(np.random.default_rng(9).permutation(data.num_rows)))


def some_edited(data: pa.Table) -> pa.Table:
    return edited(
        data,
        agency=lambda i, value: "CHANGED" if i % 20 == 3 else value,
        count=lambda i, value: 77 if i % 20 == 5 else value,
    )


def edited_once_more(data: pa.Table) -> pa.Table:
    """Change a column in one row that is in another row group than those from which is learned."""
    return edited(some_edited(data), share=lambda i, value: 0.5 if i == 2_103 else value)


def bits_edited(data: pa.Table) -> pa.Table:
    share = data["share"].to_numpy().copy()
    share.view(np.uint64)[::20] ^= np.uint64(1)
    share.view(np.uint64)[:4] ^= np.uint64(1 << 63)
    return data.set_column(3, "share", pa.array(share))


def with_other_rows(data: pa.Table) -> pa.Table:
    """Lack some rows, have others, and some twice."""
    new = edited(data.slice(50, 90), id=lambda _, value: value + 10**6)
    return pa.concat_tables([some_edited(data).slice(200), new, data.slice(1_000, 150)])


def with_nulls(data: pa.Table) -> pa.Table:
    return edited(
        data,
        place=lambda i, value: None if i % 20 == 1 else value,
        open=lambda i, value: None if i % 20 == 1 else value,
        count=lambda i, value: 0 if value is None and i % 20 == 0 else value,
    )


def with_a_key_taken(data: pa.Table) -> pa.Table:
    """Give edited rows the key of others that stay as they are: it names no row of B."""
    return edited(some_edited(data), id=lambda i, value: value - 3 if i % 500 == 3 else value)


def other_keys(data: pa.Table) -> pa.Table:
    return edited(data, id=lambda i, value: value + 1 if i % 20 == 0 else value)


EDITS = (
    some_edited, edited_once_more, bits_edited, with_other_rows, with_nulls, with_a_key_taken, other_keys,
)  # fmt: skip


def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Number all of A before B: which comes first is up to the threads."""
    monkeypatch.setattr(foreign, "in_parallel", map)


def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(foreign.Sieve, "of", lambda _: None)
    monkeypatch.setattr(residual, "learned", lambda *_: None)


def leaky(monkeypatch: pytest.MonkeyPatch) -> None:
    in_turn(monkeypatch)
    lacks = Sieve.lacks
    monkeypatch.setattr(Sieve, "lacks", lambda self, numbers: lacks(self, numbers)[::2])


def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    in_turn(monkeypatch)
    monkeypatch.setattr(foreign.Sieve, "of", lambda _, of=Sieve.of: of(1_000))


def met_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Number B first: nothing is known of A then."""
    monkeypatch.setattr(foreign, "in_parallel", lambda work, tasks: map(work, reversed(tasks)))


def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    in_turn(monkeypatch)
    monkeypatch.setattr(large, "Foreign", lambda columns, _: Foreign(columns, 120))


def few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    in_turn(monkeypatch)
    monkeypatch.setattr(ParquetSource, "piece_bytes", 20_000)


def wrong_guess(monkeypatch: pytest.MonkeyPatch) -> None:
    in_turn(monkeypatch)
    monkeypatch.setattr(inferred, "_edited", lambda *_: False)


WAYS = (in_turn, leaky, tiny, met_early, few_rows, few_bytes, wrong_guess)


@pytest.fixture(autouse=True)
def _learns_from_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residual, "_LEAST_SAMPLE", 10)


def written(folder: Path, edit: Callable[[pa.Table], pa.Table]) -> tuple[Path, Path]:
    paths = folder / "a.parquet", folder / "b.parquet"
    for path, data, group in zip(
        paths, (table(), shuffled(edit(table()))), (GROUP, GROUP + 100), strict=True
    ):
        pq.write_table(data, path, row_group_size=group)
    return paths


def report(files: tuple[Path, Path], memory: int | None = None) -> bytes:
    context = Context(options=Options(memory_bytes=memory), limits=IN_PIECES)
    return msgspec.json.encode(compare_files(*files, name="t.parquet", context=context))


@pytest.mark.parametrize("edit", EDITS)
def test_the_report_is_the_same_however_much_is_kept(
    edit: Callable[[pa.Table], pa.Table], tmp_path: Path
) -> None:
    files = written(tmp_path, edit)
    with pytest.MonkeyPatch.context() as patched:
        nothing_kept(patched)
        expected = report(files)
        through_files = report(files, 1_500_000)
    assert b"row-order" in expected
    assert report(files, 1_500_000) == through_files == expected  # of so many bytes the numbers take more
    assert report(files) == expected
    for way in WAYS:
        with pytest.MonkeyPatch.context() as patched:
            way(patched)
            assert report(files) == expected, way.__name__


def reads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """Return the row groups of which cells are read once more: by file, column and number."""
    found: list[tuple[str, int, int]] = []
    take_of = ParquetSource.take_of

    def noted(self: ParquetSource, column: int, group: int, rows: Any) -> Any:
        found.append((self.path.stem, column, group))
        return take_of(self, column, group, rows)

    monkeypatch.setattr(ParquetSource, "take_of", noted)
    return found


def read_for_cells(found: list[tuple[str, int, int]]) -> dict[str, set[int]]:
    """Return which columns of more row groups than one were read, by file."""
    groups = {
        (file, column): {g for f, c, g in found if (f, c) == (file, column)} for file, column, _ in found
    }
    return {
        file: {column for (of, column), where in groups.items() if of == file and len(where) > 1}
        for file in ("a", "b")
    }


def test_kept_rows_and_proven_cells_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_turn(monkeypatch)
    found = reads(monkeypatch)
    report(written(tmp_path, some_edited))
    assert read_for_cells(found) == {"a": {0, 1, 4}, "b": set()}
    assert found.count(("a", 4, ROWS // GROUP)) == 1


def test_a_row_that_the_numbers_disprove_has_its_row_group_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_turn(monkeypatch)
    found = reads(monkeypatch)
    report(written(tmp_path, edited_once_more))
    assert {group for file, column, group in found if (file, column) == ("a", 2)} == {
        2_103 // GROUP,
        ROWS // GROUP,
    }


def test_what_is_met_before_all_of_a_takes_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def first_of_b_first(work: Any, tasks: Any) -> Any:
        return map(work, sorted(tasks, key=lambda task: (task != (1, 0), task)))

    monkeypatch.setattr(foreign, "in_parallel", first_of_b_first)
    monkeypatch.setattr(large, "Foreign", lambda columns, _: Foreign(columns, GROUP))
    found = reads(monkeypatch)
    report(written(tmp_path, some_edited))
    assert {group for file, _, group in found if file == "b"} == {0}


def test_nothing_is_kept_where_the_numbers_go_through_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bound that is too small for them leaves no room for a sieve either."""
    monkeypatch.setattr(foreign.Sieve, "of", lambda _: pytest.fail("a sieve was made"))
    assert b"row-order" in report(written(tmp_path, some_edited), 1_500_000)


def test_pieces_are_held_once_rows_to_keep_are_expected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the first rows of B nor its first row groups say so, but the fourth."""
    in_turn(monkeypatch)
    first = set(shuffled(table())["id"][: 3 * (GROUP + 100)].to_pylist())

    def later_edited(data: pa.Table) -> pa.Table:
        return edited(data, count=lambda i, value: 77 if i * 3 not in first else value)

    found = reads(monkeypatch)
    report(written(tmp_path, later_edited))
    assert {group for file, column, group in found if (file, column) == ("b", 2)} == {3}


@pytest.mark.parametrize("way", [nothing_kept, met_early, few_rows, few_bytes])
def test_what_is_not_kept_is_read(
    way: Callable[[pytest.MonkeyPatch], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    way(monkeypatch)
    found = reads(monkeypatch)
    report(written(tmp_path, some_edited))
    assert read_for_cells(found)["b"] == set(range(6))
