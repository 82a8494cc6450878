"""Writers of tables and databases: pandas, Polars, DuckDB, Arrow, SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from corpus.sample import table, threads

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.write import Writers


def add(writers: Writers) -> None:
    for function, suffix in (
        (pd_csv, "csv"),
        (pd_csvgz, "csv.gz"),
        (pd_csvzip, "csv.zip"),
        (pd_parquet_arrow, "parquet"),
        (pd_parquet_fastparquet, "parquet"),
        (pd_feather, "feather"),
        (pd_xlsx_openpyxl, "xlsx"),
        (pd_xlsx_xlsxwriter, "xlsx"),
        (pd_json, "json"),
        (pd_pickle, "pkl"),
        (pd_hdf, "h5"),
        (polars_parquet, "parquet"),
        (polars_ipc, "arrow"),
        (polars_group_by, "parquet"),
        (duckdb_parquet, "parquet"),
        (duckdb_group_by, "parquet"),
        (duckdb_file, "duckdb"),
        (arrow_dataset, "pqdir"),
        (arrow_write_to_dataset, "pqdir"),
        (arrow_orc, "orc"),
        (sqlite_pandas, "sqlite"),
        (csv_of_today, "csv"),
    ):
        writers.add(function, suffix)


def pd_csv(path: Path) -> None:
    table().to_csv(path, index=False)


def pd_csvgz(path: Path) -> None:
    table().to_csv(path, index=False)


def pd_csvzip(path: Path) -> None:
    table().to_csv(path, index=False)


def csv_of_today(path: Path) -> None:
    """Write a column of ``now()`` beside the genuine column of times."""
    import pandas as pd

    table().assign(made=pd.Timestamp.now(tz="UTC")).to_csv(path, index=False)


def pd_parquet_arrow(path: Path) -> None:
    table().to_parquet(path)


def pd_parquet_fastparquet(path: Path) -> None:
    table().to_parquet(path, engine="fastparquet")


def pd_feather(path: Path) -> None:
    table().to_feather(path)


def pd_xlsx_openpyxl(path: Path) -> None:
    table().to_excel(path, engine="openpyxl")


def pd_xlsx_xlsxwriter(path: Path) -> None:
    table().to_excel(path, engine="xlsxwriter")


def pd_json(path: Path) -> None:
    table().to_json(path, orient="records")


def pd_pickle(path: Path) -> None:
    table().to_pickle(path)


def pd_hdf(path: Path) -> None:
    table().to_hdf(path, key="a", mode="w")


def _polars() -> Any:
    import polars as pl

    return pl.from_pandas(table())


def polars_parquet(path: Path) -> None:
    _polars().write_parquet(path)


def polars_ipc(path: Path) -> None:
    _polars().write_ipc(path)


def polars_group_by(path: Path) -> None:
    import polars as pl

    _polars().group_by("name").agg(pl.col("val").sum()).write_parquet(path)


def _duckdb(path: Path, query: str) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"set threads={threads()}")
        connection.register("d", table())
        connection.execute(f"copy ({query}) to '{path}' (format parquet)")


def duckdb_parquet(path: Path) -> None:
    _duckdb(path, "select * from d")


def duckdb_group_by(path: Path) -> None:
    _duckdb(path, "select name, sum(val) s from d group by name")


def duckdb_file(path: Path) -> None:
    import duckdb

    with duckdb.connect(str(path)) as connection:
        connection.register("d", table())
        connection.execute("create table t as select * from d")


def _arrow() -> Any:
    import pyarrow as pa

    return pa.Table.from_pandas(table())


def arrow_dataset(path: Path) -> None:
    import pyarrow.dataset as ds

    ds.write_dataset(
        _arrow(),
        path,
        format="parquet",
        partitioning=["name"],
        existing_data_behavior="overwrite_or_ignore",
        use_threads=False,
    )


def arrow_write_to_dataset(path: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_to_dataset(_arrow(), path, partition_cols=["name"])


def arrow_orc(path: Path) -> None:
    from pyarrow import orc

    orc.write_table(_arrow(), path)


def sqlite_pandas(path: Path) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as connection, connection:
        table().to_sql("t", connection, index=False)
