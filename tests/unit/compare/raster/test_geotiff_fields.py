"""Fields of a GeoTIFF that GDAL does not hand out: none of them may hide a change."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from compared import Write, brief, compared

GRID = np.arange(64, dtype="u1").reshape(8, 8)
SIZES = {2: 1, 3: 2, 4: 4, 7: 1, 12: 8, 13: 4}
CODES = {3: "H", 4: "I", 12: "d", 13: "I"}
SCALE, TIES, MATRIX, KEYS, METADATA, PALETTE, EXIF, GPS = 33550, 33922, 34264, 34735, 42112, 320, 34665, 34853
Field = tuple[int, int, tuple[Any, ...] | bytes]


def tif(*fields: Field, nested: dict[int, list[Field]] | None = None, **options: Any) -> Write:
    """Write a GeoTIFF by GDAL, then its directory anew at the end with fields replaced or added."""

    def write(path: Path) -> None:
        profile: dict[str, Any] = {
            "driver": "GTiff", "count": 1, "height": 8, "width": 8, "dtype": "uint8", "crs": 32614,
            "transform": Affine(30, 0, 500_000, 0, -30, 4_000_000), **options,
        }  # fmt: skip
        with rasterio.open(path, "w", **profile) as file:
            file.write(GRID, 1)
        raw = bytearray(path.read_bytes())
        own = {}
        for tag, said in (nested or {}).items():
            own[tag] = (13, struct.pack("<I", _append(raw, said, {})))
        directory = _append(raw, fields, {**_fields(raw), **own})
        raw[4:8] = struct.pack("<I", directory)
        path.write_bytes(raw)

    return write


def _fields(raw: bytes) -> dict[int, tuple[int, bytes]]:
    (at,) = struct.unpack_from("<I", raw, 4)
    (count,) = struct.unpack_from("<H", raw, at)
    found = {}
    for i in range(count):
        tag, kind, items, inline = struct.unpack_from("<HHI4s", raw, at + 2 + 12 * i)
        size = SIZES[kind] * items
        place = struct.unpack("<I", inline)[0] if size > 4 else at + 2 + 12 * i + 8
        found[tag] = (kind, bytes(raw[place : place + size]))
    return found


def _append(raw: bytearray, fields: Any, known: dict[int, tuple[int, bytes]]) -> int:
    """Append a directory; a field of no items is left out."""
    for tag, kind, values in fields:
        data = values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{CODES[kind]}", *values)
        known[tag] = (kind, data)
    known = {tag: field for tag, field in sorted(known.items()) if field[1]}
    entries = []
    for tag, (kind, data) in known.items():
        inline = data.ljust(4, b"\0")
        if len(data) > 4:
            inline = struct.pack("<I", len(raw))
            raw += data + b"\0" * (len(data) % 2)
        entries.append(struct.pack("<HHI4s", tag, kind, len(data) // SIZES[kind], inline))
    at = len(raw)
    raw += struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", 0)
    return at


def keys(*more: int, version: int = 0) -> Field:
    """Return UTM zone 14 north (EPSG 32614), pixels as areas, and further keys."""
    entries = (1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32614, *more)
    return KEYS, 3, (1, 1, version, len(entries) // 4, *entries)


def item(text: str, **said: str) -> Field:
    attributes = "".join(f' {name}="{value}"' for name, value in said.items())
    return METADATA, 2, f"<GDALMetadata><Item{attributes}>{text}</Item></GDALMetadata>\0".encode()


PLACE = (0.0, 0.0, 0.0, 500_000.0, 4_000_000.0, 0.0)
MAT = (30.0, 0, 0, 500_000, 0, -30.0, 0, 4_000_000, 0, 0, 1.0, 5.0, 0, 0, 0, 1.0)


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        ([(SCALE, 12, (30.0, 30.0, 0.0))], [(SCALE, 12, (30.0, 30.0, 2.0))], "geotransform:value"),
        ([(TIES, 12, PLACE)], [(TIES, 12, (*PLACE[:5], 7.0))], "geotransform:value"),
        ([(TIES, 12, PLACE)], [(TIES, 12, (0.0, 0.0, 3.0, *PLACE[3:]))], "geotransform:value"),
        ([(TIES, 12, PLACE)], [(TIES, 12, PLACE + PLACE)], "geotransform:value"),
        (
            [(TIES, 12, ()), (SCALE, 12, ()), (MATRIX, 12, MAT)],
            [(TIES, 12, ()), (SCALE, 12, ()), (MATRIX, 12, (*MAT[:11], 6.0, *MAT[12:]))],
            "geotransform:value",
        ),
        (
            [(TIES, 12, PLACE), (MATRIX, 12, MAT)],
            [(TIES, 12, (*PLACE[:3], 1.0, *PLACE[4:])), (MATRIX, 12, MAT)],
            "geotransform:value",
        ),
        ([(SCALE, 12, (30.0, 30.0, 0.3))], [(SCALE, 12, (30.0, 30.0, 0.1 + 0.2))], "geotransform:noise"),
        ([keys()], [keys(4096, 0, 1, 5703)], "crs:value"),
        ([keys(4096, 0, 1, 5703, 4099, 0, 1, 9001)], [keys(4096, 0, 1, 5703, 4099, 0, 1, 9003)], "crs:value"),
        ([keys(5120, 0, 1, 2020)], [keys(5120, 0, 1, 2021)], "crs:value"),
        ([item("1", name="N", domain="SUBDATASETS")], [item("2", name="N", domain="SUBDATASETS")],
         "attributes:value"),
        ([item("1", name="N", role="odd")], [item("2", name="N", role="odd")], "attributes:value"),
        ([item("1", name="N")], [item("2", name="N")], "attributes:value@/N"),
        ([(65000, 4, (1,))], [(65000, 4, (2,))], "attributes:value@/TIFF tag 65000"),
    ],
)  # fmt: skip
def test_a_field_that_gdal_does_not_hand_out_is_compared(
    tmp_path: Path, a: list[Field], b: list[Field], told: str
) -> None:
    found = brief(compared(tmp_path, tif(*a), tif(*b), "x.tif"))
    assert told in found


def test_the_same_system_spelled_in_other_keys_is_the_same(tmp_path: Path) -> None:
    cited = keys(3073, 34737, 7, 0)
    result = compared(tmp_path, tif(keys()), tif(cited, (34737, 2, b"UTM 14|\0")), "x.tif")
    assert result.verdict == "equivalent"


@pytest.mark.parametrize(
    ("tag", "a", "b", "told"),
    [
        (EXIF, (36867, 2, b"2020:01:01 00:00:00\0"), (36867, 2, b"2021:01:01 00:00:00\0"),
         "attributes:value@/Exif/36867"),
        (GPS, (1, 2, b"N\0"), (1, 2, b"S\0"), "attributes:value@/GPS/1"),
        (EXIF, (36867, 2, b"x\0"), (36868, 2, b"x\0"), "attributes:value@/Exif/36868"),
    ],
)  # fmt: skip
def test_what_a_camera_says_is_compared(tmp_path: Path, tag: int, a: Field, b: Field, told: str) -> None:
    assert told in brief(compared(tmp_path, tif(nested={tag: [a]}), tif(nested={tag: [b]}), "x.tif"))
    moved = tif((65001, 7, b"moves what follows"), nested={tag: [a]})
    found = brief(compared(tmp_path, tif(nested={tag: [a]}), moved, "x.tif"))
    assert found == {"attributes:value@/TIFF tag 65001"}


def test_further_pictures_within_a_page_are_not_known_to_be_equal(tmp_path: Path) -> None:
    def with_picture(pixel: int) -> Write:
        return tif(nested={330: [(256, 4, (1,)), (257, 4, (pixel,))]})

    assert compared(tmp_path, with_picture(1), with_picture(2), "x.tif").verdict == "unknown"


def test_a_field_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Readers take the first or the last of them."""

    def twice(first: int) -> Write:
        def write(path: Path) -> None:
            tif((65000, 4, (first,)), (65001, 4, (9,)))(path)
            raw = path.read_bytes()
            path.write_bytes(raw.replace(struct.pack("<HH", 65001, 4), struct.pack("<HH", 65000, 4)))

        return write

    assert compared(tmp_path, twice(1), twice(2), "x.tif").verdict == "unknown"


def test_a_scale_without_end_makes_no_other_place_noise(tmp_path: Path) -> None:
    def endless(north: float) -> Write:
        return tif((SCALE, 12, (float("inf"), 30.0, 0.0)), (TIES, 12, (*PLACE[:4], north, 0.0)))

    assert compared(tmp_path, endless(4e6), endless(5e6), "x.tif").verdict in ("different", "unknown")


def test_the_lower_half_of_the_colours_of_a_palette_is_compared(tmp_path: Path) -> None:
    colours = np.arange(768, dtype="<u2") % 256 * 257
    a, b = (tif((262, 3, (3,)), (PALETTE, 3, (colours ^ low).tobytes())) for low in (0, 1))
    assert compared(tmp_path, a, b, "x.tif").verdict == "different"


def test_a_mask_of_an_overview_that_hides_others_is_another_overview(tmp_path: Path) -> None:
    def masked(hidden: int) -> Write:
        def write(path: Path) -> None:
            with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
                tif()(path)
                mask = np.full((8, 8), 255, "u1")
                mask[:hidden] = 0
                for shown, seen in ((mask, True), (np.full((8, 8), 255, "u1"), False)):
                    with rasterio.open(path, "r+") as file:
                        file.write_mask(shown)
                        if seen:
                            file.build_overviews([2])

        return write

    assert compared(tmp_path, masked(2), masked(4), "x.tif").verdict == "different"


SCENES = "8f14e45f-ceea-467f-a0c5-bd6d8f3c1a11", "6c8349cc-7260-4e62-a3b1-396831a8398a"


def test_an_identifier_in_a_description_is_data(tmp_path: Path) -> None:
    """It says which scene is shown: in packaging it would be noise."""
    a, b = (tif((270, 2, f"scene {scene}\0".encode())) for scene in SCENES)
    assert "identifier:value@/TIFF tag 270" in brief(compared(tmp_path, a, b, "x.tif"))


def behind(pixels: bytes, width: int, height: int, *, samples: int = 1, kind: int = 1) -> Write:
    """Write a GeoTIFF, and behind it a picture that is reduced (1), a mask (4), or both."""

    def write(path: Path) -> None:
        tif()(path)
        raw = bytearray(path.read_bytes())
        at = len(raw)
        raw += pixels
        said = [
            (254, 4, (kind,)), (256, 4, (width,)), (257, 4, (height,)), (258, 3, (8,) * samples), (259, 3, (1,)),
            (262, 3, (2 if samples == 3 else 1,)), (273, 4, (at,)), (277, 3, (samples,)), (278, 4, (height,)),
            (279, 4, (len(pixels),)),
        ]  # fmt: skip
        directory = _append(raw, said, {})
        (first,) = struct.unpack_from("<I", raw, 4)
        (count,) = struct.unpack_from("<H", raw, first)
        struct.pack_into("<I", raw, first + 2 + 12 * count, directory)
        path.write_bytes(raw)

    return write


@pytest.mark.parametrize(
    ("width", "height", "samples", "kind", "verdict"),
    [
        (4, 4, 1, 1, "different"),
        (3, 5, 1, 1, "different"),
        (8, 8, 1, 4, "different"),
        (4, 4, 3, 1, "unknown"),
        (4, 4, 1, 5, "unknown"),
        (16, 16, 1, 1, "unknown"),
    ],
)
def test_a_picture_behind_a_page_is_compared_or_not_known(
    tmp_path: Path, width: int, height: int, samples: int, kind: int, verdict: str
) -> None:
    a, b = (
        behind(bytes([value]) * (width * height * samples), width, height, samples=samples, kind=kind)
        for value in (1, 2)
    )
    result = compared(tmp_path, a, b, "x.tif")
    assert result.verdict == verdict
    assert not any("failed on" in finding.evidence for finding in result.findings)
