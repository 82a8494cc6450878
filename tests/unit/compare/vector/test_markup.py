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
