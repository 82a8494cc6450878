"""Validation reports are computed from real outputs where the pipeline wrote none (rule 16)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shapely import Point, Polygon

from kfm_repro.execute.collect import Produced, describe_files
from kfm_repro.execute.validation import geometry, schema, write_validation
from kfm_repro.model.manifest import Entry
from kfm_repro.runs.labels import Labels
from kfm_repro.runs.layout import RunDir
from kfm_repro.runs.project import LABELS, find_project

SQUARE = Polygon([(0, 0), (1, 0), (1, 1), (0, 1)])
BOWTIE = Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])


class Bench:
    """A project with outputs, and the reports on them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run = RunDir(root / "data/work/runs/census/01K9ABCDEFGHJKMNPQRSTVWXYZ")
        self.run.validation.mkdir(parents=True)
        self.settings = ""
        self.inputs: list[Entry] = []

    def path(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def text(self, name: str, text: str | bytes) -> str:
        self.path(name).write_bytes(text.encode() if isinstance(text, str) else text)
        return name

    def frame(self, name: str, shapes: list[Any], crs: str | None = "EPSG:4326", **columns: Any) -> str:
        frame = gpd.GeoDataFrame(columns or {"n": range(len(shapes))}, geometry=shapes, crs=crs)
        path = self.path(name)
        if path.suffix == ".parquet":
            frame.to_parquet(path)
        else:
            frame.to_file(path)
        return name

    def validate(self, *names: str) -> tuple[str, ...]:
        (self.root / "kfm-repro.toml").write_text(self.settings, encoding="utf-8")
        produced: list[Produced] = describe_files(self.root, list(names))
        return write_validation(find_project(self.root), self.run, self.inputs, produced)

    def report(self, name: str) -> Any:
        return json.loads((self.run.validation / f"{name}.json").read_text(encoding="utf-8"))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def columns(table: dict[str, Any]) -> dict[str, tuple[Any, ...]]:
    return {
        item["name"]: (item["type"], item["null_fraction"], item.get("min"), item.get("max"))
        for item in table["columns"]
    }


def test_rule_16_a_csv_is_described_by_what_all_its_cells_can_be_read_as(bench: Bench) -> None:
    name = bench.text(
        "data/out.csv", "geoid,fips,share,note,none\n20001,001,0.5,b,\n20003,003,,a,\n9,005,2,é,\n"
    )
    assert bench.validate(name) == ("schema_report", "geometry_report", "policy_gate")
    report = bench.report("schema_report")
    assert (report["status"], report["outputs"][0]["rows_read"]) == ("pass", 3)
    assert columns(report["outputs"][0]) == {
        "geoid": ("integer", 0.0, 9, 20003),
        "fips": ("text", 0.0, "001", "005"),
        "share": ("number", 0.333333, 0.5, 2.0),
        "note": ("text", 0.0, "a", "é"),
        "none": ("text", 1.0, None, None),
    }


def test_rule_16_a_column_that_stops_being_numbers_is_text(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "_BATCH", 2)
    bench.validate(bench.text("out.csv", "n\n1\n2\n3.5\n4\nx\n"))
    assert columns(bench.report("schema_report")["outputs"][0]) == {"n": ("text", 0.0, "1", "x")}


def test_rule_16_parquet_types_nulls_and_ranges(bench: Bench) -> None:
    table = pa.table({"n": pa.array([3, None, 1], pa.int16()), "b": [b"x", b"y", b"z"], "l": [[1], [2], []],
                      "f": [1.5, float("nan"), float("inf")]})  # fmt: skip
    pq.write_table(table, bench.path("out.parquet"))
    bench.validate("out.parquet")
    found = columns(bench.report("schema_report")["outputs"][0])
    assert found["n"] == ("int16", 0.333333, 1, 3)
    assert found["b"] == ("binary", 0.0, None, None)
    assert found["l"][0].startswith("list<")
    assert found["f"] == ("double", 0.0, 1.5, "inf")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("out.csv", "a,b\n1,2\n3\n", "line 3 has 1 cells, the header 2"),
        ("out.csv", "", "no header"),
        ("out.csv", b"a\n\xff\xfe\xfd\n", "no text table"),
        ("out.csv", "a,a\n1,2\n", "same name: a"),
        ("out.parquet", b"PAR1 not", "cannot be read"),
        ("out.gpkg", b"SQLite format 3\0", "cannot be read"),
        ("out.geojson", '{"type": "FeatureCollection", "features": [', "cannot be read"),
    ],
)
def test_rule_16_what_cannot_be_read_fails_and_says_why(
    name: str, content: str | bytes, says: str, bench: Bench
) -> None:
    bench.validate(bench.text(name, content))
    report = bench.report("schema_report")
    assert report["status"] == "fail"
    assert says in report["outputs"][0]["reason"]


@pytest.mark.parametrize("name", ["out.geojson", "out.gpkg", "out.parquet"])
def test_rule_16_geometries_are_checked_in_every_vector_format(name: str, bench: Bench) -> None:
    bench.validate(bench.frame(name, [SQUARE, Point(3, 4), None, Polygon()]))
    report = bench.report("geometry_report")
    (layer,) = report["outputs"][0]["layers"]
    assert (report["status"], layer["features"], layer["null"], layer["empty"]) == ("pass", 4, 1, 1), report
    assert layer["geometry_types"] == {"Point": 1, "Polygon": 2}
    assert (layer["crs"], layer["extent"]) == ("EPSG:4326", [0.0, 0.0, 3.0, 4.0])


@pytest.mark.parametrize("name", ["out.geojson", "out.gpkg", "out.parquet"])
def test_rule_16_an_invalid_geometry_fails_the_report(name: str, bench: Bench) -> None:
    bench.validate(bench.frame(name, [SQUARE, BOWTIE]))
    report = bench.report("geometry_report")
    assert (report["status"], report["outputs"][0]["layers"][0]["invalid"]) == ("fail", 1)
    assert "1 of 2 geometries are invalid" in report["reason"]


def test_rule_16_no_reference_system_and_coordinates_outside_the_world_fail(bench: Bench) -> None:
    bench.validate(
        bench.frame("none.parquet", [SQUARE], crs=None),
        bench.frame("metres.gpkg", [Point(500_000, 4_200_000)]),
        bench.frame("fine.gpkg", [Point(500_000, 4_200_000)], crs="EPSG:26914"),
    )
    reasons = {item["path"]: item["reason"] for item in bench.report("geometry_report")["outputs"]}
    assert "no coordinate reference system" in reasons["none.parquet"]
    assert "outside the world" in reasons["metres.gpkg"]
    assert reasons["fine.gpkg"] == ""


def test_rule_16_without_geometries_the_report_was_not_run(bench: Bench) -> None:
    bench.validate(bench.text("out.csv", "a\n1\n"))
    report = bench.report("geometry_report")
    assert (report["status"], report["reason"]) == ("not-run", "no output has geometries")


def test_rule_16_without_rules_the_policy_gate_was_not_run(bench: Bench) -> None:
    bench.validate(bench.text("out.csv", "a\n1\n"))
    assert bench.report("policy_gate")["status"] == "not-run"


def test_rule_16_what_the_pipeline_wrote_is_kept(bench: Bench) -> None:
    own = bench.run.validation / "schema_report.json"
    own.write_text('{"status": "pass"}', encoding="utf-8")
    assert bench.validate(bench.text("out.csv", "a\n1\n")) == ("geometry_report", "policy_gate")
    assert own.read_text(encoding="utf-8") == '{"status": "pass"}'


def test_rule_16_the_policy_gate_applies_the_rules_of_the_settings(bench: Bench) -> None:
    bench.settings = """
[policy]
secrets = true
labels = true
counts = true
[outputs."*.csv"]
label = "public"
count = [1, 2]
[inputs."*"]
label = "public"
"""
    bench.inputs = [Entry(path="data/in.csv")]
    bench.validate(bench.text("out.csv", "a\n1\n"))
    report = bench.report("policy_gate")
    assert (report["status"], {rule["rule"]: rule["status"] for rule in report["rules"]}) == (
        "pass",
        {"secrets": "pass", "labels": "pass", "counts": "pass", "required-count": "pass"},
    )


def test_rule_16_the_policy_gate_fails_on_a_secret_a_label_and_a_count(bench: Bench) -> None:
    bench.settings = '[policy]\nsecrets = true\nlabels = true\n[outputs."*"]\ncount = 7\nlabel = "public"\n'
    bench.inputs = [Entry(path="data/in.csv", extra={"sensitivity": "restricted"})]
    bench.text("data/work/runs/census/01K9ABCDEFGHJKMNPQRSTVWXYZ/logs/stderr.log", "GET /x?token=abcd1234\n")
    bench.validate(bench.text("out.csv", "a\n1\n"))
    report = bench.report("policy_gate")
    rules = {rule["rule"]: rule for rule in report["rules"]}
    assert report["status"] == "fail"
    assert rules["secrets"]["found"] == [{"file": "logs/stderr.log", "line": 1, "kind": "url-token"}]
    assert rules["labels"]["status"] == "fail"
    assert rules["required-count"]["reason"] == "out.csv: 1, required 7"
    assert "abcd1234" not in json.dumps(report)


def test_rule_16_labels_without_any_label_were_not_run(bench: Bench) -> None:
    bench.settings = "[policy]\nlabels = true\n"
    bench.validate(bench.text("out.csv", "a\n1\n"))
    assert bench.report("policy_gate")["status"] == "not-run"


def test_rule_17_a_replay_withholds_what_the_recorded_run_had_labelled(bench: Bench) -> None:
    produced = describe_files(bench.root, [bench.text("out.csv", "a\n77\n")])
    (bench.root / "kfm-repro.toml").write_text("", encoding="utf-8")
    recorded = Labels(inputs={}, outputs={"out.csv": "restricted"}, order=LABELS)
    write_validation(find_project(bench.root), bench.run, [], produced, labels=recorded)
    assert "77" not in json.dumps(bench.report("schema_report"))


@pytest.mark.parametrize("name", ["out.geojson", "out.gpkg", "out.parquet"])
def test_rule_17_ranges_extents_and_reasons_of_a_restricted_output_are_withheld(
    name: str, bench: Bench
) -> None:
    bench.settings = '[outputs."*"]\nlabel = "restricted"\n'
    bench.validate(bench.frame(name, [SQUARE, BOWTIE], site=["hidden-place", "other-place"]))
    text = json.dumps([bench.report("schema_report"), bench.report("geometry_report")])
    assert "-place" not in text
    assert "0.5" not in text
    assert text.count("withheld: its label") >= 2


def test_rule_16_a_big_output_is_sampled_and_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "MAX_ROWS", 3)
    monkeypatch.setattr(geometry, "MAX_FEATURES", 3)
    bench.validate(
        bench.text("out.csv", "a\n1\n2\n3\n4\n"), bench.frame("out.parquet", [Point(n, n) for n in range(5)])
    )
    tables = bench.report("schema_report")["outputs"]
    assert [table["sampled"] for table in tables] == ["the first 3 rows", "the first 3 rows"]
    assert bench.report("geometry_report")["outputs"][0]["layers"][0]["sampled"] == "3 of 5 features"


def test_rule_16_too_large_a_file_was_not_run_never_passed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "MAX_BYTES", 10)
    monkeypatch.setattr(geometry, "MAX_BYTES", 10)
    bench.validate(bench.frame("out.geojson", [SQUARE]))
    for name in ("schema_report", "geometry_report"):
        assert bench.report(name)["status"] == "not-run"
        assert "larger than" in bench.report(name)["reason"]


def test_the_reports_are_the_same_bytes_twice(bench: Bench) -> None:
    names = (bench.frame("b.gpkg", [SQUARE, BOWTIE]), bench.text("a.csv", "x,y\n1,2\n"))
    bench.validate(*names)
    first = {path.name: path.read_bytes() for path in bench.run.validation.iterdir()}
    for path in bench.run.validation.iterdir():
        path.unlink()
    bench.validate(*reversed(names))
    assert {path.name: path.read_bytes() for path in bench.run.validation.iterdir()} == first


def test_looking_at_a_geopackage_leaves_it_and_its_folder_as_they_were(bench: Bench) -> None:
    name = bench.frame("data/out.gpkg", [SQUARE])
    before = (bench.root / name).read_bytes()
    bench.validate(name)
    assert (bench.root / name).read_bytes() == before
    assert [path.name for path in (bench.root / "data").iterdir() if path.is_file()] == ["out.gpkg"]


def test_rule_16_coordinates_that_are_no_numbers_and_broken_wkb_fail(bench: Bench) -> None:
    for name, blob, says in (
        ("nan.parquet", Point(float("nan"), 1.0).wkb, "1 of 2 geometries are invalid"),
        ("inf.parquet", Point(float("inf"), 1.0).wkb, "1 of 2 geometries are invalid"),
        ("broken.parquet", b"\x01\x03\x00", "1 geometries cannot be read"),
    ):
        geo = {
            "version": "1.1.0",
            "primary_column": "g",
            "columns": {"g": {"encoding": "WKB", "geometry_types": []}},
        }
        table = pa.table({"g": pa.array([blob, SQUARE.wkb], pa.binary())})
        pq.write_table(table.replace_schema_metadata({"geo": json.dumps(geo)}), bench.path(name))
        (bench.run.validation / "geometry_report.json").unlink(missing_ok=True)
        bench.validate(name)
        report = bench.report("geometry_report")
        assert report["status"] == "fail"
        assert says in report["reason"]
        assert report["outputs"][0]["layers"][0]["crs"] == "OGC:CRS84"
