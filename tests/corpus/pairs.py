"""Pairs of files that hold the same data and differ by one row of the noise catalogue, written by the real libraries.

Each function writes two files below a folder and returns them. What follows a clock is written by the corpus, under
two clocks; here is what follows the number of commits, the order of blocks, a version or an option.
"""

from __future__ import annotations

import os
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from affine import Affine

from corpus.sample import grid, layer, small_grid, table
from kfm_repro.compare.context import Side
from kfm_repro.model.finding import Kind

__all__ = ["IN_DATA", "PAIRS", "RUNS", "Pair"]

RUNS = tuple(
    Side(
        run_id=f"01K9{side * 4}",
        window=(start - 10.0, start + 60.0),
        paths=(f"/srv/{side}/work", f"/home/{side}"),
        hosts=(f"host-{side.lower()}",),
    )
    for side, start in (("A", 1_770_000_000), ("B", 1_790_000_000))
)
"""Who wrote the first and the second file of each pair."""

_PLACE = Affine(0.01, 0, -98, 0, -0.01, 39)
Pair = Callable[[Path], tuple[Path, Path]]


def _both(suffix: str, write: Callable[[Path, int], object]) -> Pair:
    """Return the pair of files that ``write`` makes with 0 and with 1."""

    def made(folder: Path) -> tuple[Path, Path]:
        paths = folder / "a" / f"out.{suffix}", folder / "b" / f"out.{suffix}"
        for number, path in enumerate(paths):
            path.parent.mkdir(parents=True)
            write(path, number)
        return paths

    return made


def _connected(path: Path, write: Callable[[sqlite3.Connection], object]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        write(connection)


def _gpkg(path: Path, number: int, **more: Any) -> None:
    import pyogrio

    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": f"20{number}0-01-01T00:00:00.000Z"})
    pyogrio.write_dataframe(layer("points").head(20), path, driver="GPKG", layer="wells", **more)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def _metadata_reference(path: Path, number: int) -> None:
    _gpkg(path, number, layer_metadata={"source": "survey"})


def _commits(path: Path, number: int) -> None:
    def write(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE t (a)")
        if not number:
            connection.execute("BEGIN")
        for value in range(5):
            connection.execute("INSERT INTO t VALUES (?)", (value,))
        if not number:
            connection.execute("COMMIT")

    _connected(path, write)


def _schema_changes(path: Path, number: int) -> None:
    def write(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE t (a)")
        for _ in range(number):
            connection.execute("CREATE TABLE temporary (a)")
            connection.execute("DROP TABLE temporary")
            connection.execute("VACUUM")

    _connected(path, write)


def _insert_order(path: Path, number: int) -> None:
    def write(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a)")
        keys = [*range(2000)][:: -1 if number else 1]
        connection.execute("BEGIN")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(key, f"text {key}" * 5) for key in keys])
        connection.execute("COMMIT")

    _connected(path, write)


def _free_pages(path: Path, number: int) -> None:
    def write(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("CREATE TABLE old (a)")
        if number:
            connection.executemany("INSERT INTO old VALUES (?)", [("left behind" * 50,)] * 100)
            connection.execute("DELETE FROM old")

    _connected(path, write)


def _rewritten_layer(path: Path, number: int) -> None:
    _gpkg(path, 0)
    for _ in range(number):
        _gpkg(path, 0, append=False)


def _sqlite_version(path: Path, number: int) -> None:
    if number:
        layer("points").head(20).to_file(path, driver="GPKG", engine="fiona", layer="wells")
    else:
        _gpkg(path, 0)


def _shuffled_layer(path: Path, number: int) -> None:
    import pyogrio

    frame = layer("polygons").head(60)
    pyogrio.write_dataframe(frame.iloc[::-1] if number else frame, path, driver="GPKG", layer="wells")


def _ties(path: Path, number: int) -> None:
    import pyogrio

    frame = layer("points").head(20).copy()
    frame.geometry = [frame.geometry.iloc[0]] * 20
    pyogrio.write_dataframe(frame.iloc[::-1] if number else frame, path, driver="FlatGeobuf", layer="wells")


def _layer_name(folder: Path) -> tuple[Path, Path]:
    import pyogrio

    paths = folder / "wells-1.fgb", folder / "wells-2.fgb"
    for path in paths:
        pyogrio.write_dataframe(layer("points").head(20), path, driver="FlatGeobuf")
    return paths


def _precision(path: Path, number: int) -> None:
    import pyogrio

    pyogrio.write_dataframe(
        layer("points").head(20), path, driver="GeoJSON", COORDINATE_PRECISION=7 if number else 15
    )


def _tile_order(path: Path, number: int) -> None:
    def write(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE metadata (name text, value text)")
        connection.execute(
            "CREATE TABLE tiles (zoom_level integer, tile_column integer, tile_row integer, tile_data blob)"
        )
        tiles = [(3, x, y, b"\x89PNG %d %d" % (x, y)) for x in range(8) for y in range(8)]
        connection.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", tiles[:: -1 if number else 1])

    _connected(path, write)


def _parquet_writer(path: Path, number: int) -> None:
    import polars as pl

    frame = pl.from_pandas(table())
    if number:
        frame.write_parquet(path)
    else:
        frame.write_parquet(path, use_pyarrow=True)


def _geo_creator(path: Path, number: int) -> None:
    import json

    import pyarrow.parquet as pq

    layer("points").head(20).to_parquet(path)
    written = pq.read_table(path)
    said = dict(written.schema.metadata)
    geo = json.loads(said[b"geo"])
    geo["creator"]["version"] = f"1.{number}.0"
    pq.write_table(written.replace_schema_metadata({**said, b"geo": json.dumps(geo)}), path)


def _row_groups(path: Path, number: int) -> None:
    table().to_parquet(path, row_group_size=100 if number else 500)


def _float_sums(path: Path, number: int) -> None:
    import pandas as pd

    terms = [[0.1 * i, 0.2, 0.3][:: -1 if number else 1] for i in range(1, 20)]
    pd.DataFrame({"id": range(1, 20), "sum": [sum(row) for row in terms]}).to_parquet(path)


def _gzip_name(path: Path, number: int) -> None:
    import gzip

    with path.open("wb") as file, gzip.GzipFile(f"wells-{number}.csv", "wb", fileobj=file, mtime=0) as packed:
        packed.write(b"a,b\n1,2\n")


def _modes(path: Path, number: int) -> None:
    source = path.with_name("a.txt")
    source.write_text("a")
    source.chmod(0o600 if number else 0o644)
    os.utime(source, (0x30000000, 0x30000000))
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(source, "a.txt")
    source.unlink()


def _owners(path: Path, number: int) -> None:
    source = path.with_name("a.txt")
    source.write_text("a")
    os.utime(source, (0, 0))

    def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid, entry.gid, entry.uname = 1000 + number, 1000, f"user{number}"
        return entry

    with tarfile.open(path, "w") as archive:
        archive.add(source, "a.txt", filter=owned)
    source.unlink()


def _entries_twice(path: Path, number: int) -> None:
    import warnings

    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(1 + number):
            archive.writestr(zipfile.ZipInfo("a/.zattrs"), "{}")


def _entry_order(path: Path, number: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.txt", "b.txt")[:: -1 if number else 1]:
            archive.writestr(zipfile.ZipInfo(name), name)


def _raster(path: Path, values: Any, **options: Any) -> None:
    import rasterio

    size: dict[str, Any] = {"height": values.shape[0], "width": values.shape[1], "dtype": values.dtype}
    with rasterio.open(
        path, "w", driver="GTiff", count=1, crs=4326, transform=_PLACE, **size, **options
    ) as file:
        file.write(values, 1)


def _compression(path: Path, number: int) -> None:
    _raster(path, grid(), compress="deflate", predictor=3 if number else 1)


def _dead_tiles(path: Path, number: int) -> None:
    import rasterio

    _raster(path, grid(), compress="deflate", tiled=True, blockxsize=64, blockysize=64)
    if number:
        for values in (grid() * 3 + 1, grid()):
            with rasterio.open(path, "r+") as file:
                file.write(values, 1)


def _tags(name: str, *values: str) -> Callable[[Path, int], None]:
    def write(path: Path, number: int) -> None:
        import rasterio

        _raster(path, small_grid())
        with rasterio.open(path, "r+") as file:
            file.update_tags(**{name: values[number]})

    return write


def _png_software(path: Path, number: int) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([1, 2])
    figure.savefig(path, metadata={"Software": f"Matplotlib version 3.{number}"})
    plt.close(figure)


def _pdf_producer(path: Path, number: int) -> None:
    from reportlab.pdfgen import canvas

    sheet = canvas.Canvas(str(path), invariant=1)
    sheet.setProducer(f"ReportLab 4.{number}")
    sheet.drawString(100, 100, "hi")
    sheet.save()


def _netcdf_version(path: Path, number: int) -> None:
    import netCDF4

    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("x", 3)
        file.createVariable("v", "f8", ("x",))[:] = [1, 2, 3]
    if number:
        import h5py

        with h5py.File(path, "r+") as file:
            said = file.attrs["_NCProperties"]
            file.attrs["_NCProperties"] = said.replace(b"netcdf=4", b"netcdf=5")


def _chunks(path: Path, number: int) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=grid()[:50], chunks=(10, 10 + number))


def _last_change(path: Path, number: int) -> None:
    _gpkg(path, number)


def _gzip_time(path: Path, number: int) -> None:
    table().head(9).to_csv(path, index=False, compression={"method": "gzip", "mtime": number})


def _xlsx_created(path: Path, number: int) -> None:
    import datetime as dt

    import xlsxwriter

    book = xlsxwriter.Workbook(path)
    book.set_properties({"created": dt.datetime(2020 + number, 1, 1)})  # noqa: DTZ001  # as XlsxWriter wants it
    book.add_worksheet().write(0, 0, "a")
    book.close()


def _zip_dates(path: Path, number: int) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.txt", (2020 + number, 1, 1, 0, 0, 0)), "a")


def _tar_times(path: Path, number: int) -> None:
    source = path.with_name("a.txt")
    source.write_text("a")
    os.utime(source, (number, number))
    with tarfile.open(path, "w") as archive:
        archive.add(source, "a.txt")
    source.unlink()


def _reportlab(path: Path, number: int) -> None:
    from reportlab.pdfgen import canvas

    os.environ["SOURCE_DATE_EPOCH"] = str(1_000_000_000 * (1 + number))
    try:
        sheet = canvas.Canvas(str(path))
        sheet.drawString(100, 100, "hi")
        sheet.save()
    finally:
        del os.environ["SOURCE_DATE_EPOCH"]


def _svg(path: Path, number: int) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(2, 1))
    axes.plot([1, 2])
    figure.savefig(path, metadata={"Date": f"202{number}-01-01T00:00:00"})
    plt.close(figure)


def _blank_nodes(path: Path, number: int) -> None:
    from corpus.documents import _graph

    del number
    _graph().serialize(path, format="nt", encoding="utf-8")


def _part_names(folder: Path) -> tuple[Path, Path]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = pa.Table.from_pandas(table().head(40), preserve_index=False)
    for side in "ab":
        pq.write_to_dataset(rows, folder / side / "t", partition_cols=["flag"])
    return folder / "a", folder / "b"


def _hdf5_times(path: Path, number: int) -> None:
    """Write with times, and put another one in place of that of the object's header."""
    import time

    import h5py

    began = int(time.time())
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=[1, 2, 3], track_times=True)
    raw = path.read_bytes()
    for written in range(began, int(time.time()) + 1):
        raw = raw.replace(written.to_bytes(4, "little"), (1_000_000_000 + number).to_bytes(4, "little"))
    path.write_bytes(raw)


def _dbf_date(folder: Path) -> tuple[Path, Path]:
    import pyogrio

    paths = folder / "a" / "out.shp", folder / "b" / "out.shp"
    for number, path in enumerate(paths):
        path.parent.mkdir()
        rows = layer("points").head(9).drop(columns=["when"])
        pyogrio.write_dataframe(rows, path, DBF_DATE_LAST_UPDATE=f"200{number}-01-01")
    return folder / "a", folder / "b"


def _dat_garbage(folder: Path) -> tuple[Path, Path]:
    """Write a MapInfo file, and put something else into what GDAL does not set behind the names of fields."""
    import pyogrio

    pyogrio.write_dataframe(
        layer("points").head(9)[["id", "geometry"]], folder / "a.tab", driver="MapInfo File"
    )
    raw = bytearray((folder / "a.dat").read_bytes())
    raw[32 + 12 : 32 + 16] = bytes(value ^ 0x5A for value in raw[32 + 12 : 32 + 16])
    (folder / "b.dat").write_bytes(raw)
    return folder / "a.dat", folder / "b.dat"


def _block_order(path: Path, number: int) -> None:
    import rasterio

    profile = {"driver": "GTiff", "count": 1, "height": 600, "width": 700, "dtype": "float32", "crs": 4326,
               "transform": _PLACE}  # fmt: skip
    tiled = {"tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate"}
    with rasterio.open(path, "w", **profile, **tiled) as file:
        windows = [window for _, window in file.block_windows(1)]
        for window in windows[:: -1 if number else 1]:
            file.write(grid()[window.toslices()], 1, window=window)


def _chunk_order(path: Path, number: int) -> None:
    import netCDF4

    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("y", 50)
        file.createDimension("x", 60)
        values = file.createVariable("v", "f4", ("y", "x"), chunksizes=(10, 60), zlib=True)
        for row in [*range(0, 50, 10)][:: -1 if number else 1]:
            values[row : row + 10] = grid()[row : row + 10, :60]
            file.sync()


def _duckdb(path: Path, number: int) -> None:
    import duckdb

    del number
    with duckdb.connect(str(path)) as database:
        database.register("given", table())
        database.execute("CREATE TABLE t AS SELECT * FROM given")


PAIRS: dict[str, tuple[Pair, ...]] = {
    "gpkg-last-change": (_both("gpkg", _last_change),),
    "gpkg-metadata": (_both("gpkg", _metadata_reference),),
    "gzip-time": (_both("csv.gz", _gzip_time),),
    "gzip-name": (_both("csv.gz", _gzip_name),),
    "xlsx-created": (_both("xlsx", _xlsx_created),),
    "zip-dates": (_both("zip", _zip_dates),),
    "tar-times": (_both("tar", _tar_times),),
    "pdf-dates": (_both("pdf", _reportlab),),
    "pdf-id": (_both("pdf", _reportlab),),
    "svg-date": (_both("svg", _svg),),
    "svg-ids": (_both("svg", _svg),),
    "rdf-blank-nodes": (_both("nt", _blank_nodes),),
    "part-names": (_part_names,),
    "hdf5-times": (_both("h5", _hdf5_times),),
    "dbf-date": (_dbf_date,),
    "tiff-date": (_both("tif", _tags("TIFFTAG_DATETIME", "2026:01:01 00:00:00", "2036:01:01 00:00:00")),),
    "png-software": (_both("png", _png_software), _both("tif", _tags("TIFFTAG_SOFTWARE", "a 1.0", "a 1.1"))),
    "library-version": (
        _both("gpkg", _sqlite_version), _both("parquet", _parquet_writer), _both("parquet", _geo_creator),
        _both("pdf", _pdf_producer), _both("nc", _netcdf_version),
    ),
    "entry-order": (_both("zip", _entry_order),),
    "entries-twice": (_both("zip", _entries_twice),),
    "entry-attributes": (_both("zip", _modes), _both("tar", _owners)),
    "tiff-blocks": (_both("tif", _block_order), _both("tif", _compression)),
    "tiff-dead-blocks": (_both("tif", _dead_tiles),),
    "sqlite-free-pages": (_both("sqlite", _free_pages),),
    "sqlite-layout": (
        _both("sqlite", _commits), _both("sqlite", _schema_changes), _both("sqlite", _insert_order),
        _both("gpkg", _rewritten_layer), _both("mbtiles", _tile_order),
    ),
    "gpkg-rtree": (_both("gpkg", _shuffled_layer),),
    "dat-garbage": (_dat_garbage,),
    "layer-name": (_layer_name,),
    "netcdf-tasks": (_both("nc", _chunk_order),),
    "hdf5-chunks": (_both("h5", _chunks),),
    "parquet-layout": (_both("parquet", _row_groups),),
    "duckdb-file": (_both("duckdb", _duckdb),),
}  # fmt: skip
"""By the name of the row in the catalogue; several where the row is about several formats."""


def _json(*values: Any) -> Pair:
    import json

    return _both("json", lambda path, number: path.write_text(json.dumps(values[number])))


def _csv(*values: str) -> Pair:
    return _both("csv", lambda path, number: path.write_text(f"id,said\n1,x\n2,{values[number]}\n"))


def _shapes(*texts: str, **more: Any) -> Pair:
    """Return a pair of GeoJSON or, with ``crs``, GeoPackage files with one geometry each."""

    def write(path: Path, number: int) -> None:
        import geopandas as gpd
        import pandas as pd
        import shapely

        wkt = texts[number % len(texts)]
        frame = pd.DataFrame({"id": [1]})
        geometry = [shapely.from_wkt(wkt) if wkt else None]
        crs = more.get("crs", (4326, 4326))[number]
        gpd.GeoDataFrame(frame, geometry=geometry, crs=crs).to_parquet(path)

    return _both("parquet", write)


def _rows(path: Path, number: int) -> None:
    frame = table().head(30)
    (frame.iloc[::-1] if number else frame).to_csv(path, index=False)


_SQUARE = "POLYGON ((0 0, 0.5 0, 0.5 0.5, 0 0.5, 0 0))"
IN_DATA: dict[Kind, Pair] = {
    Kind.TIMESTAMP: _csv("2026-02-02T02:40:05Z", "2026-09-21T14:13:25Z"),
    Kind.IDENTIFIER: _csv("8f14e45f-ceea-467f-a0c5-bd6d8f3c1a11", "6c8349cc-7260-4e62-a3b1-396831a8398a"),
    Kind.PATH: _csv("/srv/A/work/in.csv", "/srv/B/work/in.csv"),
    Kind.HOST: _csv("host-a", "host-b"),
    Kind.ADDRESS: _csv("<Well object at 0x7f2f4a3c1d90>", "<Well object at 0x7f114a771e10>"),
    Kind.ROW_ORDER: _both("csv", _rows),
    Kind.FEATURE_ORDER: _both("fgb", _ties),
    Kind.ARRAY_ORDER: _json({"tags": ["a", "b", "c"]}, {"tags": ["c", "a", "b"]}),
    Kind.KEY_ORDER: _json({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    Kind.FLOAT_NOISE: _both("parquet", _float_sums),
    Kind.RING_START: _shapes(_SQUARE, "POLYGON ((0.5 0, 0.5 0.5, 0 0.5, 0 0, 0.5 0))"),
    Kind.RING_ORIENTATION: _shapes(_SQUARE, "POLYGON ((0 0, 0 0.5, 0.5 0.5, 0.5 0, 0 0))"),
    Kind.PART_ORDER: _shapes("MULTIPOINT ((0 0), (1 1))", "MULTIPOINT ((1 1), (0 0))"),
    Kind.REPEATED_VERTEX: _shapes(_SQUARE, "POLYGON ((0 0, 0.5 0, 0.5 0, 0.5 0.5, 0 0.5, 0 0))"),
    Kind.PRECISION: _both("geojson", _precision),
    Kind.LINE_DIRECTION: _shapes("LINESTRING (0 0, 1 1)", "LINESTRING (1 1, 0 0)"),
    Kind.SINGLE_MULTI: _shapes("POINT (1 2)", "MULTIPOINT ((1 2))"),
    Kind.DIMENSION: _shapes("POINT (1 2)", "POINT Z (1 2 0)"),
    Kind.EMPTY_NULL: _shapes("", "POINT EMPTY"),
    Kind.AXIS_SWAP: _shapes("LINESTRING (-98 39, -97 38)", "LINESTRING (39 -98, 38 -97)"),
    Kind.LONGITUDE_WRAP: _shapes("POINT (-98 39)", "POINT (262 39)"),
    Kind.CRS: _shapes("POINT (-98 39)", crs=(4326, 4269)),
}
"""By the kind that general advice is about."""
