"""The Kansas demo: real data, two real pipelines, every fault that a plain replay can show, named and counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from workshop import Done, Workshop

from kfm_repro.model.report_schema import report_schema

Findings = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """Run the demo once."""
    folder = tmp_path_factory.mktemp("demo")
    return Workshop(folder).kfm("demo", str(folder / "kansas"), "--json")


def outputs(demo: Done, pipeline: str) -> dict[str, dict[str, Any]]:
    return {Path(output["path"]).name: output for output in demo.json["reports"][pipeline]["outputs"]}


def kinds(output: dict[str, Any]) -> list[tuple[str, str, dict[str, Any], int]]:
    return [(item["kind"], item["rung"], item["where"], item["count"]) for item in output["findings"]]


def test_both_verdicts_are_the_expected_ones(demo: Done) -> None:
    assert demo.code == 0, demo.err
    verdicts = {name: report["verdict"] for name, report in demo.json["reports"].items()}
    assert verdicts == {"county_profile": "equivalent", "county_profile_sloppy": "not-reproducible"}
    jsonschema.validate(demo.json, report_schema())


def test_the_careful_pipeline_differs_only_in_the_geopackages_write_time(demo: Done) -> None:
    found = outputs(demo, "county_profile")
    gpkg = found.pop("county_profile.gpkg")
    assert {output["verdict"] for output in found.values()} == {"identical"}
    assert set(found) == {
        "county_profile.csv",
        "county_profile.geojson",
        "county_profile.parquet",
        "county_profile.stac.json",
        "county_stats.parquet",
    }
    assert kinds(gpkg) == [
        ("timestamp", "container", {"layer": "county_profile", "column": "last_change"}, 1)
    ]
    assert gpkg["a"]["feature_count"] == 105


def test_the_clock_and_the_uuid_column_are_found_in_every_row(demo: Done) -> None:
    table = outputs(demo, "county_profile_sloppy")["county_profile.csv"]
    assert kinds(table) == [
        ("timestamp", "value", {"column": "generated_at"}, 105),
        ("identifier", "value", {"column": "record_id"}, 105),
    ]
    assert [item["of"] for item in table["findings"]] == [105, 105]
    assert table["findings"][0]["examples"][0]["key"] == {"geoid": "20001"}


def test_the_unseeded_sample_is_other_rows(demo: Done) -> None:
    sample = outputs(demo, "county_profile_sloppy")["spot_check.csv"]
    found = {item["kind"]: item["count"] for item in sample["findings"] if item["rung"] == "value"}
    assert set(found) == {"rows-added", "rows-removed"}
    assert found["rows-added"] == found["rows-removed"] <= 20


def test_the_path_the_gzip_time_and_the_row_order_are_found(demo: Done) -> None:
    found = outputs(demo, "county_profile_sloppy")
    assert kinds(found["manifest.json"]) == [("path", "value", {"pointer": "/run_dir"}, 1)]
    assert [(item["kind"], item["rung"]) for item in found["archive.csv.gz"]["findings"]] == [
        ("timestamp", "container")
    ]
    assert found["zip_totals.csv"]["verdict"] in ("equivalent", "identical")
    assert {item["kind"] for item in found["zip_totals.csv"]["findings"]} <= {"row-order"}


def test_what_a_plain_replay_cannot_show_is_identical_and_said_to_be_not_exercised(demo: Done) -> None:
    found = outputs(demo, "county_profile_sloppy")
    for name in ("county_names.csv", "sources.csv", "county_stats.parquet"):
        assert found[name]["verdict"] == "identical"
    scope = demo.json["reports"]["county_profile_sloppy"]["scope"]
    assert {"hash-seed", "directory-order", "schedule"} <= set(scope["not_exercised"])


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious", encoding="utf-8")
    done = Workshop(tmp_path).kfm("demo", str(tmp_path), "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "usage")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_without_git_the_demo_says_so_and_lays_nothing_out(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    done = Workshop(tmp_path).kfm("demo", "kansas", "--json", env={"PATH": str(tmp_path / "bin")})
    assert (done.code, done.json["error"]["code"]) == (2, "code-unavailable")
    assert "git cannot be run" in done.json["error"]["message"]
    assert not (tmp_path / "kansas").exists()
