"""What compares two tables besides us, each in a process of its own: ``python tabular_contenders.py NAME A B``.

Every contender is told the key, reads both files and prints ``{"removed", "added", "columns": {name: cells}}``.
"""

from __future__ import annotations

import json
import sys

KEY = "id"


def duckdb_join(a: str, b: str) -> dict[str, object]:
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads={_cores()}")
    described = connection.execute(f"DESCRIBE SELECT * FROM '{a}'").fetchall()  # noqa: S608
    names = [row[0] for row in described]
    both = "a.id IS NOT NULL AND b.id IS NOT NULL"
    counts = ", ".join(
        f'count(*) FILTER (a."{name}" IS DISTINCT FROM b."{name}" AND {both})' for name in names
    )
    row = connection.execute(
        f"SELECT count(*) FILTER (b.id IS NULL), count(*) FILTER (a.id IS NULL), {counts} "  # noqa: S608
        f"FROM '{a}' a FULL JOIN '{b}' b ON a.id = b.id"
    ).fetchone()
    assert row is not None
    return _said(row[0], row[1], dict(zip(names, row[2:], strict=True)))


def duckdb_except(a: str, b: str) -> dict[str, object]:
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"SET threads={_cores()}")
    sides = [
        connection.execute(
            f"SELECT count(*) FROM (SELECT * FROM '{x}' EXCEPT ALL SELECT * FROM '{y}')"  # noqa: S608
        ).fetchone()
        for x, y in ((a, b), (b, a))
    ]
    return _said(*(side[0] for side in sides if side), {})


def polars_join(a: str, b: str) -> dict[str, object]:
    import polars as pl

    sides = [(pl.scan_parquet if path.endswith("parquet") else pl.scan_csv)(path) for path in (a, b)]
    names = [name for name in sides[0].collect_schema().names() if name != KEY]
    joined = (
        sides[0]
        .with_columns(_a=True)
        .join(sides[1].with_columns(_b=True), on=KEY, how="full", coalesce=True, suffix="__b")
    )
    both = pl.col("_a") & pl.col("_b")
    row = (
        joined.select(
            pl.col("_b").is_null().sum().alias("removed"),
            pl.col("_a").is_null().sum().alias("added"),
            *((pl.col(name).ne_missing(pl.col(f"{name}__b")) & both).sum().alias(name) for name in names),
        )
        .collect()
        .row(0, named=True)
    )
    return _said(row.pop("removed"), row.pop("added"), row)


def datacompy_polars(a: str, b: str) -> dict[str, object]:
    import polars as pl
    from datacompy import PolarsCompare

    read = pl.read_parquet if a.endswith("parquet") else pl.read_csv
    found = PolarsCompare(read(a), read(b), join_columns=KEY)
    columns = {stat["column"]: stat["unequal_cnt"] for stat in found.column_stats}
    return _said(found.df1_unq_rows.height, found.df2_unq_rows.height, columns)


def pandas_merge(a: str, b: str) -> dict[str, object]:
    import pandas as pd

    read = pd.read_parquet if a.endswith("parquet") else pd.read_csv
    joined = read(a).merge(read(b), on=KEY, how="outer", suffixes=("", "__b"), indicator=True)
    both = joined[joined["_merge"] == "both"]
    columns = {}
    for name in joined.columns:
        if f"{name}__b" in joined.columns:
            x, y = both[name], both[f"{name}__b"]
            columns[name] = int(((x != y) & ~(x.isna() & y.isna())).sum())
    sides = joined["_merge"].value_counts()
    return _said(int(sides["left_only"]), int(sides["right_only"]), columns)


def deepdiff(a: str, b: str) -> dict[str, object]:
    import polars as pl
    from deepdiff import DeepDiff

    read = pl.read_parquet if a.endswith("parquet") else pl.read_csv
    sides = [{row[KEY]: row for row in read(path).to_dicts()} for path in (a, b)]
    found = DeepDiff(*sides)
    return _said(0, 0, {"cells": len(found.get("values_changed", {}))})


def _said(removed: int, added: int, columns: dict[str, int]) -> dict[str, object]:
    changed = {name: int(count) for name, count in columns.items() if count}
    return {"removed": int(removed), "added": int(added), "columns": changed}


def _cores() -> int:
    import os

    return len(os.sched_getaffinity(0))


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]](*sys.argv[2:4])))  # noqa: T201
