"""The writers of the corpus with the options that our advice names: their bytes must not follow the clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from corpus.documents import _image, _sources
from corpus.sample import grid, layer, points, table

if TYPE_CHECKING:
    from pathlib import Path

    from corpus.write import Writers

EPOCH = (1980, 1, 1, 0, 0, 0)
STEADY = {
    "gpkg-last-change": ("steady_gpkg",),
    "gpkg-metadata": ("steady_metadata",),
    "gzip-time": ("steady_csvgz",),
    "gzip-name": ("steady_gzip_name",),
    "xlsx-created": ("steady_xlsx",),
    "zip-dates": ("steady_zip", "steady_repacked"),
    "tar-times": ("steady_tar",),
    "pdf-dates": ("steady_mpl_pdf", "steady_reportlab", "steady_pil_pdf"),
    "pdf-id": ("steady_reportlab",),
    "svg-date": ("steady_svg",),
    "svg-ids": ("steady_svg",),
    "rdf-blank-nodes": ("steady_turtle",),
    "part-names": ("steady_parts",),
    "hdf5-times": ("steady_hdf5", "steady_pytables"),
    "dbf-date": ("steady_shp",),
    "tiff-date": ("steady_tif",),
    "entry-order": ("steady_zip", "steady_zarr_order"),
    "entries-twice": ("steady_zarr",),
    "entry-attributes": ("steady_attributes", "steady_owners"),
    "tiff-blocks": ("steady_cog",),
    "tiff-dead-blocks": ("steady_copied_tif",),
    "sqlite-free-pages": ("steady_vacuumed",),
    "sqlite-layout": ("steady_vacuumed",),
    "gpkg-rtree": ("steady_rtree",),
    "dat-garbage": ("steady_mif",),
    "layer-name": ("steady_layer_name",),
    "netcdf-tasks": ("steady_dask",),
    "duckdb-file": ("steady_duckdb",),
}
"""The writers that try the advice of a row of the catalogue."""


def turn() -> int:
    """Return 0 or 1, the other one a decade later: for what follows no clock of its own."""
    return time.gmtime().tm_year // 10 % 2


def add(writers: Writers) -> None:
    for function, suffix in (
        (steady_gpkg, "gpkg"),
        (steady_csvgz, "csv.gz"),
        (steady_xlsx, "xlsx"),
        (steady_zip, "zip"),
        (steady_tar, "tar"),
        (steady_mpl_pdf, "pdf"),
        (steady_reportlab, "pdf"),
        (steady_pil_pdf, "pdf"),
        (steady_svg, "svg"),
        (steady_turtle, "ttl"),
        (steady_hdf5, "h5"),
        (steady_shp, "shp"),
        (steady_dask, "nc"),
        (steady_zarr_order, "txt"),
        (steady_vacuumed, "sqlite"),
        (steady_metadata, "gpkg"),
        (steady_gzip_name, "csv.gz"),
        (steady_repacked, "kmz"),
        (steady_parts, "txt"),
        (steady_pytables, "h5"),
        (steady_tif, "tif"),
        (steady_attributes, "zip"),
        (steady_owners, "tar"),
        (steady_cog, "tif"),
        (steady_copied_tif, "tif"),
        (steady_rtree, "gpkg"),
        (steady_mif, "mif"),
        (steady_layer_name, "fgb"),
        (steady_duckdb, "parquet"),
        (steady_zarr, "zip"),
    ):
        writers.add(function, suffix)


def steady_gpkg(path: Path) -> None:
    import pyogrio

    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2000-01-01T00:00:00.000Z"})
    layer("polygons").to_file(path, driver="GPKG", engine="pyogrio")
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def steady_csvgz(path: Path) -> None:
    table().to_csv(path, index=False, compression={"method": "gzip", "mtime": 0})


def steady_xlsx(path: Path) -> None:
    import datetime as dt

    import pandas as pd

    with pd.ExcelWriter(path, engine="xlsxwriter") as writer:
        writer.book.set_properties({"created": dt.datetime(2000, 1, 1)})  # noqa: DTZ001  # as XlsxWriter wants it
        table().to_excel(writer)


def steady_zip(path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        for source, name in sorted(_sources(path), key=lambda pair: pair[1]):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), source.read_bytes())


def steady_tar(path: Path) -> None:
    import tarfile

    def plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.mtime = entry.uid = entry.gid = 0
        return entry

    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for source, name in sorted(_sources(path), key=lambda pair: pair[1]):
            archive.add(source, name, filter=plain)


def _plot(path: Path, **metadata: None) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    with mpl.rc_context({"svg.hashsalt": "any fixed text"}):
        figure, axes = plt.subplots(figsize=(3, 2))
        axes.scatter(points()[:20, 0], points()[:20, 1])
        figure.savefig(path, metadata=metadata)
        plt.close(figure)


def steady_mpl_pdf(path: Path) -> None:
    _plot(path, CreationDate=None)


def steady_svg(path: Path) -> None:
    _plot(path, Date=None)


def steady_reportlab(path: Path) -> None:
    from reportlab.pdfgen import canvas

    sheet = canvas.Canvas(str(path), invariant=1)
    sheet.drawString(100, 100, "hi")
    sheet.save()


def steady_pil_pdf(path: Path) -> None:
    _image().save(path, creationDate=time.gmtime(0), modDate=time.gmtime(0))


def steady_turtle(path: Path) -> None:
    from corpus.documents import _graph

    _graph().serialize(path, format="turtle")


def steady_hdf5(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=grid()[:50], track_times=False)


def steady_shp(path: Path) -> None:
    import pyogrio

    pyogrio.write_dataframe(layer("points").drop(columns=["when"]), path, DBF_DATE_LAST_UPDATE="2000-01-01")


def steady_dask(path: Path) -> None:
    from corpus.sample import cube

    cube().chunk({"y": 10, "x": 20}).load().to_netcdf(path, engine="netcdf4")


def steady_zarr_order(path: Path) -> None:
    """Write the order of the entries: their dates are those of the zip."""
    import zipfile

    import zarr

    from corpus.rasters import _zipped

    store = path.with_name("store.zip")
    with zarr.config.set({"async.concurrency": 1}):
        _zipped(store, 3)
    with zipfile.ZipFile(store) as archive:
        path.write_text("\n".join(archive.namelist()))
    store.unlink()


def steady_vacuumed(path: Path) -> None:
    """Write in more transactions, and delete what was written, at every other turn; then copy."""
    import sqlite3
    from contextlib import closing

    raw = path.with_name("raw.sqlite")
    with closing(sqlite3.connect(raw)) as connection:
        connection.execute("CREATE TABLE t (a)")
        for i in range(50):
            connection.execute("INSERT INTO t VALUES (?)", (i,))
            if i % (2 + turn()) == 0:
                connection.commit()
        connection.commit()
        connection.executemany("INSERT INTO t VALUES (?)", [("deleted" * 99,)] * 200 * turn())
        connection.execute("DELETE FROM t WHERE typeof(a) = 'text'")
        connection.commit()
        connection.execute(f"VACUUM INTO '{path}'")
    raw.unlink()


def steady_metadata(path: Path) -> None:
    import pyogrio

    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2000-01-01T00:00:00.000Z"})
    pyogrio.write_dataframe(layer("points"), path, layer_metadata={"source": "survey"})
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def steady_gzip_name(path: Path) -> None:
    import gzip

    raw = path.with_name(f"table-{turn()}.csv.gz")
    with raw.open("wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed:
        packed.write(b"a,b\n1,2\n")
    raw.rename(path)


def _packed(path: Path, members: dict[str, bytes]) -> None:
    import zipfile

    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), members[name])


def steady_repacked(path: Path) -> None:
    import zipfile

    import pyogrio

    raw = path.with_name("raw.kmz")
    pyogrio.write_dataframe(layer("points").head(20), raw, driver="LIBKML")
    with zipfile.ZipFile(raw) as archive:
        _packed(path, {name: archive.read(name) for name in archive.namelist()})
    raw.unlink()


def steady_parts(path: Path) -> None:
    import shutil

    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = path.with_name("parts")
    rows = pa.Table.from_pandas(table(), preserve_index=False)
    pq.write_to_dataset(rows, folder, partition_cols=["name"], basename_template="part-{i}.parquet")
    names = sorted(part.relative_to(folder).as_posix() for part in folder.rglob("*.parquet"))
    path.write_text("\n".join(names))
    shutil.rmtree(folder)


def steady_pytables(path: Path) -> None:
    import tables

    with tables.open_file(str(path), "w") as file:
        file.create_array("/", "a", grid()[:50], track_times=False)


def steady_tif(path: Path) -> None:
    from corpus.rasters import _raster

    _raster(path, "GTiff")


def steady_attributes(path: Path) -> None:
    """Pack a file whose mode is another one at every other turn."""
    import zipfile

    source = path.with_name("a.txt")
    source.write_text("a")
    source.chmod(0o600 if turn() else 0o644)
    entry = zipfile.ZipInfo.from_file(source, "a.txt")
    entry.date_time, entry.external_attr = EPOCH, 0o644 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(entry, source.read_bytes())
    source.unlink()


def steady_owners(path: Path) -> None:
    """Pack a file whose owner and mode are other ones at every other turn."""
    import io
    import tarfile

    entry = tarfile.TarInfo("a.txt")
    entry.size, entry.uid, entry.uname, entry.mode = 1, turn(), f"user{turn()}", 0o600 + turn()
    entry.mode, entry.uid, entry.gid, entry.uname, entry.gname = 0o644, 0, 0, "", ""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        archive.addfile(entry, io.BytesIO(b"a"))


def _turned(path: Path) -> Path:
    """Write a raster block by block, in the other order, and once more, at every other turn."""
    import rasterio

    raw = path.with_name("raw.tif")
    profile = {"driver": "GTiff", "count": 1, "height": 600, "width": 700, "dtype": "float32", "crs": 4326}
    tiled = {"tiled": True, "blockxsize": 128, "blockysize": 128, "compress": "deflate"}
    with rasterio.open(raw, "w", **profile, **tiled) as file:
        windows = [window for _, window in file.block_windows(1)]
        for window in windows[:: -1 if turn() else 1]:
            file.write(grid()[window.toslices()], 1, window=window)
    for values in (grid() * 3, grid())[: 2 * turn()]:
        with rasterio.open(raw, "r+") as file:
            file.write(values, 1)
    return raw


def steady_cog(path: Path) -> None:
    import rasterio.shutil

    raw = _turned(path)
    rasterio.shutil.copy(raw, path, driver="COG", compress="deflate")
    raw.unlink()


def steady_copied_tif(path: Path) -> None:
    import rasterio.shutil

    raw = _turned(path)
    rasterio.shutil.copy(raw, path, driver="GTiff", tiled=True, compress="deflate")
    raw.unlink()


def steady_rtree(path: Path) -> None:
    """Sort what comes in the other order at every other turn."""
    import pyogrio

    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": "2000-01-01T00:00:00.000Z"})
    rows = layer("polygons").iloc[:: -1 if turn() else 1]
    pyogrio.write_dataframe(rows.sort_values("id"), path)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})


def steady_mif(path: Path) -> None:
    import pyogrio

    pyogrio.write_dataframe(layer("points").drop(columns=["when", "flag"]), path, driver="MapInfo File")


def steady_layer_name(path: Path) -> None:
    import pyogrio

    raw = path.with_name(f"wells-{turn()}.fgb")
    pyogrio.write_dataframe(layer("points"), raw, driver="FlatGeobuf", layer="wells")
    raw.rename(path)


def steady_duckdb(path: Path) -> None:
    import duckdb

    raw = path.with_name("raw.duckdb")
    with duckdb.connect(str(raw)) as database:
        database.register("given", table())
        database.execute("CREATE TABLE t AS SELECT * FROM given ORDER BY id")
        database.execute(f"COPY t TO '{path}' (FORMAT parquet)")
    raw.unlink()


def steady_zarr(path: Path) -> None:
    """Pack a finished store: no entry stands in it twice."""
    import shutil

    import zarr

    folder = path.with_name("store")
    group = zarr.open_group(folder, mode="w", zarr_format=2)
    group.attrs["title"] = "x"
    group.create_array("a", shape=(50, 60), dtype="f4", chunks=(10, 20))[:] = grid()[:50, :60]
    _packed(
        path,
        {
            file.relative_to(folder).as_posix(): file.read_bytes()
            for file in folder.rglob("*")
            if file.is_file()
        },
    )
    shutil.rmtree(folder)
