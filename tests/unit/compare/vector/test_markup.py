import zipfile
from pathlib import Path
from typing import Any

import pytest
from formats import FORMATS

from kfm_repro.judge.diff import compare_paths


@pytest.fixture
def pair(tmp_path: Path) -> Any:
    def write(a: Any, b: Any, form: str, edit: Any = None, stem: str = "x") -> Any:
        paths = []
        for side, frame in (("a", a), ("b", b)):
            path = tmp_path / side / f"{stem if side == 'b' else 'x'}{FORMATS[form].suffix}"
            path.parent.mkdir()
            FORMATS[form].write(frame, path)
            paths.append(path)
        if edit is not None:
            paths[1].write_text(edit(paths[1].read_text(encoding="utf-8")), encoding="utf-8")
        (output,) = compare_paths(*paths).outputs
        return sorted({(str(f.kind), str(f.rung)) for f in output.findings})

    return write


def shuffled(frame: Any) -> Any:
    return frame.sample(frac=1, random_state=3).reset_index(drop=True)


@pytest.mark.parametrize("form", ["GML", "KML"])
def test_ids_that_count_the_features_go_with_their_order(pair: Any, counties: Any, form: str) -> None:
    assert pair(counties, shuffled(counties), form) == [("feature-order", "order")]


def test_ids_that_something_refers_to_are_data(pair: Any, counties: Any) -> None:
    def refer(text: str) -> str:
        return text.replace("<Folder>", "<Folder><styleUrl>#x.3</styleUrl>", 1)

    found = pair(counties, shuffled(counties), "KML", refer)
    assert ("value", "value") in found


@pytest.mark.parametrize("form", ["GML", "KML"])
def test_layout_of_the_text_is_an_encoding(pair: Any, counties: Any, form: str) -> None:
    assert pair(counties, counties, form, lambda text: text.replace("\n", "\n  ")) == [
        ("encoding", "container")
    ]


def test_a_document_named_after_its_file_is_no_difference(pair: Any, counties: Any) -> None:
    found = pair(counties, counties, "KML", stem="y")
    assert {rung for _, rung in found} == {"container"}


def test_a_changed_style_is_data(pair: Any, counties: Any) -> None:
    found = pair(counties, counties, "KML", lambda text: text.replace("ff0000ff", "ff00ff00", 1))
    assert found == [("value", "value")]


def test_a_box_that_is_not_that_of_the_feature_is_data(pair: Any, counties: Any) -> None:
    def widen(text: str) -> str:
        before, mark, after = text.partition("<ogr:featureMember>")
        return before + mark + after.replace("<gml:lowerCorner>", "<gml:lowerCorner>1", 1)

    assert ("value", "value") in pair(counties, counties, "GML", widen)


def test_kmz_is_compared_by_what_is_in_it(tmp_path: Path, counties: Any) -> None:
    packed = []
    for side, frame in (("a", counties), ("b", shuffled(counties))):
        path = tmp_path / side / "doc.kml"
        path.parent.mkdir()
        FORMATS["KML"].write(frame, path)
        packed.append(tmp_path / f"{side}.kmz")
        with zipfile.ZipFile(packed[-1], "w") as archive:
            archive.write(path, "doc.kml")
    (output,) = compare_paths(*packed).outputs
    assert "feature-order" in {str(f.kind) for f in output.findings}
    assert {str(f.rung) for f in output.findings} <= {"order", "container"}


def test_the_first_document_of_a_kmz_is_the_one_that_is_shown(tmp_path: Path) -> None:
    sides = [tmp_path / "a.kmz", tmp_path / "b.kmz"]
    for path, names in zip(sides, (("one", "two"), ("two", "one")), strict=True):
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(zipfile.ZipInfo(f"{name}.kml"), KML.format(PLACED.format(name, "")))
    (output,) = compare_paths(*sides).outputs
    assert {(str(f.kind), str(f.rung)) for f in output.findings} == {
        ("value", "value"),
        ("entry-order", "order"),
    }


PLACED = "<Placemark><name>{}</name><Point>{}<coordinates>10,2</coordinates></Point></Placemark>"
KML = '<kml xmlns="http://www.opengis.net/kml/2.2"><Document>{}</Document></kml>'
TWO, ONE = PLACED.format("a", "") + PLACED.format("b", ""), PLACED.format("a", "")
MANY = "<Placemark><MultiGeometry><Point>{}<coordinates>1,2</coordinates></Point><Point>{}<coordinates>3,4</coordinates></Point></MultiGeometry></Placemark>"  # noqa: E501 - one document
RING = "<Placemark><{0}><coordinates>1,2 3,4 5,6 1,2</coordinates></{0}></Placemark>"
FOLDERS = "<Folder><visibility>0</visibility>{}</Folder><Folder>{}</Folder>"
SAID = '<Placemark><ExtendedData><Data name="description"><value>{}</value></Data></ExtendedData></Placemark>'
RAISED = "<extrude>1</extrude>"


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (TWO, TWO.replace("<Placemark>", "stray<Placemark>")),
        (TWO, TWO.replace("</Placemark>", "</Placemark>stray", 1)),
        (FOLDERS.format(TWO, ""), FOLDERS.format(ONE, TWO[len(ONE) :])),
        (SAID.format("x"), "<Placemark><description>x</description></Placemark>"),
        (SAID.format("x"), SAID.format("x ")),
        (MANY.format(RAISED, ""), MANY.format("", RAISED)),
        (ONE, ONE.replace("10,2", "1_0,2")),
        (ONE, ONE.replace("<name>", '<name xmlns="urn:other">')),
        (ONE, ONE.replace("<name>", "<name> ")),
        (ONE, f"<?look href='x.xsl'?>{ONE}"),
        (RING.format("LineString"), RING.format("LinearRing")),
    ],
)
def test_whatever_a_kml_says_counts(tmp_path: Path, a: str, b: str) -> None:
    assert "value" in rungs(tmp_path, KML.format(a), KML.format(b), "x.kml")


GML = (
    '<wfs:FeatureCollection xmlns:wfs="http://www.opengis.net/wfs/2.0" xmlns:gml="http://www.opengis.net/gml/3.2"'
    ' xmlns:x="http://www.w3.org/1999/xlink" xmlns:o="urn:o"><wfs:member><o:r gml:id="r1"><o:g>{}</o:g><o:n>x</o:n>'
    "</o:r></wfs:member></wfs:FeatureCollection>"
)
LINE = '<gml:LineString srsName="EPSG:4326"><gml:pos>1 2</gml:pos><gml:pos>3 4</gml:pos></gml:LineString>'
SURFACE = (
    '<gml:MultiSurface srsDimension="3"><gml:surfaceMember><gml:Polygon><gml:exterior><gml:LinearRing><gml:posList>'
    "0 0 1 1 0 1 1 1 1 0 1 1 0 0 1 0 0 1 0 0 1 0 0 0</gml:posList></gml:LinearRing></gml:exterior></gml:Polygon>"
    "</gml:surfaceMember></gml:MultiSurface>"
)


@pytest.mark.parametrize(
    ("geometry", "before", "after"),
    [
        (LINE, "</wfs:member>", '</wfs:member><wfs:member x:href="#other"/>'),
        (LINE, "</wfs:member>", "</wfs:member>stray"),
        (LINE, "<wfs:member>", '<wfs:member x:title="t">'),
        (LINE, "<wfs:member>", "<wfs:member>stray"),
        (LINE, "<gml:pos>1", "<gml:name>n</gml:name><gml:pos>1"),
        (LINE, "<gml:pos>3", '<gml:pointProperty x:href="#p"/><gml:pos>3'),
        (LINE, "<o:g>", '<o:g owns="true">'),
        (LINE, "<o:n>x", "<o:n> x"),
        (LINE, "o:n>", "gml:n>"),
        (SURFACE, 'srsDimension="3"', 'srsDimension="2"'),
        (SURFACE, "<gml:Polygon>", '<gml:Polygon srsName="EPSG:3857">'),
    ],
)
def test_whatever_a_gml_says_counts(tmp_path: Path, geometry: str, before: str, after: str) -> None:
    document = GML.format(geometry)
    assert before in document
    assert "value" in rungs(tmp_path, document, document.replace(before, after), "x.gml")


def test_the_number_of_ordinates_may_stand_at_any_part(tmp_path: Path) -> None:
    inner = SURFACE.replace(' srsDimension="3"', "").replace(
        "<gml:posList>", '<gml:posList srsDimension="3">'
    )
    assert rungs(tmp_path, GML.format(SURFACE), GML.format(inner), "x.gml") == {"container"}


def rungs(folder: Path, a: str, b: str, name: str) -> set[str]:
    paths = [folder / side / name for side in "ab"]
    for path, text in zip(paths, (a, b), strict=True):
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
    (output,) = compare_paths(*paths).outputs
    return {str(finding.rung) for finding in output.findings}


def data(*pairs: tuple[str, str]) -> str:
    said = "".join(f'<Data name="{name}"><value>{value}</value></Data>' for name, value in pairs)
    return KML.format(f"<Placemark><ExtendedData>{said}</ExtendedData></Placemark>")


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((("x", "1"), ("x", "2")), (("x", "1"), ("x (2)", "2"))),
        ((("x (2)", "1"), ("x (2)", "2")), (("x (2)", "1"), ("x (2) (2)", "2"))),
        ((("x (2)", "1"), ("x", "2"), ("x", "3")), (("x", "2"), ("x", "3"), ("x", "1"))),
    ],
)
def test_a_name_that_looks_like_a_second_value_of_another_is_its_own(
    tmp_path: Path, a: tuple[tuple[str, str], ...], b: tuple[tuple[str, str], ...]
) -> None:
    assert "value" in rungs(tmp_path, data(*a), data(*b), "x.kml")
