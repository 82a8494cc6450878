import shutil
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kfm_repro.judge.diff import compare_paths

SUFFIXES = (".shp", ".shx", ".dbf", ".prj", ".cpg")


@pytest.fixture
def shapes(tmp_path: Path, counties: Any) -> Any:
    def write(side: str, frame: Any = None) -> Path:
        path = tmp_path / side / "counties.shp"
        path.parent.mkdir()
        (counties if frame is None else frame).to_file(path)
        return path

    return write


def shuffled(frame: Any) -> Any:
    return frame.sample(frac=1, random_state=3).reset_index(drop=True)


def outputs(a: Path, b: Path) -> Any:
    return {
        Path(output.path).suffix: (str(output.verdict), {(str(f.kind), str(f.rung)) for f in output.findings})
        for output in compare_paths(a, b).outputs
    }


def test_shapes_and_records_that_went_the_same_way_are_in_order(shapes: Any, counties: Any) -> None:
    found = outputs(shapes("a"), shapes("b", shuffled(counties)))
    assert {verdict for verdict, _ in found.values()} == {"identical", "equivalent"}
    assert found[".shp"][1] == {("feature-order", "order")}
    assert found[".dbf"][1] == {("feature-order", "order")}


@pytest.mark.parametrize("part", [".shp", ".dbf"])
def test_records_that_left_their_shapes_are_data(shapes: Any, counties: Any, part: str) -> None:
    """Each file alone holds the same rows in another order; together every feature is another one."""
    a, b, other = shapes("a"), shapes("b"), shapes("c", shuffled(counties))
    shutil.copyfile(other.with_suffix(part), b.with_suffix(part))
    if part == ".shp":
        shutil.copyfile(other.with_suffix(".shx"), b.with_suffix(".shx"))
    found = outputs(a, b)
    assert found[part][0] == "different"


def test_the_day_in_the_header_is_packaging(shapes: Any) -> None:
    a, b = shapes("a"), shapes("b")
    raw = bytearray(b.with_suffix(".dbf").read_bytes())
    raw[1:4] = bytes((101, 2, 3))
    b.with_suffix(".dbf").write_bytes(raw)
    found = outputs(a, b)
    assert found[".dbf"] == ("equivalent", {("timestamp", "container")})
    assert {verdict for suffix, (verdict, _) in found.items() if suffix != ".dbf"} == {"identical"}


def test_an_index_that_leads_elsewhere_is_data(shapes: Any) -> None:
    a, b = shapes("a"), shapes("b")
    raw = bytearray(b.with_suffix(".shx").read_bytes())
    raw[100:116] = raw[108:116] + raw[100:108]
    b.with_suffix(".shx").write_bytes(raw)
    assert outputs(a, b)[".shx"] == ("different", {("spatial-index", "value")})


def test_a_record_marked_as_deleted_is_gone(shapes: Any) -> None:
    a, b = shapes("a"), shapes("b")
    raw = bytearray(b.with_suffix(".dbf").read_bytes())
    (size,) = struct.unpack_from("<H", raw, 8)
    raw[size] = ord("*")
    b.with_suffix(".dbf").write_bytes(raw)
    assert ("rows-removed", "value") in outputs(a, b)[".dbf"][1]


@pytest.mark.parametrize(
    ("suffix", "text", "told"),
    [
        (".cpg", "utf8", ("equivalent", {("encoding", "container")})),
        (".cpg", "ISO-8859-1", ("different", {("encoding", "value")})),
        (".prj", "", ("different", {("crs", "value")})),
    ],
)
def test_what_stands_beside_is_compared_by_meaning(shapes: Any, suffix: str, text: str, told: Any) -> None:
    a, b = shapes("a"), shapes("b")
    b.with_suffix(suffix).write_text(text)
    assert outputs(a, b)[suffix] == told


def test_a_width_is_a_schema(shapes: Any) -> None:
    a, b = shapes("a"), shapes("b")
    raw = bytearray(b.with_suffix(".dbf").read_bytes())
    raw[32 + 17] = 7
    b.with_suffix(".dbf").write_bytes(raw)
    assert outputs(a, b)[".dbf"][0] == "different"


def packed(path: Path, form: str, *, records: Path | None = None) -> Path:
    """Pack a dataset as its parts, or as parts of which the records are another's."""
    target = path.parent.with_suffix(form)
    if form == ".zip":
        with zipfile.ZipFile(target, "w") as archive:
            for suffix in SUFFIXES:
                source = records if records and suffix == ".dbf" else path
                archive.write(source.with_suffix(suffix), f"maps/counties{suffix}")
        return target
    with tarfile.open(target, "w") as tar:
        for suffix in SUFFIXES:
            source = records if records and suffix == ".dbf" else path
            tar.add(source.with_suffix(suffix), f"./maps/counties{suffix}")
    return target


@pytest.mark.parametrize("form", [".zip", ".tar"])
def test_in_an_archive_the_parts_of_a_dataset_are_told_together(
    shapes: Any, counties: Any, form: str
) -> None:
    a, b = shapes("a"), shapes("b", shuffled(counties))
    (output,) = compare_paths(packed(a, form), packed(b, form)).outputs
    assert output.verdict == "equivalent"
    told = {
        str(f.where.get("member", "")).rpartition(".")[2]
        for f in output.findings
        if f.kind == "feature-order"
    }
    assert told == {"shp", "dbf"}
    (output,) = compare_paths(packed(a, form), packed(b, form, records=a)).outputs
    assert output.verdict == "different"


def test_in_an_archive_an_order_is_not_known_to_be_one_where_a_half_cannot_be_read(
    shapes: Any, counties: Any
) -> None:
    a, b = packed(shapes("a"), ".zip"), packed(shapes("b", shuffled(counties)), ".zip")
    for path in (a, b):
        raw = bytearray(path.read_bytes())
        raw[raw.rindex(b"PK\1\2", 0, raw.rindex(b"maps/counties.dbf")) + 8] |= 1  # encrypted, it says
        path.write_bytes(raw)
    (output,) = compare_paths(a, b).outputs
    assert output.verdict == "unknown"


@pytest.mark.parametrize("part", [".shp", ".dbf"])
def test_an_order_is_not_known_to_be_one_where_a_half_is_gone(shapes: Any, counties: Any, part: str) -> None:
    a, b = shapes("a"), shapes("b", shuffled(counties))
    a.with_suffix(".dbf" if part == ".shp" else ".shp").unlink()
    (output,) = [o for o in compare_paths(a.parent, b.parent).outputs if o.path.endswith(part)]
    assert output.verdict == "unknown"
    assert ("feature-order" if part == ".shp" else "row-order") in {str(f.kind) for f in output.findings}


def table(kind: bytes, width: int, decimals: int, *cells: bytes) -> bytes:
    header = struct.pack("<4BIHH20x", 3, 120, 1, 1, len(cells), 65, 1 + width)
    field = struct.pack("<11sc4xBB14x", b"N1", kind, width, decimals)
    return header + field + b"\r" + b"".join(b" " + cell.rjust(width) for cell in cells) + b"\x1a"


NEAR = b"12345678901234567890", b"12345678901234567891"


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        (table(b"N", 20, 0, NEAR[0], b"1"), table(b"N", 20, 0, NEAR[1], b"1"), ("value", "value")),
        (table(b"N", 20, 0, NEAR[0], b"1"), table(b"N", 20, 0, b"1", NEAR[1]), ("value", "value")),
        (table(b"N", 20, 0, NEAR[0]), table(b"N", 20, 0, b"12345678901234569999"), ("value", "value")),
        (table(b"N", 28, 20, b"0.12345678901234567890"), table(b"N", 28, 20, b"0.12345678901234567891"),
         ("float-noise", "noise")),
        (table(b"N", 5, 0, b"12x"), table(b"N", 5, 0, b"12"), ("value", "value")),
        (table(b"N", 5, 1, b"1"), table(b"N", 5, 1, b"1.0"), ("layout", "container")),
        (table(b"L", 1, 0, b" "), table(b"L", 1, 0, b"F"), ("value", "value")),
        (table(b"L", 1, 0, b" ", b"F", b"T"), table(b"L", 1, 0, b"T", b"F", b"F"), ("value", "value")),
        (table(b"L", 1, 0, b"f", b"Y"), table(b"L", 1, 0, b"N", b"T"), ("layout", "container")),
        (table(b"C", 3, 0, b" a ", b"b  "), table(b"C", 3, 0, b"a  ", b"b  "), ("value", "value")),
        (table(b"C", 3, 0, b" a ", b"b  "), table(b"C", 3, 0, b" b ", b"a  "), ("value", "value")),
        (table(b"C", 3, 0, b" a ", b"b  "), table(b"C", 3, 0, b" a\0", b"b\0\0"), ("layout", "container")),
        (table(b"D", 8, 0, b"19990000"), table(b"D", 8, 0, b"19990001"), ("value", "value")),
        (table(b"D", 8, 0, b"00000000"), table(b"D", 8, 0, b""), ("layout", "container")),
        (table(b"I", 4, 0, b" \0\0\0"), table(b"I", 4, 0, b"\0\0\0\0"), ("value", "value")),
        (table(b"@", 8, 0, b"\1\0\0\0\1\0\0\0"), table(b"@", 8, 0, b"\1\0\0\0\2\0\0\0"), ("value", "value")),
    ],
)  # fmt: skip
def test_what_gdal_does_not_keep_is_compared(tmp_path: Path, a: bytes, b: bytes, told: Any) -> None:
    for side, raw in (("a", a), ("b", b)):
        (tmp_path / f"{side}.dbf").write_bytes(raw)
    (output,) = compare_paths(tmp_path / "a.dbf", tmp_path / "b.dbf").outputs
    assert told in {(str(f.kind), str(f.rung)) for f in output.findings}


@pytest.mark.parametrize("at", [36, 112])
def test_an_extent_that_is_not_that_of_the_shapes_is_data(shapes: Any, at: int) -> None:
    a, b = shapes("a"), shapes("b")
    raw = bytearray(b.read_bytes())
    struct.pack_into("<d", raw, at, struct.unpack_from("<d", raw, at)[0] + 0.01)
    b.write_bytes(raw)
    assert outputs(a, b)[".shp"] == ("different", {("extent-metadata", "value")})
