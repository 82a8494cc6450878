"""Two tables compared, against what else compares tables: ratios of wall time and peak memory, case by case.

Every contender runs in a process of its own, in turn; ours is the product, ``kfm-repro diff A B --json``, and what
it reports is held against what was changed. Start-up is measured beside it, as the same job on tables of two rows:
a text of a million rows takes us less than half a second, so that loading libraries would be most of what is
compared, and the ratios of texts are those of the time beyond start-up.

``KFM_BENCH_PEERS`` may name an interpreter that has the peers (datacompy wants older libraries than we test with).
``make bench-full``: 10 M x 10 Parquet and 1 M x 9 CSV.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

_PEERS = os.environ.get("KFM_BENCH_PEERS", sys.executable)
_CONTENDERS = Path(__file__).parent / "tabular_contenders.py"
_PRODUCT = Path(sys.executable).parent / "kfm-repro"
_ROUNDS = int(os.environ.get("KFM_BENCH_ROUNDS", "3"))
_ROWS = {"parquet": 1_000_000, "csv": 100_000}
_FULL = 10
"""The scale from which on the ratios are promises: start-up says more of smaller tables."""
_PARTS = 1000
"""One row in so many is edited, added or doubled."""
_TEXTS = {
    "agency": ["NYPD", "HPD", "DOT", "DSNY", "DEP", "DOB", "DPR", "DOHMH", "TLC", "DHS"],
    "complaint": [f"Complaint {i}" for i in range(20)],
}
_STREETS = np.array(["BROADWAY", "3 AVENUE", 'ATLANTIC AVENUE, "EAST"', "QUEENS BOULEVARD", "OCEAN AVENUE"])


@dataclass(frozen=True)
class Case:
    """A pair of tables: how B comes from A, what is to be reported, and what is promised of the ratios.

    ``faster`` and ``lighter`` are least ratios of a contender's time and memory to ours.
    """

    name: str
    expected: dict[str, int]
    faster: dict[str, float] = field(default_factory=dict)
    lighter: float = 1.0


_PARQUET = [
    Case("row-groups", {}, {"duckdb_join": 1.0}),
    Case("cells", {"agency": 1, "zip": 1, "lat": 1}, {"duckdb_join": 3.0, "datacompy_polars": 8.0}, 2.0),
    Case("timestamps", {"created": _PARTS}, {"duckdb_join": 3.0, "datacompy_polars": 8.0}, 2.0),
    Case("ulp", {"lat": _PARTS}, {"duckdb_join": 3.0, "datacompy_polars": 8.0}, 2.0),
    Case("shuffled", {"row-order": _PARTS}, {"duckdb_join": 1.2}, 2.0),
    Case("shuffled-edited", {"row-order": _PARTS, "agency": 1, "zip": 1, "lat": 1}, {"duckdb_join": 1.0}),
    Case("duplicates", {"duplicate-rows": 1}),
    Case("appended", {"rows-added": 1}),
    Case("everything", {}, {"duckdb_join": 1 / 1.5}),
]
_CSV = [
    Case("identical", {}, {"duckdb_join": 5.0, "datacompy_polars": 8.0}, 0.5),
    Case("cells", {"agency": 1, "zip": 1, "lat": 1}, {"duckdb_join": 5.0, "datacompy_polars": 8.0}, 0.5),
    Case("shuffled", {"row-order": _PARTS}, {"duckdb_join": 1.3}, 0.5),
    Case("duplicates", {"duplicate-rows": 1}, {}, 0.5),
]


def _base(rows: int) -> pa.Table:
    """Return service requests, made from a fixed seed."""
    random = np.random.default_rng(42)
    created = np.datetime64("2010-01-01", "us") + random.integers(0, 315_360_000, rows).astype("m8[s]")
    closed = created + random.integers(60, 2_592_000, rows).astype("m8[s]")
    numbers = random.integers(1, 9999, rows).astype("U4")
    streets = _STREETS[random.integers(0, len(_STREETS), rows)]
    columns: dict[str, Any] = {
        "id": np.arange(rows) * 7 + 50_000_000,
        "created": created,
        "closed": pa.array(closed, mask=random.random(rows) < 0.1),
        **{name: np.array(texts)[random.integers(0, len(texts), rows)] for name, texts in _TEXTS.items()},
        "address": np.char.add(np.char.add(numbers, " "), streets),
        "zip": random.integers(10_000, 11_700, rows).astype(np.int32),
        "lat": 40.5 + random.random(rows) * 0.4,
        "lon": -74.2 + random.random(rows) * 0.5,
        "open": random.random(rows) < 0.5,
    }
    return pa.table({name: pa.array(values) for name, values in columns.items()})


def _edited(table: pa.Table) -> pa.Table:
    """Return the table with one cell changed in each of three disjoint sets of rows."""
    every = np.arange(table.num_rows) % _PARTS
    changes = {"agency": "CHANGED", "zip": 1, "lat": 0.5}
    for at, (name, value) in enumerate(changes.items()):
        column = table[name].to_numpy()
        column = np.where(every == at, value, column) if name == "agency" else column + (every == at) * value
        table = table.set_column(table.column_names.index(name), name, pa.array(column, table[name].type))
    return table


def _order(rows: int) -> Any:  # noqa: ANN401 - an array of int64
    return np.random.default_rng(9).permutation(rows)


def _changed(name: str, table: pa.Table) -> pa.Table:  # noqa: PLR0911 - one return per case
    order = pa.array(_order(table.num_rows))
    some = table.slice(0, table.num_rows // _PARTS)
    at = table.column_names.index
    if name == "cells":
        return _edited(table)
    if name == "timestamps":
        later = pa.array(table["created"].to_numpy() + np.timedelta64(1, "h"))
        return table.set_column(at("created"), "created", later)
    if name == "ulp":
        return table.set_column(at("lat"), "lat", pa.array(np.nextafter(table["lat"].to_numpy(), np.inf)))
    if name == "shuffled":
        return table.take(order)
    if name == "shuffled-edited":
        return _edited(table).take(order)
    if name == "duplicates":
        return pa.concat_tables([table, some])
    if name == "appended":
        new = pa.array(some["id"].to_numpy() + 10**12)
        return pa.concat_tables([table, some.set_column(0, "id", new)])
    if name == "everything":
        return table.take(order).set_column(0, "id", table["id"])
    return table


@pytest.fixture(scope="module", params=["parquet", "csv"])
def base(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, scale: int
) -> tuple[str, Path, pa.Table]:
    """Return the kind of file, a folder, and A's table; A is written."""
    kind = request.param
    table = _base(_ROWS[kind] * scale)
    table = table if kind == "parquet" else table.drop_columns(["open"])
    folder = tmp_path_factory.mktemp(kind)
    _write(table, folder / f"a.{kind}", 1 << 20)
    return kind, folder, table


def _write(table: pa.Table, path: Path, group: int) -> None:
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=group, compression="zstd")
    else:
        arrow_csv.write_csv(table, path, arrow_csv.WriteOptions(quoting_style="needed"))


@dataclass
class Measured:
    """Wall seconds and the highest peak of memory (MB) of every round of one contender."""

    seconds: list[float] = field(default_factory=list)
    beyond: list[float] = field(default_factory=list)
    """The same without start-up."""
    peak: float = 0
    said: str = ""


_LAUNCHER = """
import json, os, sys, time
start = time.perf_counter()
out = os.open(sys.argv[1], os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out, 1)])
_, status, usage = os.wait4(pid, 0)
print(json.dumps([time.perf_counter() - start, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status)]))
"""
"""A peak counts from the memory of the process that forks: this one is small."""


def _launch(argv: list[str], out: Path) -> tuple[float, float]:
    """Return the wall seconds and the peak of memory (MB) of a command; what it says is in ``out``."""
    launched = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(out), *argv]
    seconds, peak, code = json.loads(subprocess.check_output(launched, stderr=subprocess.DEVNULL))
    assert code in (0, 1), argv
    return seconds, peak


def _run(argv: list[str], into: Measured, out: Path, small: tuple[Path, Path] | None = None) -> None:
    """Run a command whose last arguments are A and B, before it the same on ``small`` tables."""
    start = 0.0
    if small:
        begin = next(i for i, word in enumerate(argv) if word.endswith((".parquet", ".csv")))
        start, _ = _launch([*argv[:begin], *map(str, small), *argv[begin + 2 :]], out)
    seconds, peak = _launch(argv, out)
    into.seconds.append(seconds)
    into.beyond.append(seconds - start)
    into.peak = max(into.peak, peak)
    into.said = out.read_text(encoding="utf-8")


def _ratio(theirs: list[float], ours: list[float]) -> float:
    return statistics.median(t / o for t, o in zip(theirs, ours, strict=True))


def _contenders(kind: str) -> Iterator[str]:
    yield from ("duckdb_join", "polars_join")
    if kind == "parquet":
        yield "duckdb_except"
    for name, module in (("datacompy_polars", "datacompy"), ("pandas_merge", "pandas")):
        if (
            subprocess.run([_PEERS, "-c", f"import {module}"], check=False, capture_output=True).returncode
            == 0
        ):
            yield name


def _reported(text: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for finding in json.loads(text)["outputs"][0]["findings"]:
        if finding["rung"] != "container":
            name = finding["where"].get("column", finding["kind"])
            found[name] = found.get(name, 0) + finding["count"]
    return found


@pytest.mark.parametrize("name", dict.fromkeys(case.name for case in (*_PARQUET, *_CSV)))
def test_against_other_differs(
    base: tuple[str, Path, pa.Table],
    name: str,
    benchmark: BenchmarkFixture,
    promise: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    scale: int,
) -> None:
    kind, folder, table = base
    case = next((case for case in (_PARQUET if kind == "parquet" else _CSV) if case.name == name), None)
    if case is None:
        pytest.skip(f"no such case of {kind}")
    a, b = folder / f"a.{kind}", folder / f"b.{kind}"
    _write(_changed(name, table), b, 900_000 if name == "row-groups" else 1 << 20)
    small = folder / f"a2.{kind}", folder / f"b2.{kind}"
    for path, two in zip(small, (table[:2], _edited(table[:2]) if case.expected else table[:2]), strict=True):
        _write(two, path, 2)
    commands = {
        "ours": [str(_PRODUCT), "diff", str(a), str(b), "--json"],
        "cmp": ["cmp", "-s", str(a), str(b)],
    }
    commands |= {peer: [_PEERS, str(_CONTENDERS), peer, str(a), str(b)] for peer in _contenders(kind)}
    measured = {peer: Measured() for peer in commands}

    def in_turn() -> None:
        for peer, argv in commands.items():
            _run(argv, measured[peer], folder / "said", small)

    benchmark.pedantic(in_turn, rounds=_ROUNDS, iterations=1)
    wanted = {what: count * (table.num_rows // _PARTS) for what, count in case.expected.items()}
    if "row-order" in wanted:  # a few rows of many stay where they are
        wanted["row-order"] = int((_order(table.num_rows) != np.arange(table.num_rows)).sum())
    if name != "everything":
        assert _reported(measured["ours"].said) == wanted
    with capsys.disabled():
        _table(kind, name, measured)
    if scale >= _FULL:
        _promised(kind, case, measured, promise)


def _table(kind: str, name: str, measured: dict[str, Measured]) -> None:
    ours = measured["ours"]
    print()  # noqa: T201
    for peer, found in measured.items():
        wall, beyond = statistics.median(found.seconds), statistics.median(found.beyond)
        print(  # noqa: T201
            f"  {kind:8} {name:16} {peer:17} {wall:8.2f} s {found.peak:7.0f} MB  "
            f"x{_ratio(found.seconds, ours.seconds):.2f}   beyond start-up {beyond:6.2f} s  "
            f"x{_ratio(found.beyond, ours.beyond):.2f}"
        )


def _promised(kind: str, case: Case, measured: dict[str, Measured], promise: Callable[..., None]) -> None:
    ours, name = measured["ours"], case.name
    for peer in case.faster.keys() & measured.keys():
        theirs, own = (m.beyond if kind == "csv" else m.seconds for m in (measured[peer], ours))
        which = "time beyond start-up" if kind == "csv" else "time"
        promise(f"{kind}, {name}: {which} of {peer} / ours", _ratio(theirs, own), at_least=case.faster[peer])
    if name == "identical":
        most = _ratio(ours.beyond, measured["cmp"].seconds)
        promise(f"{kind}, {name}: our time beyond start-up / cmp", most, at_most=1.5)
    lighter = measured["duckdb_join"].peak / ours.peak
    promise(f"{kind}, {name}: memory of duckdb_join / ours", lighter, at_least=case.lighter)


def _wide(rows: int) -> pa.Table:
    columns = {f"c{i}": np.arange(rows) * (i + 1) % 9973 for i in range(499)}
    return pa.table({"id": np.arange(rows), **columns})


def _long_texts(rows: int) -> pa.Table:
    words = np.random.default_rng(1).integers(0, 1 << 32, (rows, 250)).astype("<u4")
    return pa.table({"id": np.arange(rows), "c7": [row.tobytes().hex() for row in words]})


_SHAPES: dict[str, tuple[Callable[[int], pa.Table], int, tuple[str, ...]]] = {
    "wide": (_wide, 4_000, ("duckdb_join", "polars_join", "datacompy_polars")),
    "long texts": (_long_texts, 10_000, ("duckdb_join", "polars_join", "datacompy_polars")),
    "small": (lambda rows: _wide(rows).select(range(10)), 5_000, ("duckdb_join", "deepdiff")),
}
"""By name: the table of so many rows, and who else compares it."""


@pytest.mark.parametrize("shape", _SHAPES)
def test_other_shapes(
    shape: str, tmp_path: Path, benchmark: BenchmarkFixture, capsys: pytest.CaptureFixture[str], scale: int
) -> None:
    """500 columns, texts of 2 KB, and a table small enough for DeepDiff; nothing is promised of their ratios."""
    made, rows, peers = _SHAPES[shape]
    table = made(rows * scale)
    values = table["c7"].to_pylist()
    values[::_PARTS] = [value + type(value)(1) for value in values[::_PARTS]]
    at = table.column_names.index("c7")
    a, b = tmp_path / "a.parquet", tmp_path / "b.parquet"
    _write(table, a, 1 << 20)
    _write(table.set_column(at, "c7", pa.array(values, table["c7"].type)), b, 1 << 20)
    commands = {"ours": [str(_PRODUCT), "diff", str(a), str(b), "--json"]}
    for peer in peers:
        module = peer.partition("_")[0]
        found = subprocess.run([_PEERS, "-c", f"import {module}"], check=False, capture_output=True)
        if not found.returncode:
            commands[peer] = [_PEERS, str(_CONTENDERS), peer, str(a), str(b)]
    measured = {peer: Measured() for peer in commands}

    def in_turn() -> None:
        for peer, argv in commands.items():
            _run(argv, measured[peer], tmp_path / "said")

    benchmark.pedantic(in_turn, rounds=_ROUNDS, iterations=1)
    assert _reported(measured["ours"].said) == {"c7": len(values[::_PARTS])}
    with capsys.disabled():
        print()  # noqa: T201
        for peer, taken in measured.items():
            pairs = zip(taken.seconds, measured["ours"].seconds, strict=True)
            ratio = statistics.median(theirs / own for theirs, own in pairs)
            wall = statistics.median(taken.seconds)
            print(f"  {shape:25} {peer:17} {wall:8.2f} s {taken.peak:7.0f} MB  x{ratio:.2f}")  # noqa: T201


def test_one_cell_of_ten_million(base: tuple[str, Path, pa.Table], benchmark: BenchmarkFixture) -> None:
    kind, folder, table = base
    if kind != "parquet":
        pytest.skip("a case of Parquet")
    row = table.num_rows // 2 + 1
    zips = table["zip"].to_numpy().copy()
    zips[row] += 1
    b = folder / "one.parquet"
    _write(table.set_column(table.column_names.index("zip"), "zip", pa.array(zips)), b, 1 << 20)
    found = Measured()
    command = [str(_PRODUCT), "diff", str(folder / "a.parquet"), str(b), "--json"]
    benchmark.pedantic(lambda: _run(command, found, folder / "said"), rounds=1, iterations=1)
    (finding,) = json.loads(found.said)["outputs"][0]["findings"]
    (example,) = finding["examples"]
    assert (finding["where"], finding["count"]) == ({"column": "zip"}, 1)
    assert example == {"key": {"id": 50_000_000 + 7 * row}, "a": int(zips[row]) - 1, "b": int(zips[row])}
