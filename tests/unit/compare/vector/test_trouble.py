"""Files that are damaged, empty, odd or large: a finding or an error that says so, on either side, in each format."""

import shutil
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from formats import FORMATS

from kfm_repro.compare.context import Limits
from kfm_repro.compare.vector.xml_read import parse
from kfm_repro.errors import Unreadable
from kfm_repro.judge.diff import compare_paths
from kfm_repro.model.finding import Rung
from kfm_repro.model.verdict import Verdict, run_verdict

pytestmark = pytest.mark.filterwarnings("ignore:'crs' was not provided", "ignore:Field seen created")
EVERY = sorted(FORMATS)
TEXTS = ("CSV with WKT", "GML", "GeoJSON", "GeoJSONSeq", "KML")


def write(folder: Path, side: str, form: str, frame: Any) -> Path:
    path = folder / side / f"counties{FORMATS[form].suffix}"
    path.parent.mkdir(parents=True, exist_ok=True)
    FORMATS[form].write(frame, path)
    return path


def rungs(a: Path, b: Path) -> Any:
    return {f.rung for output in compare_paths(a, b).outputs for f in output.findings}


def both_ways(a: Path, b: Path) -> Any:
    """Every finding of both comparisons, which must not come to equality."""
    found = []
    for left, right in ((a, b), (b, a)):
        outputs = compare_paths(left, right).outputs
        assert run_verdict(outputs) in (Verdict.NOT_REPRODUCIBLE, Verdict.UNKNOWN)
        told = [f for output in outputs for f in output.findings]
        assert "comparator failed" not in str([f.evidence for f in told])
        found += told
    return found


@pytest.mark.parametrize("keep", [0.0, 0.02, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("form", EVERY)
def test_what_is_cut_off_is_never_equal(form: str, keep: float, tmp_path: Path, counties: Any) -> None:
    whole = write(tmp_path, "a", form, counties)
    cut = write(tmp_path, "b", form, counties)
    raw = cut.read_bytes()
    cut.write_bytes(raw[: int(len(raw) * keep)])
    assert both_ways(whole, cut)


@pytest.mark.parametrize("form", sorted(set(EVERY) - set(TEXTS)))
def test_what_is_overwritten_is_never_equal(form: str, tmp_path: Path, counties: Any) -> None:
    """Text formats go on saying something; these lose an offset or a count."""
    whole = write(tmp_path, "a", form, counties)
    bad = write(tmp_path, "b", form, counties)
    raw = bytearray(bad.read_bytes())
    raw[60 : len(raw) // 2] = b"\xff" * (len(raw) // 2 - 60)
    bad.write_bytes(raw)
    assert both_ways(whole, bad)


@pytest.mark.parametrize("form", EVERY)
def test_two_files_of_garbage_are_unknown(form: str, tmp_path: Path, counties: Any) -> None:
    paths = [write(tmp_path, side, form, counties) for side in "ab"]
    for path, byte in zip(paths, (b"\xf1", b"\xf2"), strict=True):
        head = path.read_bytes()[:8]
        path.write_bytes(head + byte * 3000)
    assert both_ways(*paths)


@pytest.mark.parametrize("form", EVERY)
def test_another_format_under_the_name_is_never_equal(form: str, tmp_path: Path, counties: Any) -> None:
    other = "GeoPackage" if form != "GeoPackage" else "FlatGeobuf"
    real = write(tmp_path, "a", form, counties)
    lie = write(tmp_path, "b", form, counties)
    shutil.copyfile(write(tmp_path, "c", other, counties), lie)
    assert both_ways(real, lie)


@pytest.mark.parametrize("form", ["FlatGeobuf", "GeoPackage", "GeoParquet"])
def test_a_wrong_extension_misleads_nobody(form: str, tmp_path: Path, counties: Any) -> None:
    """Those that have first bytes of their own."""
    paths = [
        write(tmp_path, side, form, frame) for side, frame in (("a", counties), ("b", shuffled(counties)))
    ]
    renamed = [path.rename(path.with_suffix(".dat")) for path in paths]
    assert rungs(*renamed) <= {Rung.ORDER, Rung.CONTAINER}


def shuffled(frame: Any) -> Any:
    return frame.sample(frac=1, random_state=5).reset_index(drop=True)


@pytest.mark.parametrize("form", EVERY)
def test_no_features_are_not_some(form: str, tmp_path: Path, counties: Any) -> None:
    some = write(tmp_path, "a", form, counties)
    try:
        none = write(tmp_path, "b", form, counties.iloc[:0])
    except Exception as exc:  # noqa: BLE001 - whatever the writer makes of it
        pytest.skip(f"its writer writes no file without features: {exc}")
    assert both_ways(some, none)


def mixed() -> Any:
    shapes = [
        shapely.Point(-98, 38),
        shapely.LineString([(-98, 38), (-97, 39)]),
        shapely.box(-98, 38, -97, 39),
    ]
    return gpd.GeoDataFrame({"geoid": [1, 2, 3]}, geometry=shapes, crs="EPSG:4326")


@pytest.mark.parametrize("form", sorted(set(EVERY) - {"Shapefile"}))
def test_mixed_geometries_are_told_one_by_one(form: str, tmp_path: Path) -> None:
    changed = mixed()
    changed.loc[1, "geometry"] = changed.geometry[1].reverse()
    a, b = write(tmp_path, "a", form, mixed()), write(tmp_path, "b", form, changed)
    found = [f for f in both_ways(a, b) if f.rung == Rung.VALUE]
    assert {(f.kind, f.count) for f in found} == {("line-direction", 1)}


@pytest.mark.parametrize("form", EVERY)
def test_a_step_over_the_antimeridian_is_short(form: str, tmp_path: Path) -> None:
    frames = [
        gpd.GeoDataFrame(
            {"geoid": [1, 2]}, geometry=shapely.points([[x, 52.0], [10.0, 50.0]]), crs="EPSG:4326"
        )
        for x in (179.99999, -179.99999)
    ]
    a, b = (write(tmp_path, side, form, frame) for side, frame in zip("ab", frames, strict=True))
    (found, _) = [f for f in both_ways(a, b) if f.kind == "geometry"]
    if form != "CSV with WKT":  # which has no reference system
        assert found.metres["max"] == pytest.approx(1.373, rel=0.01)


HOSTILE = {
    "GML": '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]><x><featureMember>&e;</featureMember></x>',
    "KML": '<!DOCTYPE kml [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><kml><name>&b;</name></kml>',
}


@pytest.mark.parametrize("form", sorted(HOSTILE))
def test_entities_are_refused(form: str, tmp_path: Path) -> None:
    paths = []
    for side in "ab":
        paths.append(tmp_path / side / f"x{FORMATS[form].suffix}")
        paths[-1].parent.mkdir()
        paths[-1].write_text(HOSTILE[form] + f"<!--{side}-->", encoding="utf-8")
    for path in paths:
        with pytest.raises(Unreadable, match="document type"):
            parse(path, Limits())
    assert both_ways(*paths)


@pytest.mark.full
@pytest.mark.parametrize("form", ["FlatGeobuf", "GeoPackage", "GeoParquet", "Shapefile"])
def test_a_million_features_are_told_to_the_last(form: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    frame = gpd.GeoDataFrame(
        {"geoid": np.arange(1_000_000)},
        geometry=shapely.points(rng.uniform([-102, 37], [-95, 40], (1_000_000, 2))),
        crs="EPSG:4326",
    )
    moved = frame.copy()
    shapes = moved.geometry.to_numpy().copy()
    shapes[-1] = shapely.Point(shapes[-1].x, shapes[-1].y + 2 / 110_990)
    moved["geometry"] = gpd.GeoSeries(shapes, crs=frame.crs)
    a, b = (write(tmp_path, side, form, data) for side, data in (("a", frame), ("b", moved)))
    (found, _) = [f for f in both_ways(a, b) if f.kind == "geometry"]
    assert (found.count, found.of) == (1, 1_000_000)
    assert found.metres["max"] == pytest.approx(2.0, rel=0.01)
