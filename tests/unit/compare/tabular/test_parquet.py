from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.parquet import encryption

from kfm_repro.compare.context import Context, Limits, Side
from kfm_repro.compare.engine import compare_files
from kfm_repro.compare.tabular.parquet import compare
from kfm_repro.errors import LimitExceeded, Unreadable
from kfm_repro.model.finding import Finding, Kind, OutputVerdict, Rung

N = 90


def table(**changed: Any) -> pa.Table:
    columns: dict[str, Any] = {"id": range(N), "name": [f"n{i % 7}" for i in range(N)]}
    return pa.table(columns | changed)


def compared(
    folder: Path, a: pa.Table, b: pa.Table, how: dict[str, Any] | None = None
) -> tuple[Finding, ...]:
    pq.write_table(a, folder / "a.parquet")
    pq.write_table(b, folder / "b.parquet", **(how or {}))
    return compare(folder / "a.parquet", folder / "b.parquet", Context())


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ({"row_group_size": 30}, "row groups 1 against 3"),
        ({"compression": "zstd"}, "compression snappy against zstd"),
        ({"use_dictionary": False}, "dictionary pages"),
        ({"write_statistics": False}, "statistics yes against no"),
        ({"version": "1.0"}, "format version"),
        ({"data_page_size": 64, "write_batch_size": 8}, "pages"),
        ({"store_schema": False}, "embedded Arrow schema yes against no"),
        ({"column_encoding": {"id": "DELTA_BINARY_PACKED"}, "use_dictionary": ["name"]}, "encodings"),
        ({"write_page_index": True}, "page index no against yes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_another_layout_of_the_same_values_is_equivalent_and_named(
    tmp_path: Path, how: dict[str, Any], named: str
) -> None:
    (finding,) = compared(tmp_path, table(), table(), how)
    assert (finding.kind, finding.rung) == (Kind.LAYOUT, Rung.CONTAINER)
    assert named in finding.evidence


@pytest.mark.parametrize("least", [0, 1 << 30], ids=["in pieces", "whole"])
def test_columns_without_any_page_are_read(tmp_path: Path, least: int) -> None:
    """A column of truth values has no dictionary, and without rows nothing at all."""
    full = pa.table({"id": [1, 2], "open": [True, False]})
    paths = [tmp_path / name for name in ("a.parquet", "b.parquet", "c.parquet")]
    pq.write_table(full[:0], paths[0])
    pq.write_table(full[:0], paths[1], use_dictionary=False)
    pq.write_table(full, paths[2])
    context = Context(limits=Limits(whole_bytes=least))
    assert {finding.kind for finding in compare(paths[0], paths[1], context)} == {Kind.LAYOUT}
    (added,) = (finding for finding in compare(*paths[::2], context) if finding.rung is Rung.VALUE)
    assert (added.kind, added.count) == (Kind.ROWS_ADDED, 2)


def test_another_writer_is_a_library_version(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    version = f"version {pa.__version__}".encode()
    (tmp_path / "b.parquet").write_bytes(data.replace(version, version[:-1] + b"9"))
    findings = compare(tmp_path / "a.parquet", tmp_path / "b.parquet", Context())
    assert [finding.kind for finding in findings] == [Kind.LIBRARY_VERSION]
    assert findings[0].rung is Rung.CONTAINER


def test_a_changed_cell_is_found_through_another_layout_and_order(tmp_path: Path) -> None:
    changed = table(name=[f"n{i % 7}" if i != 5 else "zz" for i in range(N)])
    findings = compared(tmp_path, table(), changed.take(list(range(N))[::-1]), {"row_group_size": 7})
    assert {finding.kind: finding.count for finding in findings} == {
        Kind.ROW_ORDER: N,
        Kind.VALUE: 1,
        Kind.LAYOUT: 1,
    }


def test_metadata_in_which_the_clock_was_written_is_a_timestamp(tmp_path: Path) -> None:
    times = ["2026-02-03T10:00:05Z", "2026-02-04T10:00:05Z"]
    for name, time in zip("ab", times, strict=True):
        stamped = table().replace_schema_metadata({"made": json.dumps({"at": time, "by": "x"}), "v": "1"})
        pq.write_table(stamped, tmp_path / f"{name}.parquet")
    sides = [
        Side(window=(start, start + 60.0)) for start in (pd.Timestamp(time).timestamp() - 5 for time in times)
    ]
    (finding,) = compare(tmp_path / "a.parquet", tmp_path / "b.parquet", Context(*sides))
    assert (finding.kind, finding.where) == (Kind.TIMESTAMP, {"pointer": "/metadata/made/at"})
    (finding,) = compare(tmp_path / "a.parquet", tmp_path / "b.parquet", Context())
    assert (finding.kind, finding.rung) == (Kind.VALUE, Rung.VALUE)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({"k": "x"}, {}, (Kind.VALUE, "/metadata/k")),
        ({"k": "x"}, {"k": "y"}, (Kind.VALUE, "/metadata/k")),
        ({"k": '{"a": 1}'}, {"k": '{"a":1}'}, (Kind.LAYOUT, "/metadata/k")),
        ({"k": '{"a": 1}'}, {"k": '{"a": 1.0}'}, (Kind.TYPE, "/metadata/k/a")),
        ({"k": '{"a": [1, 2]}'}, {"k": '{"a": [1]}'}, (Kind.VALUE, "/metadata/k/a/1")),
        ({"k": '{"a": 1, "a": 2}'}, {"k": '{"a": 2}'}, (Kind.VALUE, "/metadata/k")),
        ({"k": "[" * 5000}, {"k": "[" * 5001}, (Kind.VALUE, "/metadata/k")),
        ({"k": "[" * 900 + "]" * 900}, {"k": "[" * 900 + "1" + "]" * 900}, (Kind.VALUE, "/metadata/k")),
        ({"k": b"\xff\x00"}, {"k": b"\xff\x01"}, (Kind.VALUE, "/metadata/k")),
        ({"k/~": "x"}, {"k/~": "y"}, (Kind.VALUE, "/metadata/k~1~0")),
    ],
)
def test_metadata_is_compared_by_key(
    tmp_path: Path, a: dict[str, Any], b: dict[str, Any], expected: tuple[Kind, str]
) -> None:
    (finding,) = compared(
        tmp_path, table().replace_schema_metadata(a or None), table().replace_schema_metadata(b or None)
    )
    assert (finding.kind, finding.where["pointer"]) == expected


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ('{"0":"x"}', '["x"]', (Kind.TYPE, "/metadata/k")),
        ('{"v":{"0":"x"}}', '{"v":["x"]}', (Kind.TYPE, "/metadata/k/v")),
        ('{"v":{}}', '{"v":[]}', (Kind.TYPE, "/metadata/k/v")),
        ('{"x":12345678901234567.89}', '{"x":12345678901234567.90}', (Kind.VALUE, "/metadata/k/x")),
        ('{"x":9007199254740993.5}', '{"x":9007199254740993.75}', (Kind.VALUE, "/metadata/k/x")),
        ('{"x":1e400}', '{"x":2e400}', (Kind.VALUE, "/metadata/k/x")),
        ('{"x":1.5}', '{"x":"1.5"}', (Kind.TYPE, "/metadata/k/x")),
        ('{"x":1.5}', '{"x":true}', (Kind.TYPE, "/metadata/k/x")),
    ],
)
def test_documents_in_the_metadata_are_compared_by_type_and_exact_number(
    tmp_path: Path, a: str, b: str, expected: tuple[Kind, str]
) -> None:
    findings = compared(tmp_path, *(table().replace_schema_metadata({"k": document}) for document in (a, b)))
    assert (findings[0].kind, findings[0].where["pointer"]) == expected
    assert findings[0].rung is Rung.VALUE


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [("1.50", "1.5", Kind.ENCODING), ("0.3", "0.30000000000000004", Kind.FLOAT_NOISE)],
)
def test_numbers_in_the_metadata_may_be_spelled_otherwise(tmp_path: Path, a: str, b: str, kind: Kind) -> None:
    (finding,) = compared(
        tmp_path, *(table().replace_schema_metadata({"k": f'{{"x": {number}}}'}) for number in (a, b))
    )
    assert finding.kind is kind


@pytest.mark.parametrize("shape", ["struct", "list", "struct in a map", "struct in a list"])
def test_metadata_of_fields_inside_of_fields_is_compared(tmp_path: Path, shape: str) -> None:
    def nested(unit: str) -> pa.Table:
        member = pa.field("x", pa.int64(), metadata={"unit": unit})
        kinds = {
            "struct": (pa.struct([member]), {"x": 1}),
            "list": (pa.list_(member), [1]),
            "struct in a map": (pa.map_(pa.string(), pa.struct([member])), [("k", {"x": 1})]),
            "struct in a list": (pa.list_(pa.struct([member])), [{"x": 1}]),
        }
        kind, value = kinds[shape]
        return pa.table({"s": pa.array([value], kind)})

    pq.write_table(nested("m"), tmp_path / "probe.parquet")
    schema = pq.read_schema(tmp_path / "probe.parquet")
    assert "unit" in schema.to_string(show_field_metadata=True)
    (finding,) = compared(tmp_path, nested("m"), nested("ft"))
    assert (finding.kind, finding.rung) == (Kind.VALUE, Rung.VALUE)
    assert str(finding.where["pointer"]).endswith("/metadata/unit")
    assert str(finding.where["pointer"]).startswith("/fields/s/")


def required(values: list[int | None], *, nullable: bool) -> pa.Table:
    return pa.table(
        {"k": range(3), "x": values}, pa.schema([("k", pa.int64()), pa.field("x", pa.int64(), nullable)])
    )


def test_required_against_nullable_is_layout_while_there_are_no_nulls(tmp_path: Path) -> None:
    (finding,) = compared(tmp_path, required([1, 2, 3], nullable=True), required([1, 2, 3], nullable=False))
    assert (finding.kind, finding.rung) == (Kind.LAYOUT, Rung.CONTAINER)
    findings = compared(tmp_path, required([1, None, 3], nullable=True), required([1, 2, 3], nullable=False))
    assert {(finding.kind, finding.rung) for finding in findings if finding.where} == {
        (Kind.TYPE, Rung.VALUE),
        (Kind.VALUE, Rung.VALUE),
    }


def test_a_writer_whose_name_is_no_utf_8_is_named_as_such(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    for name, octet in (("b", b"\xff"), ("c", b"\xfe")):
        (tmp_path / f"{name}.parquet").write_bytes(data.replace(b"parquet-cpp", octet + b"arquet-cpp"))
    for left in "ab":
        output = compare_files(
            tmp_path / f"{left}.parquet", tmp_path / "c.parquet", name="x.parquet", context=Context()
        )
        assert output.verdict is OutputVerdict.EQUIVALENT
        assert [finding.kind for finding in output.findings] == [Kind.LIBRARY_VERSION]
        assert "not UTF-8" in output.findings[0].evidence


def test_categories_against_texts_are_layout_with_all_that_pandas_says_of_them(tmp_path: Path) -> None:
    names = [f"n{i % 7}" for i in range(N)]
    categories = pd.Categorical(names)
    findings = frames(tmp_path, frame(name=categories), frame(name=names))
    assert {(finding.kind, finding.rung) for finding in findings} == {(Kind.LAYOUT, Rung.CONTAINER)}
    more = pd.Categorical(names, categories=[*categories.categories, "unused"])
    findings = frames(tmp_path, frame(name=categories), frame(name=more))
    assert {(finding.kind, finding.rung) for finding in findings} == {(Kind.LAYOUT, Rung.CONTAINER)}


def test_ordered_categories_against_unordered_ones_are_another_type(tmp_path: Path) -> None:
    names = [f"n{i % 7}" for i in range(N)]
    findings = frames(
        tmp_path, frame(name=pd.Categorical(names)), frame(name=pd.Categorical(names, ordered=True))
    )
    assert Kind.TYPE in {finding.kind for finding in findings if finding.rung is Rung.VALUE}


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_new_rows_that_repeat_cells_of_old_ones_are_added_not_changed(tmp_path: Path, ending: str) -> None:
    rng = np.random.default_rng(0)
    base = pd.DataFrame(
        {
            "id": range(N),
            "name": [f"n{i}" for i in range(N)],
            "grp": rng.choice(list("abc"), N),
            "x": rng.random(N),
            "y": rng.random(N),
        }
    )
    new = base.iloc[:5].assign(id=range(1000, 1005), name=[f"new{i}" for i in range(5)])
    for side, rows in (("a", base), ("b", pd.concat([new, base.iloc[2:]]))):
        path = tmp_path / f"{side}.{ending}"
        _ = rows.to_csv(path, index=False) if ending == "csv" else rows.to_parquet(path, index=False)
    output = compare_files(
        tmp_path / f"a.{ending}", tmp_path / f"b.{ending}", name=f"x.{ending}", context=Context()
    )
    counts = {finding.kind: finding.count for finding in output.findings if finding.rung is Rung.VALUE}
    assert counts == {Kind.ROWS_REMOVED: 2, Kind.ROWS_ADDED: 5}


def test_field_metadata_is_compared(tmp_path: Path) -> None:
    schema = table().schema
    described = schema.set(0, schema.field(0).with_metadata({"unit": "m"}))
    (finding,) = compared(tmp_path, table(), table().cast(described))
    assert (finding.kind, finding.where) == (Kind.VALUE, {"pointer": "/fields/id/metadata/unit"})


def frame(**changed: Any) -> pd.DataFrame:
    return pd.DataFrame({"id": range(N), "name": [f"n{i % 7}" for i in range(N)]} | changed)


def frames(folder: Path, a: pd.DataFrame, b: pd.DataFrame) -> tuple[Finding, ...]:
    a.to_parquet(folder / "a.parquet")
    b.to_parquet(folder / "b.parquet")
    return compare(folder / "a.parquet", folder / "b.parquet", Context())


def test_fields_that_exchange_their_numbers_are_another_schema(tmp_path: Path) -> None:
    def numbered(*numbers: int | None) -> pa.Table:
        fields = [
            pa.field(name, pa.int64(), metadata=None if number is None else {"PARQUET:field_id": str(number)})
            for name, number in zip("xy", numbers, strict=True)
        ]
        return pa.table([[1], [2]], schema=pa.schema(fields))

    found = compared(tmp_path, numbered(1, 2), numbered(2, 1))
    assert [(f.kind, f.where) for f in found if f.rung is Rung.VALUE] == [
        (Kind.SCHEMA, {"pointer": f"/fields/{name}/metadata/PARQUET:field_id"}) for name in "xy"
    ]
    found = compared(tmp_path, numbered(1, 2), numbered(None, None))
    assert {(f.kind, f.rung) for f in found} == {(Kind.LAYOUT, Rung.CONTAINER)}


def test_another_pandas_version_alone_is_a_library_version(tmp_path: Path) -> None:
    one = pa.Table.from_pandas(frame())
    described = json.loads(one.schema.metadata[b"pandas"])
    described["pandas_version"] = "1.0.0"
    other = one.replace_schema_metadata({"pandas": json.dumps(described)})
    (finding,) = compared(tmp_path, one, other)
    assert (finding.kind, finding.rung) == (Kind.LIBRARY_VERSION, Rung.CONTAINER)


def test_a_shuffled_frame_shows_its_index_as_schema_and_its_rows_as_order(tmp_path: Path) -> None:
    findings = frames(tmp_path, frame(), frame().sample(frac=1, random_state=1))
    kinds = {finding.kind for finding in findings}
    assert {Kind.SCHEMA, Kind.ROW_ORDER} <= kinds
    assert Kind.VALUE not in kinds


def test_more_rows_are_not_another_index(tmp_path: Path) -> None:
    findings = frames(tmp_path, frame(), frame().iloc[: N - 1])
    assert [finding.kind for finding in findings if finding.rung is Rung.VALUE] == [Kind.ROWS_REMOVED]


def test_a_named_index_against_a_range_is_schema(tmp_path: Path) -> None:
    findings = frames(tmp_path, frame(), frame().set_index("id"))
    pointers = [finding.where.get("pointer") for finding in findings if finding.kind is Kind.SCHEMA]
    assert "/metadata/pandas/index_columns" in pointers


def test_int64_against_int32_is_a_type(tmp_path: Path) -> None:
    findings = frames(tmp_path, frame(), frame().astype({"id": "int32"}))
    first = next(finding for finding in findings if finding.where == {"column": "id"})
    assert (first.kind, first.rung) == (Kind.TYPE, Rung.VALUE)


@pytest.mark.parametrize("keep", [0, 3, 100, -9, -1])
def test_a_cut_off_file_is_unreadable_and_different(tmp_path: Path, keep: int) -> None:
    pq.write_table(table(), tmp_path / "a.parquet")
    data = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "b.parquet").write_bytes(data[:keep])
    with pytest.raises(Unreadable):
        compare(tmp_path / "a.parquet", tmp_path / "b.parquet", Context())
    output = compare_files(
        tmp_path / "a.parquet", tmp_path / "b.parquet", name="x.parquet", context=Context()
    )
    assert output.verdict is OutputVerdict.DIFFERENT


def test_flipped_bytes_never_make_files_equal(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "a.parquet", compression="none")
    data = (tmp_path / "a.parquet").read_bytes()
    for at in range(4, len(data), 37):
        broken = bytearray(data)
        broken[at] ^= 0x55
        (tmp_path / "b.parquet").write_bytes(bytes(broken))
        output = compare_files(
            tmp_path / "a.parquet", tmp_path / "b.parquet", name="x.parquet", context=Context()
        )
        assert output.verdict is not OutputVerdict.IDENTICAL


def test_a_table_beyond_the_limit_is_not_decoded(tmp_path: Path) -> None:
    pq.write_table(table(), tmp_path / "a.parquet")
    with pytest.raises(LimitExceeded):
        compare(tmp_path / "a.parquet", tmp_path / "a.parquet", Context(limits=Limits(member_bytes=100)))


class Keys(encryption.KmsClient):
    """A key service that hands out every key as it is."""

    def wrap_key(self, key: bytes, _name: str) -> bytes:
        return base64.b64encode(key)

    def unwrap_key(self, wrapped: bytes, _name: str) -> bytes:
        return base64.b64decode(wrapped)


def encrypted(path: Path, *, plain_footer: bool, uniform: bool = False) -> Path:
    to = encryption.EncryptionConfiguration(
        footer_key="f" * 16,
        column_keys={} if uniform else {"k" * 16: ["name"]},
        uniform_encryption=uniform,
        plaintext_footer=plain_footer,
        double_wrapping=False,
    )
    factory = encryption.CryptoFactory(lambda _: Keys())
    how = factory.file_encryption_properties(encryption.KmsConnectionConfig(), to)
    with pq.ParquetWriter(path, table().schema, encryption_properties=how) as writer:
        writer.write_table(table())
    return path


def test_what_is_encrypted_is_unknown_and_ends_no_process(tmp_path: Path) -> None:
    plain = tmp_path / "plain.parquet"
    pq.write_table(table(), plain)
    files = []
    for name, plain_footer, uniform in (
        ("column", True, False),
        ("all", False, False),
        ("pages", True, True),
    ):
        a, b = (tmp_path / f"{name} {side}.parquet" for side in "ab")
        for path in (a, b):
            encrypted(path, plain_footer=plain_footer, uniform=uniform)
        files += [a, b, plain, a]
    program = (
        "import sys, kfm_repro; files = sys.argv[1:]\n"
        "for a, b in zip(files, files[1:]):\n"
        "    (output,) = kfm_repro.diff(a, b).outputs; print(output.verdict, output.findings[0].evidence)"
    )
    run = subprocess.run([sys.executable, "-c", program, *files], check=False, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    said = run.stdout.splitlines()
    assert len(said) == len(files) - 1
    for line in said:
        assert line.startswith("unknown not compared by meaning: a Parquet file is encrypted"), said
