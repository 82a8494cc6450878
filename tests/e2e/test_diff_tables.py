"""``diff`` of tabular formats as a user runs it: exit codes, one clear answer, no traceback."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from tabular_writers import WRITERS
from workshop import Workshop

TABLE = pa.table({"id": [1, 2, 3], "name": ["a", "b", "c"]})
CHANGED = TABLE.set_column(1, "name", pa.array(["a", "b", "z"]))


@pytest.mark.parametrize("suffix", WRITERS)
def test_a_changed_cell_exits_1_and_the_same_file_0(tmp_path: Path, suffix: str) -> None:
    shop = Workshop(tmp_path)
    WRITERS[suffix](TABLE, tmp_path / f"a.{suffix}")
    WRITERS[suffix](CHANGED, tmp_path / f"b.{suffix}")
    done = shop.kfm("diff", f"a.{suffix}", f"b.{suffix}", "--json")
    (output,) = done.json["outputs"]
    assert (done.code, output["verdict"], output["format"]) == (
        1,
        "different",
        {"arrows": "arrow-stream", "tsv": "csv", "feather": "arrow"}.get(suffix, suffix),
    )
    (value,) = [finding for finding in output["findings"] if finding["rung"] == "value"]
    assert (value["kind"], value["where"]["column"], value["count"]) == ("value", "name", 1)
    assert shop.kfm("diff", f"a.{suffix}", f"a.{suffix}").code == 0


@pytest.mark.parametrize("suffix", ["parquet", "arrow", "orc", "duckdb"])
def test_two_broken_files_exit_2(tmp_path: Path, suffix: str) -> None:
    shop = Workshop(tmp_path)
    for name, table in (("a", TABLE), ("b", CHANGED)):
        path = tmp_path / f"{name}.{suffix}"
        WRITERS[suffix](table, path)
        path.write_bytes(path.read_bytes()[:-20])
    done = shop.kfm("diff", f"a.{suffix}", f"b.{suffix}")
    assert done.code == 2
    assert "Traceback" not in done.out + done.err
    assert "neither side can be read" in done.out


def test_doctor_names_the_packages_of_optional_formats(tmp_path: Path) -> None:
    tools = {tool["name"]: tool for tool in Workshop(tmp_path).kfm("doctor", "--json").json["tools"]}
    assert tools["duckdb"]["used_for"] == "comparing DuckDB files"
    assert tools["python_calamine"]["used_for"] == "comparing Excel workbooks"
