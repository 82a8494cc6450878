"""Arrow files as Polars writes them: views instead of texts, and messages that do not end as a stream ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest

import kfm_repro

LONG = "long enough to lie outside of its view"
TABLE = {
    "n": [1, 2, 3],
    "text": ["x", LONG, None],
    "raw": [b"1", LONG.encode(), None],
    "many": [["a"], None, ["b", LONG]],
    "two": [{"x": "q"}, {"x": None}, {"x": LONG}],
    "kind": pl.Series(["u", "v", "u"], dtype=pl.Categorical),
}


def written(path: Path, **options: Any) -> Path:
    pl.DataFrame(TABLE | options.pop("changed", {})).write_ipc(path, **options)
    return path


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("text", ["x", LONG + "!", None]),
        ("raw", [b"1", LONG.encode(), b""]),
        ("many", [["a"], [], ["b", LONG]]),
        ("two", [{"x": "q"}, {"x": None}, {"x": LONG + "!"}]),
        ("kind", pl.Series(["u", "v", "v"], dtype=pl.Categorical)),
    ],
)
def test_one_value_is_one_finding_in_its_column(tmp_path: Path, column: str, values: Any) -> None:
    a = written(tmp_path / "a.arrow")
    b = written(tmp_path / "b.arrow", changed={column: values})
    (finding,) = kfm_repro.diff(a, b).outputs[0].findings
    assert (finding.rung, finding.where, finding.count) == ("value", {"column": column}, 1)


def test_other_codecs_and_older_types_are_layout(tmp_path: Path) -> None:
    a = written(tmp_path / "a.arrow")
    for name, options in (("z", {"compression": "zstd"}), ("o", {"compat_level": pl.CompatLevel.oldest()})):
        (output,) = kfm_repro.diff(a, written(tmp_path / f"{name}.arrow", **options)).outputs
        assert output.verdict == "equivalent"
        assert {(finding.kind, finding.rung) for finding in output.findings} == {("layout", "container")}


def test_rows_in_another_order_are_an_order(tmp_path: Path) -> None:
    a = written(tmp_path / "a.arrow")
    pl.DataFrame(TABLE)[[2, 0, 1]].write_ipc(tmp_path / "b.arrow")
    (finding,) = kfm_repro.diff(a, tmp_path / "b.arrow").outputs[0].findings
    assert (finding.kind, finding.rung, finding.count) == ("row-order", "order", 3)


@pytest.mark.parametrize("swapped", [False, True])
def test_a_file_and_a_stream_are_one_table_laid_out_otherwise(tmp_path: Path, *, swapped: bool) -> None:
    table = pa.table({"a": [1, 2, 3]})

    def saved(name: str, opener: Callable[..., Any], rows: pa.Table) -> Path:
        with pa.OSFile(str(tmp_path / name), "wb") as sink, opener(sink, rows.schema) as writer:
            writer.write_table(rows)
        return tmp_path / name

    file = saved("file.arrow", pa.ipc.new_file, table)
    for name, rows, verdict in (
        ("same", table, "equivalent"),
        ("other", pa.table({"a": [1, 2, 4]}), "different"),
    ):
        sides = [file, saved(f"{name}.arrow", pa.ipc.new_stream, rows)]
        (output,) = kfm_repro.diff(*(sides[::-1] if swapped else sides)).outputs
        assert output.verdict == verdict
        assert ("layout", {}) in [(f.kind, f.where) for f in output.findings]


@pytest.mark.parametrize("kind", ["arrow", "arrows"])
def test_what_a_message_says_besides_its_rows_is_compared(tmp_path: Path, kind: str) -> None:
    table = pa.table({"n": [1, 2]})

    def said(name: str, **own: str) -> Path:
        path = tmp_path / f"{name}.{kind}"
        with (pa.ipc.new_file if kind == "arrow" else pa.ipc.new_stream)(str(path), table.schema) as writer:
            writer.write_batch(table.to_batches()[0], custom_metadata=own or None)
        return path

    for other in (said("b", unit="feet"), said("c")):
        (output,) = kfm_repro.diff(said("a", unit="metres"), other).outputs
        (finding,) = (one for one in output.findings if one.rung == "value")
        assert finding.where == {"pointer": "/metadata/batch 0: unit"}
