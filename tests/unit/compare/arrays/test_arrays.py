"""NumPy, HDF5, netCDF and Zarr: elements, attributes, storage; and files that mean harm."""

from __future__ import annotations

import io
import json
import pickle
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import xarray as xr
import zarr
from compared import NOW_A, NOW_B, Write, brief, compared, written

from kfm_repro.compare.context import Context
from kfm_repro.compare.outputs import Output, compare_outputs
from kfm_repro.model.finding import FileFacts, OutputVerdict

GRID = np.arange(10_000.0).reshape(100, 100)


def changed(at: tuple[int, int], value: float) -> Any:
    grid = GRID.copy()
    grid[at] = value
    return grid


def npy(values: Any) -> bytes:
    target = io.BytesIO()
    np.save(target, values)
    return target.getvalue()


def h5(fill: Callable[[Any], object], **options: Any) -> Write:
    def write(path: Path) -> None:
        with h5py.File(path, "w", **options) as file:
            fill(file)

    return write


def dataset(values: Any = GRID, **options: Any) -> Write:
    return h5(lambda file: file.create_dataset("g/a", data=values, **options))


def enumerated(**names: int) -> Write:
    return dataset(np.array([0, 1, 1], "i1"), dtype=h5py.enum_dtype(names, basetype="i1"))


def named_attribute(**names: int) -> Write:
    return h5(lambda file: file.attrs.create("x", 1, dtype=h5py.enum_dtype(names)))


def region(rows: slice) -> Write:
    def fill(file: Any) -> None:
        grid = file.create_dataset("a", data=GRID)
        file.create_dataset("r", (1,), dtype=h5py.regionref_dtype)[0] = grid.regionref[rows, 0:2]

    return h5(fill)


def compound_reference(name: str) -> Write:
    def fill(file: Any) -> None:
        for each in ("p", "q"):
            file.create_dataset(each, data=GRID)
        kind = np.dtype([("to", h5py.ref_dtype), ("n", "i4")])
        file.create_dataset("r", (2,), dtype=kind)[0] = (file[name].ref, 1)

    return h5(fill)


def scaled(axis: int) -> Write:
    """Write an array of which one axis alone has a scale: the list of scales has lists of none and of one."""

    def fill(file: Any) -> None:
        array = file.create_dataset("g/a", data=GRID, track_times=False)
        file.create_dataset("s", data=np.arange(100.0), track_times=False).make_scale("s")
        array.dims[axis].attach_scale(file["s"])

    return h5(fill)


def attribute(value: Any) -> Write:
    return h5(lambda file: file.attrs.__setitem__("x", value))


@pytest.mark.parametrize(
    ("b", "expected"),
    [
        (changed((1, 1), 9), {"value:value"}),
        (changed((1, 1), np.nextafter(101.0, 200)), {"float-noise:noise"}),
        (np.asfortranarray(GRID), {"layout:container"}),
        (GRID.astype(">f8"), {"layout:container"}),
        (changed((1, 1), np.nextafter(101.0, 200)).astype(">f8"), {"float-noise:noise"}),
        (GRID.astype("f4"), {"type:value"}),
        (GRID[:50], {"schema:value"}),
    ],
)
def test_npy_by_elements(tmp_path: Path, b: Any, expected: set[str]) -> None:
    assert brief(compared(tmp_path, npy(GRID), npy(b), "x.npy")) == expected


RECORDS = np.array(
    [(1, 0.5, (1.5, 2.5)), (2, 0.7, (3.5, 4.5))], [("a", "i4"), ("b", "f8"), ("c", "f8", (2,))]
)


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("a", [1, 3], "value:value"),
        ("b", [0.5, np.nextafter(0.7, 1)], "float-noise:noise"),
        ("c", [[1.5, 2.5], [3.5, 4]], "value:value"),
    ],
)
def test_records_by_their_fields(tmp_path: Path, column: str, value: Any, expected: str) -> None:
    b = RECORDS.copy()
    b[column] = value
    for sides, name in (((npy(RECORDS), npy(b)), "x.npy"), ((dataset(RECORDS), dataset(b)), "x.h5")):
        (finding,) = compared(tmp_path, *sides, name).findings
        assert (finding.where["column"], f"{finding.kind}:{finding.rung}") == (column, expected)


def test_records_of_another_byte_order_are_the_same(tmp_path: Path) -> None:
    swapped = RECORDS.astype(RECORDS.dtype.newbyteorder(">"))
    assert brief(compared(tmp_path, npy(RECORDS), npy(swapped), "x.npy")) == {"layout:container"}
    swapped["b"][1] = 9
    assert brief(compared(tmp_path, npy(RECORDS), npy(swapped), "x.npy")) == {"value:value"}


def test_bytes_far_behind_the_last_element_are_compared(tmp_path: Path) -> None:
    far = npy(GRID) + bytes(1 << 20)
    assert compared(tmp_path, far + b"a", far + b"b", "x.npy").verdict is OutputVerdict.DIFFERENT


def test_the_largest_distance_is_that_of_finite_elements(tmp_path: Path) -> None:
    b = changed((1, 1), np.nan)
    b[2, 2] += 5
    (finding,) = compared(tmp_path, npy(GRID), npy(b), "x.npy").findings
    assert finding.detail["max_abs"] == 5
    assert finding.detail["not_finite"] == 1
    assert "by at most 5, 1 to or from NaN or infinity" in finding.evidence
    (finding,) = compared(tmp_path, npy(GRID), npy(changed((1, 1), np.inf)), "x.npy").findings
    assert finding.detail == {"not_finite": 1, "box": {"axis 0": [1, 1], "axis 1": [1, 1]}}


def test_npy_of_objects_is_a_pickle_and_stays_closed(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    trap = npy(np.array([Trap()], dtype=object))
    result = compared(tmp_path, trap, npy(np.array([1], dtype=object)), "x.npy")
    assert result.verdict is OutputVerdict.UNKNOWN
    assert "pickle" in result.findings[0].evidence
    assert not (tmp_path / "ran").exists()


def test_npz_says_which_array(tmp_path: Path) -> None:
    a, b = (lambda path, v=v: np.savez_compressed(path, a=v, b=GRID) for v in (GRID, GRID + 1))
    assert "value:value@a.npy" in brief(compared(tmp_path, a, b, "x.npz"))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (dataset(), dataset(changed((3, 4), -1)), {"value:value@/g/a"}),
        (dataset(), dataset(chunks=(10, 10), compression="gzip"), {"chunking:container@/g/a"}),
        (dataset(), dataset(GRID.astype(">f8")), {"encoding:container@/g/a"}),
        (dataset(), dataset(GRID.astype("f4")), {"type:value@/g/a"}),
        (dataset(), dataset(fillvalue=7.0), {"nodata:value@/g/a"}),
        (attribute("a"), attribute("b"), {"attributes:value@/@x"}),
        (attribute(np.arange(3)), attribute(np.array([0, 1, 5])), {"attributes:value@/@x"}),
        (scaled(0), scaled(1), {"attributes:value@/g/a/@DIMENSION_LIST"}),
        (dataset(), h5(lambda file: file.create_group("g")), {"schema:value@/g/a"}),
        (enumerated(A=0, B=1), enumerated(A=0, C=1), {"attributes:value@/g/a/@names of the values"}),
        (named_attribute(A=0, B=1), named_attribute(A=1, B=0), {"attributes:value@/@x: names of the values"}),
        (
            dataset(maxshape=(None, 100)),
            dataset(maxshape=(100, 100), chunks=True),
            {"attributes:value@/g/a/@maxshape of the dataset"},
        ),
        (region(slice(0, 2)), region(slice(5, 7)), {"value:value@/r"}),
        (compound_reference("p"), compound_reference("q"), {"value:value@/r"}),
        (
            dataset(),
            h5(lambda file: file.create_dataset("g/a", data=GRID), libver="latest"),
            {"layout:container"},
        ),
    ],
)
def test_hdf5_object_by_object(tmp_path: Path, a: Write, b: Write, expected: set[str]) -> None:
    assert brief(compared(tmp_path, a, b, "x.h5")) == expected


def test_an_array_of_the_clock_is_a_timestamp_in_the_data(tmp_path: Path) -> None:
    a, b = (dataset(np.arange(3) + now) for now in (NOW_A, NOW_B))
    assert brief(compared(tmp_path, a, b, "x.h5")) == {"timestamp:value@/g/a"}
    genuine = dataset(np.arange(3) + 1_500_000_000), dataset(np.arange(3) + 1_500_000_100)
    assert brief(compared(tmp_path, *genuine, "x.h5")) == {"value:value@/g/a"}


def test_links_out_of_the_file_are_compared_and_never_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.h5"
    dataset()(secret)
    linked = h5(lambda file: file.__setitem__("out", h5py.ExternalLink(str(secret), "/g/a")))
    gone = h5(lambda file: file.__setitem__("out", h5py.ExternalLink(str(tmp_path / "none"), "/g/a")))
    assert brief(compared(tmp_path, linked, gone, "x.h5")) == {"type:value@/out"}

    def virtual(path: Path) -> None:
        layout = h5py.VirtualLayout((100, 100), "f8")
        layout[:] = h5py.VirtualSource(str(secret), "g/a", (100, 100))
        with h5py.File(path, "w") as file:
            file.create_virtual_dataset("v", layout)
            file.attrs["side"] = path.parent.name

    assert "bytes:unknown@/v" in brief(compared(tmp_path, virtual, virtual, "x.h5"))


def test_a_hard_link_to_a_parent_ends(tmp_path: Path) -> None:
    def loop(extra: int) -> Write:
        def fill(file: Any) -> None:
            file.create_group("g")["up"] = file["/"]
            file.attrs["n"] = extra

        return h5(fill)

    assert brief(compared(tmp_path, loop(1), loop(2), "x.h5")) == {"attributes:value@/@n"}


CUBE = xr.Dataset(
    {"t": (("time", "x"), np.arange(12.0).reshape(3, 4)), "s": (("time",), np.arange(3, dtype="i2"))},
    attrs={"history": "a"},
)


@pytest.mark.parametrize("unlimited", [[], ["time"]])
@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF3_64BIT", "NETCDF3_64BIT_DATA"])
def test_classic_netcdf_is_read_as_xarray_wrote_it(tmp_path: Path, form: Any, unlimited: list[str]) -> None:
    other = CUBE.copy(deep=True)
    other.t[1, 2] = 99
    other.s[2] = 9
    engine: Any = "netcdf4" if form.endswith("DATA") else "scipy"
    a, b = (
        lambda path, cube=cube: cube.to_netcdf(path, engine=engine, format=form, unlimited_dims=unlimited)
        for cube in (CUBE, other)
    )
    result = compared(tmp_path, a, b, "x.nc")
    assert brief(result) == {"value:value@/s", "value:value@/t"}
    shown = {str(f.where["pointer"]): (f.examples[0].a, f.examples[0].b) for f in result.findings}
    assert shown == {"/s": (2, 9), "/t": (6.0, 99.0)}


def test_history_of_netcdf_is_a_time_in_the_data(tmp_path: Path) -> None:
    a, b = (
        lambda path, text=text: CUBE.assign_attrs(history=f"{text} made").to_netcdf(path, engine="netcdf4")
        for text in ("2026-02-03T21:14:08Z", "2026-11-22T10:00:01Z")
    )
    assert brief(compared(tmp_path, a, b, "x.nc")) == {"timestamp:value@/@history"}


def store(values: Any = GRID, chunks: Any = (50, 100), zarr_format: Any = 3) -> Write:
    def write(path: Path) -> None:
        target = zarr.storage.ZipStore(path, mode="w")
        group = zarr.create_group(target, zarr_format=zarr_format)
        array = group.create_array("a", shape=values.shape, chunks=chunks, dtype=values.dtype)
        array[:] = values
        target.close()

    return write


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zipped_zarr_by_its_elements(tmp_path: Path, version: int) -> None:
    a, b = store(zarr_format=version), store(changed((3, 4), -1), zarr_format=version)
    assert "value:value@/a" in brief(compared(tmp_path, a, b, "x.zarr.zip"))
    rechunked = brief(compared(tmp_path, a, store(chunks=(25, 100), zarr_format=version), "x.zarr.zip"))
    assert "chunking:container@/a" in rechunked
    assert not any(":value" in said for said in rechunked)


@pytest.mark.parametrize(
    ("notes", "expected"), [("b", "value:value@notes.txt"), (None, "value:value@notes.txt")]
)
def test_files_beside_a_zipped_store_are_compared_too(
    tmp_path: Path, notes: str | None, expected: str
) -> None:
    def noted(text: str | None) -> Write:
        def write(path: Path) -> None:
            store()(path)
            if text is not None:
                with zipfile.ZipFile(path, "a") as archive:
                    archive.writestr(zipfile.ZipInfo("notes.txt"), text)

        return write

    found = compared(tmp_path, noted("a"), noted(notes), "x.zarr.zip")
    assert expected in brief(found)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.filterwarnings("ignore")
def test_a_node_that_its_consolidated_metadata_belie_is_compared_itself(tmp_path: Path, version: int) -> None:
    def stale(path: Path) -> None:
        consolidated(path)
        name = "a/.zattrs" if version == 2 else "a/zarr.json"
        with zipfile.ZipFile(path) as archive:
            members = {member: archive.read(member) for member in archive.namelist()}
        members[name] = members[name].replace(b'"metres"', b'"feet"')
        with zipfile.ZipFile(path, "w") as archive:
            for member, content in members.items():
                archive.writestr(zipfile.ZipInfo(member), content)

    def consolidated(path: Path) -> None:
        target = zarr.storage.ZipStore(path, mode="w")
        group = zarr.open_group(target, mode="w", zarr_format=version)
        group.create_array("a", data=GRID, attributes={"units": "metres"})
        zarr.consolidate_metadata(target, zarr_format=version)
        target.close()

    assert "attributes:value@/a/@units" in brief(compared(tmp_path, consolidated, stale, "x.zarr.zip"))


@pytest.mark.parametrize("name", [".zattrs", ".zarray", ".zgroup", ".zmetadata"])
def test_what_describes_a_store_in_a_folder_is_a_document(tmp_path: Path, name: str) -> None:
    a, b, other = (
        b'{"units": "m", "order": "C"}',
        b'{"order": "C", "units": "m"}',
        b'{"order": "F", "units": "m"}',
    )
    assert brief(compared(tmp_path, a, b, name)) == {"key-order:order"}
    assert "value:value@/order" in brief(compared(tmp_path, a, other, name))


def test_a_codec_that_unpickles_is_refused(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    def hostile(note: str) -> bytes:
        target = io.BytesIO()
        described = {
            "zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "fill_value": None, "order": "C",
            "compressor": None, "filters": [{"id": "pickle", "protocol": 4}],
        }  # fmt: skip
        with zipfile.ZipFile(target, "w") as archive:
            for name, data in (
                (".zarray", json.dumps(described).encode()),
                ("0", pickle.dumps([Trap()])),
                ("note", note.encode()),
            ):
                archive.writestr(zipfile.ZipInfo(name), data)
        return target.getvalue()

    result = compared(tmp_path, hostile("a"), hostile("b"), "x.zarr.zip")
    assert result.verdict is OutputVerdict.UNKNOWN
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("x.npy", lambda path: np.save(path, GRID)),
        ("x.h5", dataset()),
        ("x.nc", lambda path: CUBE.to_netcdf(path, engine="scipy")),
        ("x.zarr.zip", store()),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_trouble_is_said_and_never_equal(tmp_path: Path, name: str, write: Write, *, swapped: bool) -> None:
    whole = written(tmp_path, "w", name, write).read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:20], b"", b"text", whole[:8] + b"\xff" * 64 + whole[72:]):
        sides = (broken, whole) if swapped else (whole, broken)
        assert compared(tmp_path, *sides, name).verdict in (OutputVerdict.DIFFERENT, OutputVerdict.UNKNOWN)


@pytest.mark.parametrize(
    ("module", "name", "write"), [("h5py", "x.h5", dataset), ("zarr", "x.zarr.zip", store)]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_without_the_library_the_answer_is_unknown_and_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str, write: Any
) -> None:
    sides = [written(tmp_path, side, name, write(GRID + n)).read_bytes() for n, side in enumerate("ab")]
    monkeypatch.setitem(sys.modules, module, None)
    result = compared(tmp_path, *sides, name)
    assert result.verdict is OutputVerdict.UNKNOWN
    assert any("pip install 'kfm-repro[arrays]'" in finding.evidence for finding in result.findings)


def folder_store(root: Path, values: Any, **options: Any) -> dict[str, Output]:
    group = zarr.create_group(root, zarr_format=options.pop("zarr_format", 3))
    array = group.create_array("a", shape=values.shape, dtype=values.dtype, **options)
    array[:] = values
    return {
        path.relative_to(root.parent).as_posix(): Output(FileFacts(), path)
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_of_a_folder_is_told_by_its_elements(tmp_path: Path, version: int) -> None:
    values = np.arange(10_000.0).reshape(100, 100)
    other = values.copy()
    other[60, 7] = -1
    sides = [
        folder_store(tmp_path / side / "s.zarr", data, chunks=(50, 100), zarr_format=version)
        for side, data in (("a", values), ("b", other))
    ]
    outputs = compare_outputs(sides[0], sides[1], Context()).outputs
    (differing,) = [output for output in outputs if output.verdict is not OutputVerdict.IDENTICAL]
    (finding,) = differing.findings
    assert (differing.format, finding.kind, finding.count) == ("zarr", "value", 1)
    assert finding.detail["box"] == {"axis 0": [60, 60], "axis 1": [7, 7]}


def test_a_chunk_packed_otherwise_is_no_other_chunk_and_its_description_says_so(tmp_path: Path) -> None:
    sides = [
        folder_store(tmp_path / side / "s.zarr", GRID, chunks=(50, 100), compressors=packed)
        for side, packed in (("a", zarr.codecs.GzipCodec(level=1)), ("b", zarr.codecs.GzipCodec(level=9)))
    ]
    results = {output.path: output for output in compare_outputs(sides[0], sides[1], Context()).outputs}
    assert {str(results[f"s.zarr/a/c/{i}/0"].findings[0].kind) for i in (0, 1)} == {"chunking"}
    assert results["s.zarr/a/zarr.json"].verdict is OutputVerdict.DIFFERENT


def test_the_header_of_a_numpy_file_may_be_anything(tmp_path: Path) -> None:
    """NumPy reads it with the tokeniser of Python, which raises errors of its own."""
    np.save(tmp_path / "w.npy", np.arange(6.0))
    raw = (tmp_path / "w.npy").read_bytes()
    negative = raw.replace(b"(6,)", b"(-6,)")
    assert "cannot be read" in compared(tmp_path, raw, negative, "x.npy").findings[0].evidence
    for at in range(6, 80):
        broken = raw[:at] + bytes([raw[at] ^ 0x5B]) + raw[at + 1 :]
        result = compared(tmp_path, raw, broken, "x.npy")
        assert result.verdict != "identical"
        assert not any("failed on" in finding.evidence for finding in result.findings), at
