"""Clocks and identifiers are seen in every tabular format, and what equal files hide in those of columns."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tabular_writers import WRITERS

from kfm_repro.compare.context import Context, Side
from kfm_repro.compare.engine import compare_files
from kfm_repro.compare.latent import latent_findings
from kfm_repro.model.finding import Kind, Rung

STARTS = [dt.datetime(2026, 2, day, 9, tzinfo=dt.UTC) for day in (3, 4)]
SIDES = [
    Side(run_id=name, window=(start.timestamp(), start.timestamp() + 60.0), paths=(f"/srv/{name}/work",))
    for name, start in zip(("01K9AAAA", "01K9BBBB"), STARTS, strict=True)
]


def made(start: dt.datetime, *, zone: bool) -> pa.Table:
    """Return rows with a reading of the clock and an identifier, as a pipeline makes them."""
    moment = start + dt.timedelta(seconds=7)
    clock = pa.array([moment.replace(tzinfo=None)] * 3, pa.timestamp("us"))
    return pa.table({
        "id": [1, 2, 3],
        "made": clock.cast(pa.timestamp("us", "UTC")) if zone else clock,
        "token": [str(uuid.uuid4()) for _ in range(3)],
    })  # fmt: skip


@pytest.mark.parametrize("suffix", [suffix for suffix in WRITERS if suffix != "xlsx"])
def test_a_column_of_now_is_a_timestamp_and_random_tokens_are_identifiers(
    tmp_path: Path, suffix: str
) -> None:
    paths = [tmp_path / f"{side}.{suffix}" for side in "ab"]
    for path, start in zip(paths, STARTS, strict=True):
        WRITERS[suffix](made(start, zone=suffix in ("parquet", "arrow")), path)
    output = compare_files(*paths, name=f"t.{suffix}", context=Context(*SIDES))
    found = {finding.where.get("column"): (finding.kind, finding.rung) for finding in output.findings}
    assert found == {"made": (Kind.TIMESTAMP, Rung.VALUE), "token": (Kind.IDENTIFIER, Rung.VALUE)}


def test_the_writer_of_an_orc_file_is_a_library_version(tmp_path: Path) -> None:
    a, b = tmp_path / "a.orc", tmp_path / "b.orc"
    WRITERS["orc"](pa.table({"id": [1]}), a)
    version = f"{pa.orc.ORCFile(a).software_version.rpartition(' ')[2]}".encode()
    data = a.read_bytes()
    at = data.rindex(version)
    b.write_bytes(data[:at] + version[:-1] + b"9" + data[at + len(version) :])
    (finding,) = compare_files(a, b, name="t.orc", context=Context()).findings
    assert (finding.kind, finding.rung) == (Kind.LIBRARY_VERSION, Rung.CONTAINER)


@pytest.mark.parametrize("suffix", ["arrow", "arrows", "feather"])
def test_a_pandas_version_in_the_metadata_is_a_library_version(tmp_path: Path, suffix: str) -> None:
    for side, version in (("a", "2.2.0"), ("b", "2.2.1")):
        said = b'{"index_columns": [], "columns": [], "pandas_version": "%s"}' % version.encode()
        table = pa.table({"id": [1]}).replace_schema_metadata({"pandas": said})
        WRITERS[suffix](table, tmp_path / f"{side}.{suffix}")
    paths = [tmp_path / f"{side}.{suffix}" for side in "ab"]
    (finding,) = compare_files(*paths, name=f"t.{suffix}", context=Context()).findings
    assert (finding.kind, finding.rung) == (Kind.LIBRARY_VERSION, Rung.CONTAINER)


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "arrows", "orc"])
def test_a_day_and_a_folder_that_equal_tables_hide_are_latent(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"t.{suffix}"
    day = STARTS[0].date()
    table = pa.table(
        {"id": [1], "day": pa.array([day], pa.date32()), "source": ["/srv/01K9AAAA/work/in.csv"]}
    )
    WRITERS[suffix](table, file)
    context = Context(SIDES[0], SIDES[0])
    found = latent_findings(file, context)
    assert all(finding.latent for finding in found)
    assert {(finding.kind, finding.where["column"]) for finding in found} == {
        (Kind.TIMESTAMP, "day"),
        (Kind.PATH, "source"),
        (Kind.IDENTIFIER, "source"),
    }


def test_a_damaged_table_hides_nothing_that_can_be_told(tmp_path: Path) -> None:
    file = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": [1]}), file)
    data = file.read_bytes()
    file.write_bytes(data[:4] + bytes(len(data) - 8) + data[-4:])
    assert latent_findings(file, Context(*SIDES)) == ()
