"""DuckDB files: tables by their rows, the rest of the catalogue by its text, nothing run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import kfm_repro
from kfm_repro.model.finding import Finding, Kind, OutputVerdict, Rung

BASE = (
    "CREATE TABLE t(id INTEGER, name VARCHAR, x DOUBLE);"
    "INSERT INTO t SELECT i, 'n' || i % 7, i / 4 FROM range(50) r(i)"
)
CHANGED = f"{BASE}; UPDATE t SET x = 9 WHERE id = 1"  # noqa: S608 - fixed texts


def made(path: Path, sql: str) -> Path:
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)
    return path


def compared(folder: Path, a: str, b: str) -> tuple[Finding, ...]:
    paths = [made(folder / f"{side}.duckdb", sql) for side, sql in zip("ab", (a, b), strict=True)]
    (output,) = kfm_repro.diff(*paths).outputs
    assert output.format == "duckdb"
    return output.findings


@pytest.mark.parametrize(
    ("change", "kind", "rung", "column"),
    [
        ("UPDATE t SET name = 'other' WHERE id = 3", Kind.VALUE, Rung.VALUE, "name"),
        ("INSERT INTO t SELECT * FROM t WHERE id = 3", Kind.DUPLICATE_ROWS, Rung.VALUE, None),
        ("DELETE FROM t WHERE id = 3", Kind.ROWS_REMOVED, Rung.VALUE, None),
        ("ALTER TABLE t DROP COLUMN x", Kind.SCHEMA, Rung.VALUE, "x"),
        ("ALTER TABLE t ADD COLUMN y INTEGER", Kind.SCHEMA, Rung.VALUE, "y"),
        ("ALTER TABLE t ALTER id TYPE BIGINT", Kind.TYPE, Rung.VALUE, "id"),
        ("ALTER TABLE t ALTER id SET DEFAULT 7", Kind.SCHEMA, Rung.VALUE, "id"),
        ("UPDATE t SET x = 0.25 + 5.5e-17 WHERE id = 1", Kind.FLOAT_NOISE, Rung.NOISE, "x"),
        (
            "CREATE OR REPLACE TABLE t AS SELECT * REPLACE (if(id = 0, '-0.0'::DOUBLE, x) AS x) FROM t",
            Kind.FLOAT_NOISE,
            Rung.NOISE,
            "x",
        ),
        ("CREATE VIEW v AS SELECT * FROM t", Kind.SCHEMA, Rung.VALUE, None),
        ("CREATE MACRO f(x) AS x + 1", Kind.SCHEMA, Rung.VALUE, None),
        ("CREATE SEQUENCE q", Kind.SCHEMA, Rung.VALUE, None),
        ("CREATE TYPE mood AS ENUM ('a', 'b')", Kind.SCHEMA, Rung.VALUE, None),
        ("CREATE INDEX i ON t(name)", Kind.SCHEMA, Rung.VALUE, None),
        ("COMMENT ON TABLE t IS 'made by hand'", Kind.SCHEMA, Rung.VALUE, None),
        ("CREATE TABLE u(id INTEGER)", Kind.SCHEMA, Rung.VALUE, None),
        ("CREATE SCHEMA s", Kind.SCHEMA, Rung.VALUE, None),
    ],
)
def test_a_change_has_its_kind_and_rung(
    tmp_path: Path, change: str, kind: Kind, rung: Rung, column: str | None
) -> None:
    # Both files are written the same number of times, so that no page layout stands beside.
    (finding,) = compared(
        tmp_path, f"{BASE}; CHECKPOINT; CHECKPOINT", f"{BASE}; CHECKPOINT; {change}; CHECKPOINT"
    )
    assert (finding.kind, finding.rung, finding.where.get("column")) == (kind, rung, column)


def test_rows_in_another_order_are_order(tmp_path: Path) -> None:
    shuffled = BASE.replace("FROM range(50) r(i)", "FROM range(50) r(i) ORDER BY hash(i)")
    (finding,) = compared(tmp_path, BASE, shuffled)
    assert (finding.kind, finding.rung) == (Kind.ROW_ORDER, Rung.ORDER)


def test_the_same_rows_on_other_pages_are_layout(tmp_path: Path) -> None:
    (finding,) = compared(
        tmp_path, BASE, f"CREATE TABLE x AS FROM range(9999); DROP TABLE x; CHECKPOINT; {BASE}"
    )
    assert (finding.kind, finding.rung) == (Kind.LAYOUT, Rung.CONTAINER)


def test_types_that_arrow_does_not_hold_are_compared_as_they_are_spelled(tmp_path: Path) -> None:
    values = {
        "z": "'10:00:00+01'::TIMETZ|'10:00:00+02'::TIMETZ",
        "h": "170141183460469231731687303715884105727::HUGEINT|170141183460469231731687303715884105726::HUGEINT",
        "b": "'0101'::BIT|'0111'::BIT",
        "l": "[{'a': 1.5::DECIMAL(9, 3)}]|[{'a': 1.501::DECIMAL(9, 3)}]",
        "t": "TIMESTAMPTZ '2026-01-01 00:00:00+00'|TIMESTAMPTZ '2026-01-01 01:00:00+00'",
        "m": "MAP {'k': 1}|MAP {'k': 2}",
        "w": "'\\x00'::BLOB|'\\x01'::BLOB",
        "i": "INTERVAL 1 MONTH|INTERVAL 30 DAY",
    }
    sides = [
        "CREATE TABLE t AS SELECT "
        + ", ".join(f"{pair.split('|')[n]} AS {name}" for name, pair in values.items())
        for n in (0, 1)
    ]
    findings = compared(tmp_path, *sides)
    assert {f.where["column"] for f in findings} == set(values)
    assert {f.kind for f in findings} == {Kind.VALUE}


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("STRUCT(h HUGEINT, b BLOB)", ("{'h': 1, 'b': '\\x41'::BLOB}", "{'h': 1, 'b': '\\x5Cx41'::BLOB}")),
        ("STRUCT(h HUGEINT, b BLOB)", ("{'h': 1, 'b': ''::BLOB}", "{'h': 1, 'b': NULL}")),
        ("STRUCT(h HUGEINT, s VARCHAR)", ("{'h': 1, 's': NULL}", "{'h': 1, 's': 'NULL'}")),
        ("STRUCT(h HUGEINT, x DOUBLE)", ("{'h': 1, 'x': '0.0'::DOUBLE}", "{'h': 1, 'x': '-0.0'::DOUBLE}")),
        ("STRUCT(h HUGEINT, x DOUBLE)", ("{'h': 1, 'x': 0.1}", "{'h': 1, 'x': 0.1::DOUBLE + 1.4e-17::DOUBLE}")),
        ("STRUCT(h HUGEINT, x FLOAT)", ("{'h': 1, 'x': 0.1}", "{'h': 1, 'x': 0.10000001}")),
        ("STRUCT(h HUGEINT, l VARCHAR[])", ("{'h': 1, 'l': ['a, b']}", "{'h': 1, 'l': ['a', 'b']}")),
        ("MAP(VARCHAR, HUGEINT)", ("MAP {'a': 1, 'b': 1}", "MAP {'a=1, b': 1}")),
        ("STRUCT(\"HUGEINT\" HUGEINT, e ENUM('BIT', 'b'))", ("{'HUGEINT': 1, 'e': 'BIT'}", "{'HUGEINT': 1, 'e': 'b'}")),
        ("HUGEINT[1]", ("[170141183460469231731687303715884105727]", "[170141183460469231731687303715884105726]")),
        ("STRUCT(t TIMETZ, b BIT)", ("{'t': '10:00:00+01', 'b': '01'}", "{'t': '09:00:00+00', 'b': '01'}")),
        ("STRUCT(b BIT, i INTERVAL)", ("{'b': '1', 'i': INTERVAL 1 DAY}", "{'b': '1', 'i': INTERVAL 24 HOUR}")),
    ],
)  # fmt: skip
def test_nested_values_that_arrow_holds_in_part_are_told_apart(
    kind: str, values: tuple[str, str], tmp_path: Path
) -> None:
    a, b = (f"CREATE TABLE t(id INTEGER, v {kind}); INSERT INTO t SELECT 1, {value}" for value in values)
    assert {f.where.get("column") for f in compared(tmp_path, a, b) if f.rung != Rung.CONTAINER} == {"v"}
    (tmp_path / "again").mkdir()
    again = compared(tmp_path / "again", a, f"{a}; CREATE TABLE u(x INTEGER); DROP TABLE u")
    assert {finding.rung for finding in again} <= {Rung.CONTAINER}


def test_a_view_that_reads_files_is_not_run(tmp_path: Path) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("word\nswordfish\n")
    view = f"CREATE VIEW v AS SELECT * FROM read_csv('{secret}')"  # noqa: S608 - the hostile statement itself
    findings = compared(tmp_path, f"{BASE}; {view}", f"{CHANGED}; {view}")
    assert "swordfish" not in repr(findings)
    assert {f.kind for f in findings} == {Kind.VALUE}


def test_a_log_beside_the_file_is_not_read_into_it(tmp_path: Path) -> None:
    a, b = (made(tmp_path / f"{side}.duckdb", BASE) for side in "ab")
    pending = made(tmp_path / "pending.duckdb", BASE)
    program = (
        "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); "
        'c.execute("PRAGMA disable_checkpoint_on_shutdown; UPDATE t SET x = 9"); os._exit(0)'
    )
    subprocess.run([sys.executable, "-c", program, str(pending)], check=True)
    log = tmp_path / "pending.duckdb.wal"
    assert log.stat().st_size
    log.rename(tmp_path / "b.duckdb.wal")
    before = (tmp_path / "b.duckdb.wal").read_bytes()
    assert kfm_repro.diff(a, b).outputs[0].verdict is not OutputVerdict.DIFFERENT
    assert kfm_repro.diff(a, pending).outputs[0].verdict is not OutputVerdict.DIFFERENT
    assert (tmp_path / "b.duckdb.wal").read_bytes() == before


def test_without_the_package_the_answer_is_unknown_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = made(tmp_path / "a.duckdb", BASE)
    b = made(tmp_path / "b.duckdb", CHANGED)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    (output,) = kfm_repro.diff(a, b).outputs
    assert output.verdict is OutputVerdict.UNKNOWN
    assert "not installed" in output.findings[0].evidence


@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_truncated_file_is_a_difference(tmp_path: Path, share: float) -> None:
    a = made(tmp_path / "a.duckdb", BASE)
    b = tmp_path / "b.duckdb"
    b.write_bytes(a.read_bytes()[: int(a.stat().st_size * share)])
    for sides in ((a, b), (b, a)):
        (output,) = kfm_repro.diff(*sides).outputs
        assert output.verdict is OutputVerdict.DIFFERENT
        assert output.findings[0].kind is Kind.TRUNCATED
        assert str(tmp_path) not in output.findings[0].evidence
        assert "kfm-repro-" not in output.findings[0].evidence


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("UNION(n INTEGER, s VARCHAR)", ("union_value(n := 1)", "union_value(s := '1')")),
        ("UNION(n HUGEINT, s VARCHAR)", ("union_value(n := 1)", "union_value(s := '1')")),
        ("UNION(s VARCHAR)", ("union_value(s := NULL)", "union_value(s := 'NULL')")),
        ("UNION(s HUGEINT)", ("union_value(s := NULL)", "NULL")),
        ("VARIANT", ("1::VARIANT", "'1'::VARIANT")),
        ("VARIANT", ("1::INTEGER::VARIANT", "1::BIGINT::VARIANT")),
        ("VARIANT[]", ("[1::VARIANT]", "['1'::VARIANT]")),
    ],
)
def test_values_of_one_spelling_and_another_type_are_not_the_same(
    kind: str, values: tuple[str, str], tmp_path: Path
) -> None:
    a, b = (f"CREATE TABLE t(id INTEGER, v {kind}); INSERT INTO t SELECT 1, {value}" for value in values)
    assert {finding.rung for finding in compared(tmp_path, a, b)} == {Rung.VALUE}
    (tmp_path / "again").mkdir()
    again = compared(tmp_path / "again", a, f"{a}; CREATE TABLE u(x INTEGER); DROP TABLE u")
    assert Rung.VALUE not in {finding.rung for finding in again}
