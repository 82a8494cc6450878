"""What differs between two environments, and what each difference can affect."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfm_repro.execute.drift import MATTERS, affects, bounded, environment_drift
from kfm_repro.execute.fingerprint import fingerprint

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text("ab.\x1b", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "native",
                    "geos",
                    "files",
                    "proj_data",
                    "packages",
                    "a",
                    "record_sha256",
                    "direct_url",
                    "source",
                    "flags",
                ]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
PRINTS = st.dictionaries(
    st.sampled_from(
        [
            "python",
            "packages",
            "package_records",
            "folders",
            "conda",
            "native",
            "cpu",
            "threads",
            "locale",
            "new",
        ]
    ),
    VALUES,
)


def named(a: dict, b: dict) -> dict[str, tuple[str, str]]:
    return {item.what: (item.matters, item.change) for item in environment_drift(a, b)}


@pytest.mark.parametrize(
    ("name", "matters"),
    [
        ("shapely", "geometry"), ("pyproj", "geometry"), ("numpy", "floats"), ("pandas", "tables"),
        ("polars", "tables"), ("duckdb", "tables"), ("pyyaml", "text"), ("requests", "network"), ("pip", "cosmetic"),
    ],
)  # fmt: skip
def test_a_package_is_named_with_what_it_can_affect(name: str, matters: str) -> None:
    assert named({"packages": {name: "1", "x": "1"}}, {"packages": {name: "2", "x": "1"}}) == {
        name: (matters, "version")
    }


def test_a_package_that_nobody_knows_is_not_called_harmless() -> None:
    found = named({"packages": {"my-census": "1"}}, {"packages": {"my-census": "2"}})
    assert found == {"my-census": ("unknown", "version")}


def test_the_same_version_with_other_files_is_named_as_such() -> None:
    sides = [
        {"packages": {"shapely": "2.1"}, "package_records": {"shapely": {"record_sha256": digest * 64}}}
        for digest in "ab"
    ]
    (drift,) = environment_drift(*sides)
    assert (drift.what, drift.change, drift.matters) == ("shapely (its files)", "files", "geometry")
    assert (drift.a, drift.b) == ("a" * 64, "b" * 64)


def test_added_and_removed_packages_are_told_apart_and_names_are_compared_as_indexes_do() -> None:
    a = {"packages": {"Py_YAML": "1", "scipy": "1"}}
    b = {"packages": {"py-yaml": "1", "rasterio": "2"}}
    assert named(a, b) == {"scipy": ("floats", "removed"), "rasterio": ("geometry", "added")}


def test_native_libraries_and_their_data_are_facts_of_their_own() -> None:
    a = {
        "libc": "glibc 2.36", "kernel": "6.1",
        "native": {
            "geos": "3.13", "proj": "9.4", "sqlite": "3.40",
            "numpy": {"blas": "openblas 1", "simd": {"found": ["AVX2"]}},
            "proj_data": {"files": {"proj.db": "1", "old.tif": "1"}, "network": False},
        },
        "cpu": {"flags_sha256": "1", "simd": ["avx2"]},
        "locale": {"all": "C"},
        "python": "3.11.7",
    }  # fmt: skip
    b = json.loads(json.dumps(a))
    b |= {"libc": "glibc 2.41", "kernel": "6.9", "python": "3.12.1", "locale": {"all": "de"}}
    b["native"] |= {"geos": "3.14", "sqlite": "3.50"}
    b["native"]["numpy"]["simd"]["found"] = ["AVX512F"]
    b["native"]["proj_data"] = {"files": {"proj.db": "2", "us.tif": "1"}, "network": True}
    b["cpu"]["flags_sha256"] = "2"
    assert named(a, b) == {
        "GEOS": ("geometry", "value"),
        "PROJ files and grids: proj.db": ("geometry", "files"),
        "PROJ files and grids: old.tif": ("geometry", "removed"),
        "PROJ files and grids: us.tif": ("geometry", "added"),
        "PROJ network": ("geometry", "value"),
        "SIMD level of numpy: found": ("floats", "value"),
        "CPU flags": ("floats", "value"),
        "libc": ("floats", "value"),
        "SQLite": ("tables", "value"),
        "python": ("tables", "version"),
        "locale": ("text", "value"),
        "kernel": ("cosmetic", "value"),
    }


def test_lists_show_what_each_side_has_alone_and_a_digest_beside_a_list_is_not_said_twice() -> None:
    a = {"cpu": {"flags": ["avx", "avx2", "sse"], "flags_sha256": "1"}}
    b = {"cpu": {"flags": ["avx", "fma", "sse"], "flags_sha256": "2"}}
    (drift,) = environment_drift(a, b)
    assert (drift.what, drift.a, drift.b) == ("CPU flags", "avx2", "fma")
    (drift,) = environment_drift(a, {"cpu": {"flags": ["avx", "avx2", "fma", "sse"]}})
    assert (drift.a, drift.b) == ("none besides", "fma")
    (drift,) = environment_drift({"cpu": {"flags_sha256": "1"}}, b)
    assert (drift.what, drift.a, drift.b) == ("CPU flags", "1", "2")


def test_native_libraries_of_conda_are_compared_by_name() -> None:
    a = {"conda": {"geos": "3.12 h1", "libblas": "3.9 h1", "pip": "24 py", "odd": "1 h1"}}
    b = {"conda": {"geos": "3.13 h1", "libblas": "3.9 h2", "pip": "25 py", "odd": "1 h2"}}
    assert {what: matters for what, (matters, _) in named(a, b).items()} == {
        "conda: geos": "geometry", "conda: libblas": "floats", "conda: pip": "cosmetic", "conda: odd": "unknown",
    }  # fmt: skip


def test_leaving_a_conda_environment_is_one_drift_and_not_one_for_each_of_its_packages() -> None:
    (drift,) = environment_drift({"conda": {"geos": "3.12 h1", "pip": "24 py"}}, {"conda": {}})
    assert (drift.what, drift.a, drift.b, drift.change) == (
        "conda environment",
        "2 packages",
        None,
        "removed",
    )
    assert environment_drift({"conda": {}}, {"conda": {}}) == ()


def test_code_that_is_imported_from_a_folder_is_known_by_its_commit_and_that_of_the_project_by_its_record() -> (
    None
):
    def side(commit: str, **state: object) -> dict:
        source = {
            "url": "file:///work/lib",
            "editable": True,
            "source": {"commit": commit * 40, "changed": False},
        }
        folders = {
            "{root}/src": {"kind": "pth", "commit": commit * 40},
            "/work/tools": {"kind": "pth", "commit": "c" * 40, "changed": False, **state},
        }
        return {"folders": folders, "package_records": {"Geo_Pandas": {"direct_url": source}}}

    assert named(side("a"), side("b")) == {"geo-pandas (its source)": ("unknown", "files")}
    changed = side("a", changed=True, changes_sha256="d" * 64)
    (drift,) = environment_drift(side("a"), changed)
    assert (drift.what, drift.change) == ("folder /work/tools", "files")
    assert (drift.a, drift.b) == (
        "pth, commit cccccccccccc",
        "pth, commit cccccccccccc, changed (dddddddddddd)",
    )
    without = side("a")
    del without["folders"]["/work/tools"]
    (drift,) = environment_drift(side("a"), without)
    assert (drift.b, drift.change) == (None, "removed")
    assert environment_drift(side("a"), {"package_records": {}}) == ()


def test_of_a_program_that_is_no_python_the_bytes_count_and_not_where_it_lies() -> None:
    a, b = ({"program": {"path": f"/{name}/gdal", "sha256": "1" * 64}} for name in "ab")
    assert environment_drift(a, b) == ()
    b["program"]["sha256"] = "2" * 64
    assert named(a, b) == {"program (its file)": ("tables", "files")}


def test_the_time_zone_is_shown_with_both_of_its_names() -> None:
    a, b = ({"time_zone": {"names": names, "name": ""}} for names in (["GMT", "BST"], ["GMT", "IST"]))
    (drift,) = environment_drift(a, b)
    assert (drift.what, drift.a, drift.b) == ("time zone", '["GMT", "BST"]', '["GMT", "IST"]')


def test_records_of_other_tools_never_break_the_drift() -> None:
    strange = {
        "native": "none",
        "packages": {"a": 1},
        "package_records": {"a": "x", "b": {"direct_url": {"source": 3}}},
        "folders": {"/x": 3},
        "conda": 1,
        "cpu": [1],
        "threads": 3,
    }
    other = {
        "native": {"geos": "1"},
        "packages": {"a": 2},
        "package_records": {"a": {}},
        "folders": {"/x": {}},
        "threads": {"X": "1"},
    }
    assert set(named(strange, other)) == {"a", "native", "thread variables", "b (its source)"}


def test_what_can_matter_comes_first_and_what_the_record_did_not_have_comes_last() -> None:
    a = {"kernel": "1", "packages": {"pip": "1", "pandas": "1", "numpy": "1", "shapely": "1", "zz": "1"}}
    b = {
        "kernel": "2",
        "packages": {"pip": "2", "pandas": "2", "numpy": "2", "shapely": "2", "fiona": "1", "zz": "2"},
    }
    drifts = environment_drift(a, b)
    assert [item.what for item in drifts] == [
        "shapely", "fiona", "numpy", "pandas", "zz", "kernel", "pip",
    ]  # fmt: skip
    assert affects(drifts) == {"geometry": 2, "floats": 1, "tables": 1, "unknown": 1, "cosmetic": 2}


def test_the_list_is_bounded_and_says_how_many_are_left_out() -> None:
    a = {"packages": {f"p{number}": "1" for number in range(700)} | {"shapely": "1"}}
    b = {"packages": {f"p{number}": "2" for number in range(700)} | {"shapely": "2" * 1000}}
    shown, omitted = bounded(environment_drift(a, b))
    assert (len(shown), omitted, shown[0].what) == (500, 201, "shapely")
    assert len(shown[0].b or "") < 300


def test_a_fact_without_a_rule_is_reported_all_the_same() -> None:
    assert named({"gpu": {"driver": "1"}}, {"gpu": {"driver": "2"}}) == {"gpu.driver": ("unknown", "value")}


def test_where_an_interpreter_lies_is_no_drift_and_neither_is_what_one_side_does_not_say(
    tmp_path: Path,
) -> None:
    a, b = ({"executable": f"/{name}/python", "interpreter": {"chosen": name}} for name in "ab")
    assert environment_drift(a, b) == ()
    ours = fingerprint(sys.executable, tmp_path)
    assert environment_drift(ours, json.loads(json.dumps(ours))) == ()
    assert environment_drift({}, ours) == ()
    assert environment_drift(ours, {}) == ()


@given(PRINTS, PRINTS)
def test_any_two_documents_have_a_drift_that_is_sorted_and_the_same_seen_from_both_sides(
    a: dict, b: dict
) -> None:
    there, back = environment_drift(a, b), environment_drift(b, a)
    assert environment_drift(a, a) == ()
    assert sorted((item.what, item.a, item.b) for item in there) == sorted(
        (item.what, item.b, item.a) for item in back
    )
    order = [MATTERS.index(item.matters) for item in there]
    assert order == sorted(order)
